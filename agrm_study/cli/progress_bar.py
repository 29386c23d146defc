"""Progress of one long step: a bar on a terminal, otherwise one line at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agrm_study.execution.data.prepare import Step


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A callback ``(done, total)`` that updates a bar on stderr while the block runs."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    started = time.monotonic()
    last = (0, 0)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(title, total=None)

        def on_progress(done: int, total: int) -> None:
            nonlocal last
            last = (done, total)
            progress.update(task, completed=done, total=total)

        yield on_progress
    if last[1]:
        console.print(f"{title}: {last[0]} of {last[1]} in {time.monotonic() - started:.0f} s", highlight=False)


@contextmanager
def step_bars() -> Iterator[Callable[[Step], None]]:
    """A callback for the steps of a preparation; shows one bar per step, in sequence."""
    with ExitStack() as open_bars:
        bars: dict[str, Callable[[int, int], None]] = {}

        def on_step(step: Step) -> None:
            if step.title not in bars:
                open_bars.close()
                bars[step.title] = open_bars.enter_context(progress_bar(step.title))
            bars[step.title](step.done, step.total)

        yield on_step
