"""The evaluated network is the same whether it is read from a recipe or from a record."""

import pytest

from agrm_study.study.recipe import Evaluate, Recipe
from agrm_study.study.reported import TEACHER_METHODS, reported_in_record, reported_network, reported_of
from agrm_study.training.ssl.step import METHODS


@pytest.mark.parametrize("method", METHODS)
def test_the_methods_with_a_teacher_are_those_whose_recipe_has_one(method):
    assert Recipe.model_validate({"ssl": {"method": method}}).has_teacher == (method in TEACHER_METHODS)


@pytest.mark.parametrize(
    ("method", "asked", "ema", "reported"),
    [
        ("agrm", "teacher", False, "teacher"),
        ("agrm", "teacher", True, "teacher"),
        ("agrm", "student", False, "student"),
        ("mean_teacher", "teacher", False, "teacher"),
        ("supervised", "teacher", False, "student"),
        ("supervised", "teacher", True, "ema"),
        ("fixmatch", "teacher", False, "student"),
        ("fixmatch", "teacher", True, "ema"),
        ("fixmatch", "student", True, "student"),
    ],
)
def test_a_recipe_reports_the_network_that_it_asks_for_if_it_has_it(method, asked, ema, reported):
    recipe = Recipe.model_validate({"ssl": {"method": method}, "evaluate": {"network": asked, "ema": ema}})
    assert reported_network(recipe) == reported
    factors = {"evaluate.network": asked, "evaluate.ema": ema}
    assert reported_in_record(method, factors, Evaluate()) == reported
    assert reported_in_record(method, {}, recipe.evaluate) == reported


def test_a_record_without_a_method_is_that_of_a_student():
    assert reported_of(None, Evaluate()) == "student"
