"""The `watch` command: follows the study in a results folder, from any shell."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from agrm_study.cli.completion import complete_results
from agrm_study.study.terminal import printable

if TYPE_CHECKING:
    from agrm_study.execution.progress.snapshot import Snapshot, SnapshotReader

SHARE_OF_TIME = 10
"""Minimum ratio of the pause after a snapshot to the time taken to read it."""


@click.command(short_help="Watch a study as it runs, from any shell.")
@click.argument("results", type=str, shell_complete=complete_results)
@click.option(
    "--interval",
    type=click.FloatRange(min=0.2),
    default=2.0,
    show_default=True,
    metavar="S",
    help="Seconds between two snapshots.",
)
@click.option("--once", is_flag=True, help="Print one snapshot and exit.")
def watch(results: str, interval: float, once: bool) -> int:
    """Show the study in RESULTS as it runs, from any shell or machine that can access the folder.

    Exits when no process runs the study and its state can no longer change; the exit code is 1 if the study is
    incomplete. Without a terminal it writes one line per minute. Watching does not affect the study.
    """
    from agrm_study.execution.progress.snapshot import SnapshotReader
    from agrm_study.execution.progress.watching import WatchLines, WatchPicture, summary_words

    reader = SnapshotReader(results)
    first = reader.read()
    last = first
    try:
        if sys.stderr.isatty():
            picture = WatchPicture()
            with picture:
                last = _follow(reader, first, picture.show, interval, once)
            click.echo(printable(summary_words(last)), err=True)
        else:
            last = _follow(reader, first, WatchLines(sys.stderr).show, interval, once)
    except KeyboardInterrupt:
        click.echo("stopped watching; the study continues", err=True)
        return 0
    runs = last.owner is not None and (last.final is None or last.left > 0)
    return 0 if runs or last.complete else 1


def _follow(
    reader: SnapshotReader, snapshot: Snapshot, show: Callable[[Snapshot], None], interval: float, once: bool
) -> Snapshot:
    """Show snapshots until the state can no longer change; returns the last snapshot."""
    from agrm_study.records.patience import retry_storage

    show(snapshot)
    while not (once or snapshot.over):
        time.sleep(interval)
        began = time.monotonic()
        snapshot = retry_storage(reader.read)
        show(snapshot)
        if not snapshot.over:
            time.sleep(max(0.0, SHARE_OF_TIME * (time.monotonic() - began) - interval))
    return snapshot
