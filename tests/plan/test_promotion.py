"""A search selects on validation data, and its best points become arms with new seeds."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from agrm_study.plan.expand import TrialBuilder, expand
from agrm_study.plan.promotion import Candidate, promoted
from agrm_study.plan.searches import searches
from agrm_study.plan.trial import TrialSpec
from agrm_study.study.errors import InputError
from agrm_study.study.study import Study

StudyOf = Callable[..., Study]
SEARCH = """\
search:
  trials: 8
  promote: 2
  space:
    ssl.threshold.policy: {choice: [fixed, freematch]}
    ssl.threshold.tau: {float: [0.5, 0.99], when: {ssl.threshold.policy: fixed}}
    model.pooling.bins: {choice: {coarse: [[1, 1]], fine: [[4, 4]]}}
reference: base
"""


def point(tau: float | None, bins: list[list[int]] | None = None) -> dict[str, object]:
    policy = (
        {"ssl.threshold.policy": "freematch"}
        if tau is None
        else {"ssl.threshold.policy": "fixed", "ssl.threshold.tau": tau}
    )
    return {**policy, "model.pooling.bins": bins or [[1, 1]]}


def fingerprints(recipe: object) -> tuple[str, str]:
    return "d", "s"


def search_trial(study: Study, settings: dict[str, object], builder: TrialBuilder) -> TrialSpec:
    [search] = searches(study)
    [trial] = search.trials(settings, builder)
    return trial


def test_a_search_trial_has_the_searchs_seed_and_phase(study_of: StudyOf) -> None:
    study = study_of(SEARCH, "tasks=[two_class]")
    trial = search_trial(study, point(0.123456), TrialBuilder("trial", fingerprints))
    assert (trial.phase, trial.seed, trial.task) == ("search", 1000, "two_class")
    assert trial.arm == "policy=fixed, τ=0.1235, coarse"
    assert trial.recipe.ssl.threshold.tau == 0.123456
    assert trial.params == point(0.123456)


def test_a_search_trial_is_never_taken_for_a_final_one(study_of: StudyOf) -> None:
    study = study_of(SEARCH, "tasks=[two_class]", "seeds=[1]", "search.seed=1000")
    builder = TrialBuilder("trial", fingerprints)
    searched = search_trial(study, point(0.6), builder)
    [final] = builder.replicates(searched.recipe, [1000], arm="x", params={})
    assert searched.trial_id != final.trial_id
    assert searched.recipe == final.recipe


def test_the_best_on_validation_become_arms_beside_the_base(study_of: StudyOf) -> None:
    study = study_of(SEARCH, "tasks=[two_class]")
    candidates = [
        Candidate(point(0.6), (0.5,)),
        Candidate(point(0.7), (0.9,)),
        Candidate(point(0.8), (math.nan,)),
        Candidate(point(None, [[4, 4]]), (0.7,)),
    ]
    after = promoted(searches(study)[0], candidates)
    assert [arm.name for arm in after.arms] == ["base", "policy=fixed, τ=0.7, coarse", "policy=freematch, fine"]
    plan = expand(after, fingerprints)
    assert len(plan.trials) == 3 * 3
    assert {trial.phase for trial in plan.trials} == {"final"}


def test_candidates_that_come_to_the_same_training_are_promoted_once(study_of: StudyOf) -> None:
    study = study_of(SEARCH, "tasks=[two_class]")
    same = [Candidate(point(0.6), (0.9,)), Candidate(point(0.6), (0.8,)), Candidate(point(0.7), (0.1,))]
    assert [arm.settings.get("ssl.threshold.tau") for arm in promoted(searches(study)[0], same).arms[1:]] == [0.6, 0.7]


def test_arms_whose_shown_values_are_equal_are_told_apart(study_of: StudyOf) -> None:
    study = study_of(SEARCH, "tasks=[two_class]")
    near = [Candidate(point(0.60001), (0.9,)), Candidate(point(0.60002), (0.8,))]
    names = [arm.name for arm in promoted(searches(study)[0], near).arms]
    assert names == ["base", "policy=fixed, τ=0.6, coarse", "policy=fixed, τ=0.6, coarse (2)"]


def test_several_objectives_promote_the_pareto_front(study_of: StudyOf) -> None:
    study = study_of(
        SEARCH,
        "tasks=[two_class]",
        "search.sampler=nsga2",
        "search.metric=[val/macro_f1, val/loss]",
        "search.promote=9",
    )
    candidates = [
        Candidate(point(0.6), (0.9, 2.0)),
        Candidate(point(0.7), (0.8, 1.0)),
        Candidate(point(0.8), (0.8, 1.5)),  # worse than the second in loss, no better in macro-F1
        Candidate(point(0.9), (0.1, 0.5)),
    ]
    after = promoted(searches(study)[0], candidates)
    assert [arm.settings["ssl.threshold.tau"] for arm in after.arms[1:]] == [0.6, 0.7, 0.9]


def test_a_loss_is_promoted_from_below(study_of: StudyOf) -> None:
    study = study_of(SEARCH, "tasks=[two_class]", "search.metric=val/loss", "search.promote=1")
    after = promoted(searches(study)[0], [Candidate(point(0.6), (0.9,)), Candidate(point(0.7), (0.2,))])
    assert after.arms[1].settings["ssl.threshold.tau"] == 0.7


def test_values_that_no_recipe_allows_are_refused(study_of: StudyOf) -> None:
    study = study_of(SEARCH, "tasks=[two_class]")
    with pytest.raises(InputError, match=r"ssl\.threshold\.tau.*at most 1"):
        search_trial(study, point(1.5), TrialBuilder("trial", fingerprints))
