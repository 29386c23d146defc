"""What is the study in a results folder doing right now, seen from any shell?"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from agrm_study.cli.completion import complete_results

if TYPE_CHECKING:
    from agrm_study.execution.progress.snapshot import Snapshot, Watcher

SHARE_OF_TIME = 10
"""A look that took long is followed by a pause this many times as long, whatever --interval says."""


@click.command(short_help="Watch a study as it runs, from any shell.")
@click.argument("results", type=str, shell_complete=complete_results)
@click.option(
    "--interval",
    type=click.FloatRange(min=0.2),
    default=2.0,
    show_default=True,
    metavar="S",
    help="Seconds between two looks.",
)
@click.option("--once", is_flag=True, help="Look once, print what is there, and end.")
def watch(results: str, interval: float, once: bool) -> int:
    """Show the study in RESULTS as it runs, from any shell or machine that sees the folder.

    Ends by itself when nobody runs the study and nothing of it is left, with exit code 1 when some of it failed.
    Without a terminal it writes one line a minute. Watching never disturbs the study.
    """
    from agrm_study.execution.progress.snapshot import Watcher
    from agrm_study.execution.progress.watching import WatchLines, WatchPicture, summary_words

    watcher = Watcher(results)
    first = watcher.look()
    last = first
    try:
        if sys.stderr.isatty():
            picture = WatchPicture()
            with picture:
                last = _follow(watcher, first, picture.show, interval, once)
            click.echo(summary_words(last), err=True)
        else:
            last = _follow(watcher, first, WatchLines(sys.stderr).show, interval, once)
    except KeyboardInterrupt:
        click.echo("stopped watching; the study is not touched", err=True)
        return 0
    if last.status is None or last.left:
        return 0 if last.owner is not None else 1
    return 1 if last.status.failed else 0


def _follow(
    watcher: Watcher, sight: Snapshot, show: Callable[[Snapshot], None], interval: float, once: bool
) -> Snapshot:
    """Shows every look until nothing can change any more; gives the last."""
    from agrm_study.records.patience import retry_storage

    show(sight)
    while not (once or sight.over):
        time.sleep(interval)
        began = time.monotonic()
        sight = retry_storage(watcher.look)
        show(sight)
        if not sight.over:
            time.sleep(max(0.0, SHARE_OF_TIME * (time.monotonic() - began) - interval))
    return sight
