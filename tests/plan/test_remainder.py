"""`data.remainder`: when it has an effect, and its effect on a data set without unlabelled clips."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agrm_study.plan.acting import labelled_view
from agrm_study.plan.plan import Plan
from agrm_study.plan.same_training import same_training
from agrm_study.study.errors import InputError
from agrm_study.study.study import Study

StudyOf = Callable[..., Study]


@pytest.mark.parametrize(
    ("settings", "one"),
    [
        ("data.labelled_fraction: 0.1", False),
        ("data.labelled_fraction: 1.0", True),
        ("data.labelled_fraction: 0.1, ssl.method: supervised", True),
    ],
)
def test_it_acts_where_unlabelled_clips_are_read_and_labels_remain(study_of: StudyOf, settings: str, one: bool) -> None:
    study = study_of(f"set: {{{settings}}}\narms: [{{name: A}}, {{name: B, set: {{data.remainder: unlabelled}}}}]\n")
    assert bool(same_training((arm.name, arm.recipe) for arm in study.arms)) == one


def test_the_supervised_epochs_of_an_arm_read_nothing_of_it(plan_of: Callable[..., Plan]) -> None:
    text = "set: {data: {labelled_fraction: 0.1}}\narms: [{name: A}, {name: B, set: {data.remainder: unlabelled}}]\n"
    one, two = (trial.recipe for trial in plan_of(text, "tasks=[three_class]", "seeds=[0]").trials)
    assert labelled_view(one) == labelled_view(two)


def test_a_set_without_unlabelled_clips_will_do_where_labels_remain(study_of: StudyOf) -> None:
    none = "data.unlabelled_train=0", "data.synthetic.unlabelled=0"
    with pytest.raises(InputError, match="must be at least 1"):
        study_of("arms: [{name: A}]\n", *none)
    study_of("arms: [{name: A}]\n", *none, "data.remainder=unlabelled", "data.labelled_fraction=0.2")
