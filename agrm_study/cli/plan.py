"""The `plan` command: what `run` would do, and what it would cost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agrm_study.cli.options import results_folder, study_options
from agrm_study.cli.plan_cost import cost_sentence, disk_sentence, format_bytes, time_steps, timed_sentence
from agrm_study.cli.plan_parts import gpu_facts, gpu_sentence, race_facts, race_sentence, seeds_text

SEARCH_FACTS = (
    "trials",
    "finished",
    "pruned",
    "failed",
    "missing",
    "promote",
    "to_promote",
    "held_back",
    "nothing_to_promote",
)

if TYPE_CHECKING:
    from agrm_study.execution.data.prepared import Prepared
    from agrm_study.execution.dispatch.search_plan import SearchPlan
    from agrm_study.plan.plan import Plan
    from agrm_study.plan.stages import Stages
    from agrm_study.plan.trial import TrialSpec
    from agrm_study.records.location import Location
    from agrm_study.study.study import Study


@click.command()
@study_options
@click.option(
    "--measure", is_flag=True, help="Time a few training steps here, with made-up clips, for kinds of trials never run."
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, on stdout.")
def plan(
    study: Path, results: str | None, overrides: tuple[str, ...], preset: str | None, measure: bool, as_json: bool
) -> None:
    """Say what `run STUDY` would do: trials new, finished and failed, and what the missing ones cost."""
    from agrm_study.api.names import read_study
    from agrm_study.execution.data.prepare import prepare
    from agrm_study.execution.dispatch.search_plan import plan_search
    from agrm_study.plan.expand import expand
    from agrm_study.records.location import Location

    asked = read_study(study, overrides, preset)
    folder = results_folder(asked.name, results, preset)
    prepared = prepare(asked, folder, build=False)
    search = plan_search(asked, prepared, Location.of(folder))
    asked = asked if search is None else search.study
    whole = expand(asked, prepared.fingerprints)
    facts = _facts(asked, whole, prepared, folder, search, measure=measure)
    if as_json:
        click.echo(json.dumps(facts, indent=2))  # ASCII: the same on every terminal
    else:
        _show(facts)


def _facts(
    study: Study, plan: Plan, prepared: Prepared, folder: str | Path, search: SearchPlan | None, *, measure: bool
) -> dict[str, Any]:
    """The plan as plain values."""
    from agrm_study.execution.dispatch.edited_parts import edited_parts, measured_before
    from agrm_study.execution.dispatch.equal_trials import find_equal
    from agrm_study.execution.dispatch.race import standing as race_standing
    from agrm_study.execution.dispatch.to_run import trials_to_run
    from agrm_study.execution.trial.heartbeat import Heartbeat
    from agrm_study.plan.cost import estimate_cost, unmeasured
    from agrm_study.plan.disk import estimate_disk
    from agrm_study.plan.notes import study_notes
    from agrm_study.records.location import Location
    from agrm_study.records.reader import Ledger
    from agrm_study.records.schemas import PRUNED

    ledger = Ledger(str(folder))
    states = ledger.states()
    status = {trial.trial_id: states[trial.trial_id].status for trial in plan.trials if trial.trial_id in states}
    unfinished = plan.missing([trial for trial, its in status.items() if its == "finished"])
    equal = {found.trial.trial_id for found in find_equal(Location.of(folder), unfinished)}
    remaining = {trial: its for trial, its in states.items() if trial not in equal}
    to_run = trials_to_run(plan, remaining, started=Heartbeat.started(Location.of(folder)))
    missing = tuple(trial for trial in to_run.trials if trial.trial_id not in equal)
    records = ledger.trials()
    finished = records[(records["status"] == "finished") & (records["stop_reason"] != PRUNED)]
    measured: list[dict[str, Any]] = [{str(k): v for k, v in row.items()} for row in finished.to_dict("records")]
    measured = measured_before(measured, study)
    to_come = () if search is None else search.stand_ins
    race, cells = None, plan.cells
    if asked_race := study.race:
        standing = race_standing(study, plan, Location.of(folder), {trial.trial_id for trial in to_run.trials})
        wanted = standing.wanted()
        missing = tuple(trial for trial in missing if trial.trial_id in wanted)
        cells = tuple(c for c in cells if c.trial_id in wanted or status.get(c.trial_id) == "finished")
        race = race_facts(asked_race, standing, {trial.trial_id for trial in missing})
    stages, there = _stages(study, missing, Location.of(folder))
    inherited = stages.inherited(there)
    cost = estimate_cost([*missing, *to_come], measured, inherited=inherited)
    done = [trial_id for trial_id, state in states.items() if state.status == "finished"]
    edited = []
    for part in edited_parts(study, plan, missing, Location.of(folder), done):
        of_part = estimate_cost(part.trials, measured)
        edited.append(part.sentence(None if of_part is None else of_part.slot_hours))
    new = unmeasured([*missing, *to_come], measured)
    timed = time_steps(study, prepared, new, inherited) if measure else None
    estimated = None if timed is None else timed.record_bytes
    disk = estimate_disk(
        [*missing, *to_come],
        stages,
        measured,
        keep=study.sharing == "keep",
        record_bytes=ledger.bytes_on_disk() / len(states) if states else estimated,
        network_bytes={} if timed is None else timed.network_bytes,
    )
    epochs = sum(trial.recipe.epochs for trial in [*missing, *to_come])
    ends = Counter((c.arm, "reused" if c.trial_id in equal else status.get(c.trial_id)) for c in cells)
    of_arm = Counter(cell.arm for cell in cells)
    by_arm = [
        {
            "arm": arm.name,
            "cells": of_arm[arm.name],
            "finished": ends[arm.name, "finished"],
            "failed": ends[arm.name, "failed"],
            "reused": ends[arm.name, "reused"],
        }
        for arm in study.arms
    ]
    return {
        "study": study.name,
        "question": study.question,
        "notes": [*study_notes(study), *edited, *to_run.notes],
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
            "epochs_at_most": epochs - sum(inherited.values()),
        },
        "data_to_write": sorted(prepared.unwritten),
        "clip_stores": [
            {"path": store.path and str(store.path), "clips": store.clips, "bytes": store.bytes, "built": store.built}
            for store in prepared.store_sizes
        ],
        "cost": None if cost is None else asdict(cost),
        "timed": None if timed is None else timed.facts,
        "disk": None if disk is None else asdict(disk),
        "running_order": [trial.trial_id for trial in missing],
    }


def _stages(study: Study, missing: Sequence[TrialSpec], results: Location) -> tuple[Stages, set[str]]:
    """The stages of the missing trials, and those whose state is saved."""
    from agrm_study.execution.provenance import code_version
    from agrm_study.execution.trial.stage_store import StageStore
    from agrm_study.plan.stages import plan_stages

    there = set(StageStore.of(results).look(code_version())) if study.sharing else set()
    stages = plan_stages(missing, share=bool(study.sharing), known=there)
    return stages, there & stages.by_key.keys()


def _show(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"[bold]{escape(facts['study'])}[/]  {escape(facts['question'])}")
    console.print(
        f"tasks {', '.join(facts['tasks'])} · seeds {seeds_text(facts['seeds'])} · results {escape(facts['results'])}\n"
    )
    table = Table(box=None, pad_edge=False, header_style="dim")
    counts = ["cells", "finished", "failed", *(["reused"] if facts["equal_beside"] else []), "new"]
    for title in ("arm", *counts):
        table.add_column("trials" if title == "cells" else title, justify="left" if title == "arm" else "right")
    for arm in facts["arms"]:
        new = arm["cells"] - arm["finished"] - arm["failed"] - arm["reused"]
        table.add_row(escape(arm["arm"]), *(str((arm | {"new": new})[count]) for count in counts))
    if facts["arms"]:
        console.print(table)
        console.print()
    for note in facts["notes"]:
        console.print(f"[yellow]note:[/] {escape(note)}", soft_wrap=True)
    if facts["notes"]:
        console.print()
    search = facts["search"]
    if search is not None:
        console.print(_search_sentence(search, len(facts["seeds"]) * len(facts["tasks"])), soft_wrap=True)
    console.print(_trials_sentence(facts), soft_wrap=True)
    if facts["equal_beside"]:
        console.print(f"{facts['equal_beside']} trials are finished in results folders beside it; `run` reuses them")
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
    to_run = facts["missing"] + _to_come(search)
    if facts["timed"] is None or facts["cost"] is not None or not to_run:
        console.print(cost_sentence(facts["cost"], to_run), soft_wrap=True)
    if facts["timed"] is not None and to_run:
        console.print(escape(timed_sentence(facts["timed"])), soft_wrap=True)
    if facts["disk"] is not None:
        console.print(disk_sentence(facts["disk"], kept=facts["sharing"]["asked"] == "keep"), soft_wrap=True)


def _trials_sentence(facts: dict[str, Any]) -> str:
    """Number of trials, and of those to run, as a sentence."""
    merged = f" ({facts['merged']} cells share a trial with an equal one)" if facts["merged"] else ""
    words = f"{facts['trials']} trials{merged}, {facts['missing']} to run"
    if facts["search"] is None:
        return f"{words}, {facts['epochs_at_most']} epochs at most"
    known = "arms known so far" if facts["search"]["to_promote"] else "final phase"
    epochs = f"; search and final phase together: {facts['epochs_at_most']} epochs at most"
    return f"{known}: {words}{epochs if facts['epochs_at_most'] else ''}"


def _to_come(search: dict[str, int] | None) -> int:
    return 0 if search is None else search["missing"] + search["to_promote"]


def _sharing_sentence(sharing: dict[str, Any], alone: int) -> str:
    """Training saved by sharing, as a sentence."""
    shared = sharing["epochs_at_most"]
    there = f", {sharing['stages_there']} of them trained already" if sharing["stages_there"] else ""
    words = f"{sharing['stages_shared']} stages that trials share{there}" if sharing["stages_shared"] else "kept states"
    return f"{words}: {shared} epochs instead of {alone} ({1 - shared / alone:.0%} less)"


def _search_sentence(search: dict[str, int], replicates: int) -> str:
    """Trials of the search and the final trials that follow, as a sentence."""
    done = [f"{search['finished']} finished"] + [f"{search['pruned']} ended early"] * bool(search["pruned"])
    done += [f"{search['failed']} failed"] * bool(search["failed"])
    words = f"search: {search['trials']} trials on validation, {', '.join(done)}, {search['missing']} to run"
    if search["to_promote"]:
        words += f"; then its best {search['promote']} × {replicates} seeds, {search['to_promote']} trials more"
    if search["held_back"]:
        words += "; held back, as its trials keep failing in the same way: --retry-failed runs them"
    if search["nothing_to_promote"]:
        words += "; none finished with a defined metric, so nothing is promoted"
    return words
