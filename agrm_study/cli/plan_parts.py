"""Seeds, races and shared GPUs in a plan's output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agrm_study.execution.dispatch.race import RaceState
    from agrm_study.study.recipe import Recipe
    from agrm_study.study.seeds import Race


SEEDS_SHOWN = 12
"""Maximum number of seeds to list; beyond it, only the ends and the number are shown."""


def seeds_text(seeds: Sequence[int]) -> str:
    """Seeds in one line: ``0, 1, 2``, or ``0, 1, …, 31999 (32000 seeds)``."""
    if len(seeds) <= SEEDS_SHOWN:
        return ", ".join(map(str, seeds))
    return f"{seeds[0]}, {seeds[1]}, …, {seeds[-1]} ({len(seeds)} seeds)"


def gpu_facts(asked: float | str, recipes: list[Recipe], folder: str | Path) -> dict[str, Any] | None:
    """The GPU share of a trial and the number of trials per GPU; None for a study without GPUs."""
    from agrm_study.execution.resources.gpu_share import known_share
    from agrm_study.records.location import Location

    if asked == 0:
        return None
    measured = known_share(Location.of(folder), recipes) if asked == "auto" else None
    share = asked if asked != "auto" else measured.gpu if measured is not None else None
    return {
        "asked": asked,
        "share": share,
        "trials_on_one": None if share is None else int(1 / float(share) + 1e-6),
        "note": "" if measured is None else measured.note,
    }


def gpu_sentence(gpu: dict[str, Any]) -> str:
    """The same as a sentence."""
    from agrm_study.execution.resources.gpu_share import share_words

    if gpu["share"] is None:
        return "gpu: auto has not measured this study's steps yet; `run` does so first."
    if gpu["note"]:
        return str(gpu["note"])
    together = f", {gpu['trials_on_one']} trials at once on one" if gpu["share"] < 1 else ""
    return f"{share_words(gpu['share'])} a trial{together}"


def race_facts(race: Race, standing: RaceState, missing: set[str]) -> dict[str, Any]:
    """A race as plain values: its rules, its decisions so far, and the number of trials it still requires."""
    return {
        **race.model_dump(mode="json"),
        "stopped": [asdict(stopped) for stopped in standing.log().stopped],
        "at_least": standing.at_least(missing),
        "at_most": standing.at_most(missing),
    }


def race_sentence(race: dict[str, Any]) -> str:
    """The same as a sentence."""
    words = f"race: {race['first']} seeds for every arm, up to {race['most']} for those that stay in; "
    words += (
        f"{race['at_least']} trials to run if all arms but one go out at the next look, {race['at_most']} if none does"
    )
    out = [f"{s['arm']} ({s['task']}) after {s['n']} seeds" for s in race["stopped"]]
    return f"{words}; stopped: {', '.join(out)}" if out else words
