"""The judged network is the same whether it is read from a recipe or from a record."""

import pytest

from agrm_study.study.recipe import Recipe
from agrm_study.study.reported import TEACHER_METHODS, reported_network, reported_of
from agrm_study.training.ssl.step import METHODS


@pytest.mark.parametrize("method", METHODS)
def test_the_methods_with_a_teacher_are_those_whose_recipe_has_one(method):
    assert Recipe.model_validate({"ssl": {"method": method}}).has_teacher == (method in TEACHER_METHODS)


@pytest.mark.parametrize(
    ("method", "asked", "reported"),
    [
        ("agrm", "teacher", "teacher"),
        ("agrm", "student", "student"),
        ("mean_teacher", "teacher", "teacher"),
        ("supervised", "teacher", "student"),
        ("fixmatch", "teacher", "student"),
    ],
)
def test_a_recipe_reports_the_network_that_it_asks_for_if_it_has_it(method, asked, reported):
    recipe = Recipe.model_validate({"ssl": {"method": method}, "evaluate": {"network": asked}})
    assert reported_network(recipe) == reported_of(method, asked) == reported


def test_a_record_without_a_method_is_that_of_a_student():
    assert reported_of(None, "teacher") == "student"
