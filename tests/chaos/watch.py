"""Monitor that verifies that a finished trial's record never changes."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq


class Watch:
    """Looks at a results folder again and again: a finished trial's record must stay the very same file."""

    def __init__(self, results: Path) -> None:
        self._results = results
        self._seen: dict[str, tuple[int, int]] = {}
        self.finished: dict[str, tuple[tuple[int, int], int]] = {}  # trial → (inode and mtime, attempt)
        self.violations: list[str] = []

    def look(self) -> int:
        """How many trials have finished."""
        for file in (self._results / "records" / "trials").glob("[!.]*.parquet"):
            stat = file.stat()
            stamp = (stat.st_ino, stat.st_mtime_ns)
            if self._seen.get(file.stem) == stamp:
                continue
            self._seen[file.stem] = stamp
            row = pq.read_table(file, columns=["status", "attempt"]).to_pylist()[0]
            if file.stem in self.finished:
                self.violations.append(f"{file.stem} had finished and its record was written again: {row}")
            if row["status"] == "finished":
                self.finished[file.stem] = (stamp, row["attempt"])
        for trial_id, (_, attempt) in self.finished.items():
            beat = self._results / ".run" / "heartbeats" / f"{trial_id}.json"
            try:
                latest = json.loads(beat.read_text())["attempt"]
            except (OSError, ValueError):
                continue
            if latest > attempt:
                self.violations.append(f"{trial_id} had finished in attempt {attempt} and was started again: {latest}")
        return len(self.finished)
