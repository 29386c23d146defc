"""What would `run` do, and what would it cost?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agrm_study.cli.options import results_folder, study_options
from agrm_study.cli.plan_parts import gpu_facts, gpu_sentence, race_facts, race_sentence

SEARCH_FACTS = ("trials", "finished", "pruned", "failed", "missing", "promote", "to_promote")

if TYPE_CHECKING:
    from agrm_study.execution.prepared import Prepared
    from agrm_study.execution.search_plan import SearchPlan
    from agrm_study.plan.plan import Plan
    from agrm_study.plan.stages import Stages
    from agrm_study.plan.trial import TrialSpec
    from agrm_study.records.location import Location
    from agrm_study.study.study import Study


@click.command()
@study_options
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, on stdout.")
def plan(study: Path, results: str | None, overrides: tuple[str, ...], preset: str | None, as_json: bool) -> None:
    """Say what `run STUDY` would do: trials new, finished and failed, and what the missing ones cost."""
    from agrm_study.cli.names import read_study
    from agrm_study.execution.prepare import prepare
    from agrm_study.execution.search_plan import plan_search
    from agrm_study.plan.expand import expand
    from agrm_study.records.location import Location

    asked = read_study(study, overrides, preset)
    folder = results_folder(asked.name, results, preset)
    prepared = prepare(asked, folder, build=False)
    search = plan_search(asked, prepared, Location.of(folder))
    asked = asked if search is None else search.study
    whole = expand(asked, prepared.fingerprints)
    facts = _facts(asked, whole, prepared, folder, search)
    if as_json:
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        _show(facts)


def _facts(
    study: Study, plan: Plan, prepared: Prepared, folder: str | Path, search: SearchPlan | None
) -> dict[str, Any]:
    """The plan in plain values."""
    from agrm_study.execution.equal_trials import find_equal
    from agrm_study.execution.failures import DETERMINISTIC
    from agrm_study.execution.race import standing as race_standing
    from agrm_study.plan.cost import estimate_cost
    from agrm_study.plan.disk import estimate_disk
    from agrm_study.records.location import Location
    from agrm_study.records.reader import Ledger
    from agrm_study.records.schemas import PRUNED

    ledger = Ledger(str(folder))
    states = ledger.states()
    status = {trial.trial_id: states[trial.trial_id].status for trial in plan.trials if trial.trial_id in states}
    missing = plan.missing([trial for trial, its in status.items() if its == "finished"])
    equal = {found.trial.trial_id for found in find_equal(Location.of(folder), missing)}
    missing = tuple(trial for trial in missing if trial.trial_id not in equal)
    records = ledger.trials()
    finished = records[(records["status"] == "finished") & (records["stop_reason"] != PRUNED)]
    measured: list[dict[str, Any]] = [{str(k): v for k, v in row.items()} for row in finished.to_dict("records")]
    to_come = () if search is None else search.stand_ins
    race, cells = None, plan.cells
    if asked_race := study.race:
        ended = [trial for trial, its in states.items() if its.status == "finished" or its.failure in DETERMINISTIC]
        standing = race_standing(study, plan, Location.of(folder), {t.trial_id for t in plan.trials}.difference(ended))
        wanted = standing.wanted()
        missing = tuple(trial for trial in missing if trial.trial_id in wanted)
        cells = tuple(c for c in cells if c.trial_id in wanted or status.get(c.trial_id) == "finished")
        race = race_facts(asked_race, standing, {trial.trial_id for trial in missing})
    stages, there = _stages(study, missing, Location.of(folder))
    cost = estimate_cost([*missing, *to_come], measured, inherited=stages.inherited(there))
    disk = estimate_disk(
        [*missing, *to_come],
        stages,
        measured,
        keep=study.sharing == "keep",
        record_bytes=ledger.bytes_on_disk() / len(states) if states else None,
    )
    epochs = sum(trial.recipe.epochs for trial in [*missing, *to_come])
    by_arm = [
        {
            "arm": arm.name,
            "cells": sum(cell.arm == arm.name for cell in cells),
            "finished": sum(c.arm == arm.name and status.get(c.trial_id) == "finished" for c in cells),
            "failed": sum(c.arm == arm.name and status.get(c.trial_id) == "failed" for c in cells),
        }
        for arm in study.arms
    ]
    return {
        "study": study.name,
        "question": study.question,
        "results": str(folder),
        "tasks": list(study.tasks),
        "seeds": list(study.seeds),
        "arms": by_arm,
        "cells": len(plan.cells),
        "trials": len(plan.trials),
        "merged": plan.merged,
        "finished": sum(its == "finished" for its in status.values()),
        "failed": sum(its == "failed" for its in status.values()),
        "equal_beside": len(equal),
        "missing": len(missing),
        "race": race,
        "gpu": gpu_facts(study.resources.gpu, [arm.recipe for arm in study.arms], folder),
        "search": None if search is None else {name: getattr(search, name) for name in SEARCH_FACTS},
        "epochs_at_most": epochs,
        "sharing": {
            "asked": study.sharing,
            "stages_shared": sum(stage.shared for stage in stages.stages),
            "stages_there": len(there),
            "epochs_at_most": epochs - sum(stages.inherited(there).values()),
        },
        "data_to_write": sorted(prepared.unwritten),
        "clip_stores": [
            {"path": store.path and str(store.path), "clips": store.clips, "bytes": store.bytes, "built": store.built}
            for store in prepared.store_sizes
        ],
        "cost": None
        if cost is None
        else {
            "slot_hours": cost.hours,
            "plus_minus": cost.plus_minus,
            "trials_covered": cost.known,
            "trials_unknown": cost.unknown,
        },
        "disk": None if disk is None else asdict(disk),
        "running_order": [trial.trial_id for trial in missing],
    }


def _stages(study: Study, missing: Sequence[TrialSpec], results: Location) -> tuple[Stages, set[str]]:
    """The stages of the missing trials, and those of them whose state is there."""
    from agrm_study.execution.provenance import code_version
    from agrm_study.execution.stage_shelf import StageShelf
    from agrm_study.plan.stages import plan_stages

    there = set(StageShelf.of(results).look(code_version())) if study.sharing else set()
    stages = plan_stages(missing, share=bool(study.sharing), known=there)
    return stages, there & stages.by_key.keys()


def _show(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"[bold]{escape(facts['study'])}[/]  {escape(facts['question'])}")
    seeds = ", ".join(str(seed) for seed in facts["seeds"])
    console.print(f"tasks {', '.join(facts['tasks'])} · seeds {seeds} · results {escape(facts['results'])}\n")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("arm", "trials", "finished", "failed", "new"):
        table.add_column(title, justify="left" if title == "arm" else "right")
    for arm in facts["arms"]:
        new = arm["cells"] - arm["finished"] - arm["failed"]
        table.add_row(escape(arm["arm"]), *(str(n) for n in (arm["cells"], arm["finished"], arm["failed"], new)))
    console.print(table)
    console.print()
    search = facts["search"]
    if search is not None:
        console.print(_search_sentence(search, len(facts["seeds"]) * len(facts["tasks"])), soft_wrap=True)
    final = "" if search is None else "final phase: "
    merged = f" ({facts['merged']} cells share a trial with an equal one)" if facts["merged"] else ""
    console.print(
        f"{final}{facts['trials']} trials{merged}, {facts['missing']} to run, {facts['epochs_at_most']} epochs at most"
    )
    if facts["equal_beside"]:
        console.print(f"{facts['equal_beside']} trials were finished by studies beside it: `run` takes them over")
    if facts["sharing"]["epochs_at_most"] < facts["epochs_at_most"]:
        console.print(_sharing_sentence(facts["sharing"], facts["epochs_at_most"]))
    if facts["race"] is not None:
        console.print(escape(race_sentence(facts["race"])), soft_wrap=True)
    if facts["gpu"] is not None:
        console.print(escape(gpu_sentence(facts["gpu"])), soft_wrap=True)
    if facts["data_to_write"]:
        console.print("The synthetic videos are not drawn yet; `run` draws them first.")
    for store in facts["clip_stores"]:
        state = "built" if store["built"] else "to build"
        console.print(f"clip store: {format_bytes(store['bytes'])}, {store['clips']} clips ({state})")
    console.print(_cost_sentence(facts["cost"], facts["missing"] + _to_come(search)), soft_wrap=True)
    if facts["disk"] is not None:
        console.print(_disk_sentence(facts["disk"], kept=facts["sharing"]["asked"] == "keep"), soft_wrap=True)


def _to_come(search: dict[str, int] | None) -> int:
    return 0 if search is None else search["missing"] + search["to_promote"]


def _sharing_sentence(sharing: dict[str, Any], alone: int) -> str:
    """What sharing saves."""
    shared = sharing["epochs_at_most"]
    there = f", {sharing['stages_there']} of them trained already" if sharing["stages_there"] else ""
    words = f"{sharing['stages_shared']} stages that trials share{there}" if sharing["stages_shared"] else "kept states"
    return f"{words}: {shared} epochs instead of {alone} ({1 - shared / alone:.0%} less)"


def _search_sentence(search: dict[str, int], replicates: int) -> str:
    """What the search is to run, and what comes of it."""
    done = [f"{search['finished']} finished"] + [f"{search['pruned']} ended early"] * bool(search["pruned"])
    done += [f"{search['failed']} failed"] * bool(search["failed"])
    words = f"search: {search['trials']} trials on validation, {', '.join(done)}, {search['missing']} to run"
    if search["to_promote"]:
        words += f"; then its best {search['promote']} × {replicates} seeds, {search['to_promote']} trials more"
    return words


def format_bytes(size: float) -> str:
    """A size that a person reads: `3.2 GB`, `48 MB`."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}" if size < 10 * factor else f"{size / factor:.0f} {unit}"
    return f"{size / 1e3:.0f} kB"


def _cost_sentence(cost: dict[str, Any] | None, missing: int) -> str:
    if not missing:
        return "Nothing to run: every trial is finished."
    if cost is None:
        return "Time is not known yet: no trial of this kind was measured in this results folder."
    spread = "" if cost["plus_minus"] is None else f" ± {cost['plus_minus']:.2f}"
    rest = f"; {cost['trials_unknown']} trials of kinds never measured come on top" if cost["trials_unknown"] else ""
    return f"About {cost['slot_hours']:.2f}{spread} hours of one slot{rest}."


def _disk_sentence(disk: dict[str, Any], *, kept: bool) -> str:
    parts = [f"{format_bytes(disk['weights'])} of weights"]
    if disk["records"] is not None:
        parts.append(f"{format_bytes(disk['records'])} of records")
    if disk["states"]:
        parts.append(f"{'' if kept else 'for a while up to '}{format_bytes(disk['states'])} of states at stages' ends")
    parts.append(f"{format_bytes(disk['checkpoint'])} of checkpoint for each trial that runs")
    rest = f"; {disk['unknown']} trials of networks never measured come on top" if disk["unknown"] else ""
    return f"Disk: {', '.join(parts)}{rest}."
