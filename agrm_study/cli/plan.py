"""What would `run` do, and what would it cost?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agrm_study.cli.options import results_folder, study_options

SEARCH_FACTS = ("trials", "finished", "pruned", "failed", "missing", "promote", "to_promote")

if TYPE_CHECKING:
    from agrm_study.execution.prepare import Prepared
    from agrm_study.execution.search_plan import SearchPlan
    from agrm_study.plan.plan import Plan
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


def _facts(study: Study, plan: Plan, prepared: Prepared, folder: Path, search: SearchPlan | None) -> dict[str, Any]:
    """The plan in plain values."""
    from agrm_study.plan.cost import estimate_cost
    from agrm_study.records.reader import Ledger
    from agrm_study.records.schemas import PRUNED

    ledger = Ledger(str(folder))
    states = ledger.states()
    status = {trial.trial_id: states[trial.trial_id].status for trial in plan.trials if trial.trial_id in states}
    missing = plan.missing([trial for trial, its in status.items() if its == "finished"])
    records = ledger.trials()
    finished = records[(records["status"] == "finished") & (records["stop_reason"] != PRUNED)]
    measured: list[dict[str, Any]] = [{str(k): v for k, v in row.items()} for row in finished.to_dict("records")]
    to_come = () if search is None else search.stand_ins
    cost = estimate_cost([*missing, *to_come], measured)
    by_arm = [
        {
            "arm": arm.name,
            "cells": sum(cell.arm == arm.name for cell in plan.cells),
            "finished": sum(c.arm == arm.name and status.get(c.trial_id) == "finished" for c in plan.cells),
            "failed": sum(c.arm == arm.name and status.get(c.trial_id) == "failed" for c in plan.cells),
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
        "missing": len(missing),
        "search": None if search is None else {name: getattr(search, name) for name in SEARCH_FACTS},
        "epochs_at_most": sum(trial.recipe.epochs for trial in [*missing, *to_come]),
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
            "disk_bytes": cost.disk_bytes,
        },
        "running_order": [trial.trial_id for trial in missing],
    }


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
    if facts["data_to_write"]:
        console.print("The synthetic videos are not drawn yet; `run` draws them first.")
    for store in facts["clip_stores"]:
        state = "built" if store["built"] else "to build"
        console.print(f"clip store: {format_bytes(store['bytes'])}, {store['clips']} clips ({state})")
    console.print(_cost_sentence(facts["cost"], facts["missing"] + _to_come(search)))


def _to_come(search: dict[str, int] | None) -> int:
    return 0 if search is None else search["missing"] + search["to_promote"]


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
    disk = "" if cost["disk_bytes"] is None else f", {cost['disk_bytes'] / 1e9:.2f} GB of weights"
    return f"About {cost['slot_hours']:.2f}{spread} hours of one slot{disk}{rest}."
