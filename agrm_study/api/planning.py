"""Planning of a study: the work that `run` would do, given its results folder, and the cost."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

from agrm_study.api.folds import folds_summary
from agrm_study.execution.data.prepare import prepare
from agrm_study.execution.data.prepared import Prepared
from agrm_study.execution.dispatch.budget import Limits
from agrm_study.execution.dispatch.edited_parts import edited_parts, measured_trials
from agrm_study.execution.dispatch.equal_trials import find_equal
from agrm_study.execution.dispatch.known_trials import healing, read_known
from agrm_study.execution.dispatch.more_epochs import Longer, longer_notes, longer_trials
from agrm_study.execution.dispatch.race import RaceState
from agrm_study.execution.dispatch.search_phase import plan_search
from agrm_study.execution.dispatch.to_run import trials_to_run
from agrm_study.execution.provenance import code_version
from agrm_study.execution.resources.calibration import Calibration, calibrate
from agrm_study.execution.resources.capacity import Resources, local_slots
from agrm_study.execution.resources.folders import existing
from agrm_study.execution.resources.gpu_share import known_share
from agrm_study.execution.results_folder.usage import read_used
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.execution.trial.stage_store import StageStore
from agrm_study.plan.averages import arm_steps, memory_notes
from agrm_study.plan.budget import bought
from agrm_study.plan.cost import estimate_cost, trial_seconds, unmeasured
from agrm_study.plan.disk import estimate_disk
from agrm_study.plan.expand import expand
from agrm_study.plan.notes import study_notes
from agrm_study.plan.own_stages import EPOCHS, declared_epochs
from agrm_study.plan.plan import Cell
from agrm_study.plan.rehearsed import bound_cost, record_bytes
from agrm_study.plan.stages import plan_stages
from agrm_study.plan.summary import ArmSummary, GpuSummary, PlanSummary, RaceSummary, SharingSummary, TimedSummary
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger, TrialState
from agrm_study.records.study_file import read_study
from agrm_study.study.study import Study

OnShape = Callable[[int, int, str], None]
"""Callback that receives the number of the shape being timed, the total, and a description."""


def plan_study(
    asked: Study,
    folder: str | Path,
    *,
    measure: bool = False,
    on_shape: OnShape = lambda index, total, words: None,
    limits: Limits | None = None,
    slots: int | None = None,
) -> PlanSummary:
    """Plan a study without writing or running anything.

    Args:
        asked: The study.
        folder: Results folder, which need not exist.
        measure: Time a few training steps of each kind of trial that has never run.
        on_shape: Receives the progress of the measurement.
        limits: Limits of a run, to show the trials that can run within them.
        slots: Number of concurrent trials within the limits; by default as many as fit on this machine.

    Raises:
        InputError: If the study's data are invalid.
    """
    results = Location.of(folder)
    prepared = prepare(asked, folder, build=False)
    known = read_known(results)
    search = plan_search(asked, prepared, results, known)
    study, stand_ins = (asked, ()) if search is None else (search.study, search.stand_ins)
    plan = expand(study, prepared.fingerprints)
    ledger = Ledger(results)
    states = known.states
    status = {trial.trial_id: states[trial.trial_id].status for trial in plan.trials if trial.trial_id in states}
    finished = {trial_id for trial_id, its in status.items() if its == "finished"}
    unfinished = plan.missing(finished)
    equal = {trial.trial_id for trial, _ in find_equal(results, unfinished)}
    remaining = {trial_id: state for trial_id, state in states.items() if trial_id not in equal}
    to_run = trials_to_run(plan, remaining, started=Heartbeat.started(results))
    missing = tuple(trial for trial in to_run.trials if trial.trial_id not in equal)
    healed = healing(results, known, [trial.trial_id for trial in missing])
    cells, race = plan.cells, None
    if study.race is not None:
        race = RaceState(study, plan, results, {trial.trial_id for trial in to_run.trials})
        wanted = race.wanted()
        missing = tuple(trial for trial in missing if trial.trial_id in wanted)
        cells = tuple(c for c in cells if c.trial_id in wanted or c.trial_id in finished)
    there = set(StageStore.of(results).look(code_version())) if study.sharing else set()
    to_train = [trial for trial in missing if trial.trial_id not in healed.predicted]
    stages = plan_stages(to_train, share=bool(study.sharing), known=there)
    there &= stages.by_key.keys()
    inherited = stages.inherited(there)

    measured = measured_trials(ledger, study)
    trials = [*to_train, *stand_ins]
    new = unmeasured(trials, measured)
    resources = study.resources
    calibration = calibrate(new, cpu=resources.cpu, gpu=resources.gpu != 0, on_shape=on_shape) if measure else None
    clips = prepared.clip_counts
    new_bytes = fmean(record_bytes(trial.recipe, clips(trial.recipe)) for trial in new) if calibration and new else None
    disk = estimate_disk(
        trials,
        stages,
        measured,
        keep=study.sharing == "keep",
        keep_weights=study.keep_weights != "none",
        free=shutil.disk_usage(existing(Path(results.path))).free if results.is_local else None,
        record_bytes=ledger.bytes_on_disk() / len(states) if states else new_bytes,
        network_bytes={} if calibration is None else {t: its.network_bytes for t, its in calibration.trials.items()},
    )
    edited = []
    done = [trial_id for trial_id, state in states.items() if state.status == "finished"]
    for part in edited_parts(study, plan, missing, results, done):
        of_part = estimate_cost(part.trials, measured)
        edited.append(part.sentence(None if of_part is None else of_part.slot_hours))
    longer = _longer_notes(study, to_train, states, prepared, inherited, results)
    epochs = sum(trial.recipe.epochs for trial in trials)
    used = read_used(results, resources, states)
    gpu = _gpu_summary(study, results)
    buys = None
    if limits is not None and limits.any:
        share = 0.0 if gpu is None else gpu.share or 1.0
        seconds = trial_seconds(trials, measured, inherited=inherited)
        buys = bought(
            seconds,
            slots=slots or local_slots(Resources(cpu=resources.cpu, gpu=share)),
            gpu=share,
            used_gpu_hours=used.gpu_hours,
            **asdict(limits),
        )
    steps = arm_steps(study, clips)
    return PlanSummary(
        study=study.name,
        question=study.question,
        notes=(
            *study_notes(study),
            *prepared.notes,
            *memory_notes(steps),
            *edited,
            *longer,
            *known.faults(plan.by_id),
            *healed.notes,
            *to_run.notes,
        ),
        results=str(folder),
        tasks=tuple(study.tasks),
        seeds=tuple(study.seeds),
        arms=_by_arm(study, cells, status, equal),
        cells=len(plan.cells),
        trials=len(plan.trials),
        merged=plan.merged,
        finished=len(finished),
        failed=sum(its == "failed" for its in status.values()),
        equal_beside=len(equal),
        missing=len(missing),
        race=None if race is None else _race_summary(study, race, missing),
        folds=folds_summary(study, prepared, plan.cells, finished | equal),
        gpu=gpu,
        search=None if search is None else search.summary,
        epochs_at_most=epochs,
        steps=steps,
        sharing=SharingSummary(
            asked=study.sharing,
            stages_shared=sum(stage.shared for stage in stages.stages),
            stages_there=len(there),
            epochs_at_most=epochs - sum(inherited.values()),
        ),
        data_to_write=tuple(sorted(prepared.unwritten)),
        clip_stores=prepared.store_sizes,
        cost=estimate_cost(trials, measured, inherited=inherited),
        timed=None if calibration is None else _timed_summary(calibration, new, prepared, inherited),
        disk=disk,
        running_order=tuple(trial.trial_id for trial in missing),
        cpu_hours=used.cpu_hours,
        gpu_hours=used.gpu_hours,
        bought=buys,
    )


def _longer_notes(
    study: Study,
    missing: Sequence[TrialSpec],
    states: Mapping[str, TrialState],
    prepared: Prepared,
    inherited: Mapping[str, int],
    results: Location,
) -> list[str]:
    """Notes on the trials that continue from shorter trials, and the reasons why others do not."""
    if not missing or not states:
        return []
    before = [arm.recipe.epochs for arm in read_study(results).arms] if (results / "study.yaml").exists() else []
    longer = longer_trials(study, missing, states, prepared.fingerprints, inherited, before)
    if not longer:
        return []
    store = StageStore.of(results)
    if study.base.own_trainer and not all(_can_continue(each) for each in longer):
        lost = "their trainer does not declare all of these epochs as shared"
    elif store.root.children() and not store.look(code_version()):
        lost = "the saved states come from a different version of the code"
    else:
        lost = "no states of these trials were saved (`sharing: keep` saves the states of later trials)"
    return longer_notes(longer, lost=lost)


def _can_continue(longer: Longer) -> bool:
    """Whether a user-defined trainer supports the continuation of a shorter trial."""
    declared = declared_epochs(longer.trial.recipe)
    return declared.last >= longer.before and EPOCHS not in declared.names


def _by_arm(
    study: Study, cells: Sequence[Cell], status: Mapping[str, str], equal: Collection[str]
) -> tuple[ArmSummary, ...]:
    ends = Counter((c.arm, "reused" if c.trial_id in equal else status.get(c.trial_id)) for c in cells)
    of_arm = Counter(cell.arm for cell in cells)
    return tuple(
        ArmSummary(
            arm=arm.name,
            cells=of_arm[arm.name],
            finished=ends[arm.name, "finished"],
            failed=ends[arm.name, "failed"],
            reused=ends[arm.name, "reused"],
        )
        for arm in study.arms
    )


def _race_summary(study: Study, race: RaceState, missing: Collection[TrialSpec]) -> RaceSummary:
    assert study.race is not None
    trial_ids = {trial.trial_id for trial in missing}
    return RaceSummary(
        **study.race.model_dump(mode="json"),
        stopped=race.log().stopped,
        at_least=race.at_least(trial_ids),
        at_most=race.at_most(trial_ids),
    )


def _gpu_summary(study: Study, results: Location) -> GpuSummary | None:
    """The GPU share of a trial and the number of trials per GPU; ``None`` for a study without GPUs."""
    asked = study.resources.gpu
    if asked == 0:
        return None
    measured = known_share(results, [arm.recipe for arm in study.arms]) if asked == "auto" else None
    share = asked if asked != "auto" else measured.gpu if measured is not None else None
    return GpuSummary(
        asked=asked,
        share=share,
        trials_on_one=None if share is None else int(1 / share + 1e-6),
        note="" if measured is None else measured.note,
    )


def _timed_summary(
    found: Calibration, trials: Sequence[TrialSpec], prepared: Prepared, inherited: Mapping[str, int]
) -> TimedSummary:
    bound = bound_cost(trials, found.trials, prepared.clip_counts, inherited=inherited)
    return TimedSummary(
        device=found.device,
        threads=found.threads,
        shapes=found.shapes,
        steps=found.steps,
        problems=found.problems,
        slot_hours_at_most=None if bound is None else bound.slot_hours,
        plus_minus=None if bound is None else bound.plus_minus,
        trials_covered=0 if bound is None else bound.trials_covered,
        trials_unknown=len(trials) if bound is None else bound.trials_unknown,
    )
