"""Reading of the ledger: finished and failed trials, their epochs and predictions.

A file that cannot be read is listed in `Ledger.problems` instead of raising an error: its trial counts as unfinished.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from agrm_study.records.files import COMPACTED, RecordFiles, RecordProblem
from agrm_study.records.location import Location
from agrm_study.records.schemas import SCHEMAS, Kind

_TEXT: Final = pa.dictionary(pa.int32(), pa.string())
"""Type of columns with repeated strings, read as dictionaries to reduce memory use by a factor of ten."""


@dataclass(frozen=True, slots=True)
class TrialState:
    """State of one trial in the ledger.

    Attributes:
        status: ``finished`` or ``failed``.
        failure: Class of the failure; ``None`` if finished.
        error: Message of the failure.
        attempt: Number of starts so far.
        wall_s: Seconds of training.
        stop_reason: Reason why a finished trial ended.
        epochs: Number of completed epochs.
        best_epoch: Best epoch of a finished trial.
    """

    status: str
    failure: str | None
    error: str | None
    attempt: int
    wall_s: float | None
    stop_reason: str | None = None
    epochs: int | None = None
    best_epoch: int | None = None


class Ledger:
    """Reads the records of one results folder.

    Every method rereads the folder and therefore returns the latest state of a study that is still running.

    Args:
        root: Results folder; a local path or a URI.
    """

    def __init__(self, root: str | Path | Location) -> None:
        self.records = Location.of(root) / "records"
        self._files = RecordFiles(self.records)

    @property
    def problems(self) -> tuple[RecordProblem, ...]:
        """Problems found so far, sorted by path."""
        found = self._files.problems
        return tuple(found[path] for path in sorted(found))

    def finished_ids(self) -> frozenset[str]:
        """Ids of the finished trials."""
        return frozenset(trial_id for trial_id, state in self.states().items() if state.status == "finished")

    def states(self) -> dict[str, TrialState]:
        """State of each recorded trial, by trial id."""
        names = ["trial_id", *(field.name for field in fields(TrialState))]
        columns = self._one_row_each(self._files.table("trials", names)).to_pydict()
        rows = zip(*(columns[name] for name in names), strict=True)
        return {trial_id: TrialState(*rest) for trial_id, *rest in rows}

    def failed(self) -> pd.DataFrame:
        """The `trials` records of trials whose last attempt failed."""
        trials = self.trials()
        return trials[trials["status"] == "failed"].reset_index(drop=True)

    def trials(self, *, trial_ids: Collection[str] | None = None) -> pd.DataFrame:
        """The `trials` records of all trials or of the given trials, one row per trial, sorted by trial id."""
        wanted = None if trial_ids is None else frozenset(trial_ids)
        return frame_of(self._one_row_each(self._files.table("trials", wanted=wanted)), ["trial_id"])

    def _one_row_each(self, trials: pa.Table) -> pa.Table:
        """The `trials` records, one row per trial; trials with conflicting rows are left out and reported."""
        ids = trials["trial_id"]
        if pc.count_distinct(ids).as_py() == len(ids):
            return trials
        frame = trials.to_pandas()
        several = frame.groupby("trial_id").size().loc[lambda rows: rows > 1].index
        keep = ~frame.duplicated()
        left = frame[keep & frame["trial_id"].isin(several)].groupby("trial_id").size()
        for trial_id, rows in left.items():
            if rows == 1:
                reason = "has duplicate rows and is counted once"
                self._files.note(f"records/trials of trial {trial_id}", reason, used=True)
            else:
                self._files.note(
                    f"records/trials of trial {trial_id}", f"has {rows} conflicting rows and is not counted"
                )
        conflicting = list(left[left > 1].index)
        return trials.filter(pa.array(keep & ~frame["trial_id"].isin(conflicting)))

    def table(self, kind: Kind, trial_id: str) -> pa.Table:
        """The records of one kind for one trial, as written."""
        return self._files.table(kind, wanted=frozenset([trial_id]))

    def table_of(self, kind: Kind, trial_ids: Collection[str] | None = None) -> pa.Table:
        """Complete rows of one kind as an Arrow table; one row per trial for the `trials` record."""
        table = self._files.table(kind, wanted=None if trial_ids is None else frozenset(trial_ids))
        return self._one_row_each(table) if kind == "trials" else table

    def epochs(self, *, trial_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """The `epochs` records of finished trials (or of the given trials), sorted."""
        wanted = self.finished_ids() if trial_ids is None else frozenset(trial_ids)
        return frame_of(self._files.table("epochs", wanted=wanted), ["trial_id", "epoch", "split", "network"])

    def epoch_table(self, columns: Sequence[str] | None, *, trial_ids: Sequence[str] | None = None) -> pa.Table:
        """Columns of the `epochs` records (all if None) as an unsorted Arrow table, suited to thousands of trials."""
        wanted = self.finished_ids() if trial_ids is None else frozenset(trial_ids)
        return self._files.table("epochs", columns, wanted=wanted)

    def predictions(
        self, split: str | None = None, network: str | None = None, *, trial_ids: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The `predictions` records of finished trials (or of the given trials), for one part and network if given.

        ``logits`` is a float32 array of shape (K,) in each row.
        """
        table = self.prediction_table(split, network, trial_ids=trial_ids)
        table = pa.table([table[f.name].cast(f.type) for f in SCHEMAS["predictions"]], names=table.column_names)
        return frame_of(table, ["trial_id", "split", "clip_id", "network"])

    def prediction_table(
        self,
        split: str | None = None,
        network: str | None = None,
        *,
        trial_ids: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Like `predictions`, but as an unsorted Arrow table with dictionary-encoded text; suited to many trials."""
        wanted = self.finished_ids() if trial_ids is None else frozenset(trial_ids)
        where = None
        if trial_ids is not None and 0 < len(wanted) <= 500:
            names = sorted(wanted)  # the bounds allow whole row groups to be skipped
            where = ds.field("trial_id").isin(names)
            where &= (ds.field("trial_id") >= names[0]) & (ds.field("trial_id") <= names[-1])
        for column, value in (("split", split), ("network", network)):
            if value is not None:
                condition = ds.field(column) == value
                where = condition if where is None else where & condition
        schema = pa.schema([f.with_type(_TEXT) if f.type == pa.string() else f for f in SCHEMAS["predictions"]])
        return self._files.table("predictions", columns, wanted=wanted, where=where, schema=schema)

    def subjects(self) -> pd.DataFrame:
        """The `subjects` records of every split, sorted."""
        return frame_of(self._files.table("subjects"), ["split_fingerprint", "split", "subject_id"])

    def bytes_on_disk(self) -> int:
        """Size of the trial records in bytes."""
        kinds: tuple[Kind, ...] = ("trials", "epochs", "predictions")
        stamps = [file.stamp() for kind in kinds for file in self._files.files(kind)]
        return sum(stamp[2] for stamp in stamps if stamp is not None)

    def loose_files(self, kind: Kind) -> list[Location]:
        """Files that have not been compacted, one per trial."""
        return [f for f in self._files.files(kind) if not f.name.startswith(COMPACTED)]

    def recorded(self, kind: Kind) -> set[str]:
        """Trials that have a file of the given kind, according to file names and the metadata of compacted files."""
        files = self._files.files(kind)
        found = {f.name.removesuffix(".parquet") for f in files if not f.name.startswith(COMPACTED)}
        for file in files:
            if file.name.startswith(COMPACTED):
                found |= self._files.held(kind, file, "trial_id")
        return found


def frame_of(table: pa.Table, order: list[str]) -> pd.DataFrame:
    """Rows as a data frame, sorted by the given columns."""
    frame: pd.DataFrame = table.to_pandas()
    return frame.sort_values(order, kind="stable", ignore_index=True)
