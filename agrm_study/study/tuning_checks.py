"""Checks of studies that tune their arms: each arm needs a space, and must not set any of the settings in it."""

from __future__ import annotations

from collections.abc import Sequence

from agrm_study.study.arms import check_factors, try_dimensions
from agrm_study.study.document import KeyPath
from agrm_study.study.loading import Loading
from agrm_study.study.merge import with_values
from agrm_study.study.seeds import Race
from agrm_study.study.settings import MEMORIES
from agrm_study.study.spec import StudyFile
from agrm_study.study.study import Arm

COMMON: KeyPath = ("tune", "space")
"""Path of the space that is used by arms without their own space."""
OWN_SPACE = "Define a separate space for this arm, `tune: {space: {…}}`."


def check_tuning(spec: StudyFile, arms: Sequence[Arm], loading: Loading) -> None:
    """Report errors that prevent the arms of a study from being tuned.

    Args:
        spec: The study as written.
        arms: Arms of the study with a valid recipe.
        loading: Receives the errors.
    """
    entries = list(enumerate(spec.arms or ()))
    if spec.tune is None:
        for position, entry in entries:
            if entry.tune is not None:
                hint = "Add `tune: {trials: 16}` to the study, or remove `tune` here."
                loading.note(("arms", position, "tune"), "this study does not tune its arms", hint=hint)
        return
    if spec.arms is None:
        loading.note(("tune",), "requires a list of arms", allowed="with `arms`, not with `grid` or `search`")
        return
    _check_seeds(spec, loading)
    common = check_factors(COMMON, spec.tune.space, loading)
    built = {arm.name: arm for arm in arms}
    for position, entry in entries:
        space, path, usable = spec.tune.space, COMMON, common
        if entry.tune is not None:
            space, path = entry.tune.space, ("arms", position, "tune", "space")
            usable = check_factors(path, space, loading)
        if not space:
            rule = f"the arm {entry.name} has nothing to tune: the study's `tune.space` is empty"
            loading.note(("arms", position), rule, hint=OWN_SPACE)
        own = built[entry.name].settings if entry.name in built else {}
        both = next(((name, given) for name in usable for given in own if _overlap(name, given)), None)
        if both is not None:
            rule = f"the arm {entry.name} sets {both[1]}, but its tuning varies {both[0]}"
            hint = "Remove it here, or give this arm a space without it, `tune: {space: {…}}`."
            loading.note(("arms", position, "set", both[1]), rule, hint=hint)
        elif entry.name in built:
            tree = with_values(loading.tree, own)
            try_dimensions(space, usable, loading, at=path, tree=tree, prefix=f"tuning of {entry.name}: ")
    _check_options(spec, loading)


def _overlap(one: str, other: str) -> bool:
    """Whether two dotted names are equal, a section and a setting in it, or two ways to specify the same average."""
    same = one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")
    return same or MEMORIES.get(one) == other or MEMORIES.get(other) == one


def _check_seeds(spec: StudyFile, loading: Loading) -> None:
    """Report search seeds that are also seeds of reported trials."""
    assert spec.tune is not None
    if isinstance(spec.seeds, Race):
        return  # rejected in `checks`
    final = {seed + entry.seed_offset for entry in spec.arms or () for seed in spec.seeds}
    if set(spec.tune.training_seeds) & final:
        rule = "must differ from the seeds of the reported trials"
        loading.note(("tune", "seed"), rule, given=spec.tune.seed, hint="Use a different seed, such as 100000.")


def _check_options(spec: StudyFile, loading: Loading) -> None:
    """Report an option that would have no effect because the tuning of every arm varies its setting."""
    assert spec.tune is not None
    spaces = [spec.tune.space if entry.tune is None else entry.tune.space for entry in spec.arms or ()]
    for setting in loading.options:
        if spaces and all(any(_overlap(setting.name, name) for name in space) for space in spaces):
            rule, hint = "the tuning of every arm varies this setting", "Edit `tune.space` in the study file."
            loading.problems.add(setting.place, rule, field=setting.name, hint=hint)
