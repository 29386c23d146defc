"""Reports on local and remote results folders, with compaction, local copies of object stores, and upload of the
generated files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agrm_study.records.compaction import compact
from agrm_study.records.local_copy import local_copy, put_back
from agrm_study.report.build import ReportSummary, make_report
from agrm_study.study.parts.source import OwnPart


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderReport:
    """Reports of several results folders.

    Attributes:
        folders: The folders that were read, in the given order; temporary local copies in the case of object stores.
        summary: Output of the report, with these folders as keys.
    """

    folders: tuple[Path, ...]
    summary: ReportSummary


def report_on(
    results: Sequence[str | Path],
    *,
    tables: Sequence[str] | None = None,
    figures: Sequence[str] | None = None,
    allow: Sequence[str] = (),
    parts: Sequence[OwnPart] = (),
    on_progress: Callable[[str], None] | None = None,
) -> FolderReport:
    """Write the tables, figures and page for each results folder into that folder.

    Args:
        results: Results folders, paths or URIs.
        tables: See `make_report`, which also documents the remaining parameters.

    Raises:
        InputError: If a folder has no results, or a name does not exist.
        OSError: If the report cannot be written.
    """
    for folder in results:
        with contextlib.suppress(OSError):  # a read-only folder is reported without compaction
            compact(folder)
    with contextlib.ExitStack() as copies:
        folders = tuple(copies.enter_context(local_copy(folder)) for folder in results)
        summary = make_report(
            folders,
            tables=tables,
            figures=figures,
            allow=allow,
            parts=parts,
            on_progress=on_progress,
        )
        for asked, folder in zip(results, folders, strict=True):
            put_back(asked, folder, summary.files)
    return FolderReport(folders=folders, summary=summary)
