"""How far is a study's search, seen from its results folder alone?"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from agrm_study.plan.plan import Cell
from agrm_study.records.reader import Ledger
from agrm_study.records.schemas import PRUNED
from agrm_study.records.search_log import SearchLog
from agrm_study.records.validation_scores import column, read_scores
from agrm_study.study.reported import reported_in_record


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchStatus:
    """How far a search is.

    Attributes:
        trials: Trials that it is to have in all.
        finished: Trials that ran to their end.
        pruned: Trials that the pruner ended early.
        failed: Trials whose last word is a failure.
        running: Trials under way, or begun and not finished.
        waiting: Trials that are to come; 0 once the best were promoted.
        metric: Its first objective, a validation metric.
        best: The best of it so far; None before a trial has finished.
        best_arm: The point that reached it.
        to_promote: Trials of the final phase that its end will add; 0 once they are planned.
    """

    trials: int
    finished: int
    pruned: int
    failed: int
    running: int
    waiting: int
    metric: str
    best: float | None
    best_arm: str | None
    to_promote: int

    @property
    def total(self) -> int:
        """Trials of the search, without those that could not be drawn any more."""
        return self.finished + self.pruned + self.failed + self.running + self.waiting


def search_cells(log: SearchLog | None) -> tuple[Cell, ...]:
    """Each trial that the search has drawn, as a cell named after its point."""
    if log is None:
        return ()
    cells = {p.trial_id: Cell(p.arm, log.task, log.seed, p.trial_id) for p in log.proposals if p.trial_id}
    return tuple(cells.values())


def search_status(
    log: SearchLog, ledger: Ledger, cells: Collection[Cell], begun: Collection[str], network: str
) -> SearchStatus:
    """The status of a search.

    Args:
        log: Its search.json.
        ledger: The records.
        cells: Its trials, of `search_cells`.
        begun: Trials under way.
        network: `evaluate.network` of the study's base recipe.
    """
    arms = {cell.trial_id: cell.arm for cell in cells}
    trials = ledger.trials()
    mine = trials[trials["trial_id"].isin(list(arms)) & ~trials["trial_id"].isin(list(begun))]
    ended = mine[mine["status"] == "finished"]
    full = ended[ended["stop_reason"] != PRUNED]
    best_epochs = {str(t): int(e) for t, e in zip(full["trial_id"], full["best_epoch"], strict=True)}
    networks = {
        trial_id: reported_in_record(method, json.loads(params), network)
        for trial_id, method, params in zip(full["trial_id"], full["method"], full["params"], strict=True)
    }
    scores = read_scores(ledger, best_epochs, log.metric[:1], networks.__getitem__)
    values = {t: s.values[0] for t, s in scores.items() if s.values[0] == s.values[0]}
    choose = max if log.directions[0] == "maximize" else min
    drawn_first = [trial_id for trial_id in arms if trial_id in values]  # of equal ones the first, as in a promotion
    best = choose(drawn_first, key=lambda trial_id: values[trial_id]) if values else None
    failed = int((mine["status"] == "failed").sum())
    return SearchStatus(
        trials=log.trials,
        finished=len(full),
        pruned=len(ended) - len(full),
        failed=failed,
        running=len(begun),
        waiting=0 if log.to_promote == 0 < len(full) else max(0, log.trials - len(ended) - failed - len(begun)),
        metric=column(log.metric[0]),
        best=values[best] if best is not None else None,
        best_arm=arms[best] if best is not None else None,
        to_promote=log.to_promote,
    )
