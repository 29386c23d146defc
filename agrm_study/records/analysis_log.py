"""Log of the analysis settings fixed before the first test record, and of every later change: ``analysis.json``.

The comparisons, metrics and margins must not depend on results from the test part. Each entry contains the settings,
their hash, and the number of final trials that had finished when it was written.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger

FILE: Final = "analysis.json"
VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisEntry:
    """Analysis settings and the time at which they took effect.

    Attributes:
        settings: Reference, metric, families and similar settings, by name.
        digest: Hash of the settings, the previous entry's digest, and `tested`.
        tested: Number of final trials finished at that time.
        written_at: Time of writing in UTC, in ISO 8601 format.
    """

    settings: dict[str, Any]
    digest: str
    tested: int
    written_at: str


def read_analysis(results: str | Path | Location) -> tuple[AnalysisEntry, ...]:
    """The entries in chronological order; empty if the file is missing or damaged."""
    try:
        value = json.loads((Location.of(results) / FILE).read() or b"{}")
        entries = tuple(AnalysisEntry(**entry) for entry in value["entries"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    before = ""
    for entry in entries:
        if entry.digest != _digest(entry.settings, entry.tested, before):
            return ()
        before = entry.digest
    return entries


def fix_analysis(results: str | Path | Location, settings: Mapping[str, Any]) -> None:
    """Records the analysis settings of a study unless they equal the last recorded settings.

    Args:
        results: Results folder.
        settings: Plain JSON values by name.

    Raises:
        OSError: If writing fails.
    """
    location = Location.of(results)
    entries = read_analysis(location)
    plain = json.loads(json.dumps(dict(settings)))
    if entries and entries[-1].settings == plain:
        return
    trials = Ledger(location).trials()
    tested = int(((trials["status"] == "finished") & (trials["phase"] == "final")).sum())
    digest = _digest(plain, tested, entries[-1].digest if entries else "")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entry = AnalysisEntry(settings=plain, digest=digest, tested=tested, written_at=now)
    content = {"analysis_version": VERSION, "entries": [asdict(e) for e in (*entries, entry)]}
    (location / FILE).write_atomic((json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def analysis_changes(results: str | Path | Location, settings: Mapping[str, Any]) -> list[str]:
    """Descriptions of settings that were fixed or changed after a test record was written.

    Args:
        results: Results folder.
        settings: Settings used by the report.
    """
    entries = read_analysis(results)
    if not entries:
        return ["the analysis settings were not recorded before the first test record, or their record is damaged"]
    said = []
    first = entries[0]
    if first.tested:
        said.append(f"the analysis settings were first recorded when {first.tested} final trials had finished")
    for old, new in itertools.pairwise(entries):
        if new.tested:
            said += _differences(old.settings, new.settings, f"on {new.written_at}, after {new.tested} final trials")
    plain = json.loads(json.dumps(dict(settings)))
    said += _differences(entries[-1].settings, plain, "since the last run")
    return said


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], when: str) -> list[str]:
    names = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return [f"{name} changed from {json.dumps(old.get(name))} to {json.dumps(new.get(name))} {when}" for name in names]


def _digest(settings: Mapping[str, Any], tested: int, before: str) -> str:
    text = json.dumps([before, tested, settings], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
