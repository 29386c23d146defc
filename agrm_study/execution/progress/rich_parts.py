"""Terminal text with escaped control characters, and the table of the best points of a search."""

from __future__ import annotations

from typing import Any, Final

import rich.text
from rich.console import Group, RenderableType
from rich.table import Table

from agrm_study.execution.progress.state import StudyProgress
from agrm_study.study.counted import counted
from agrm_study.study.terminal import printable


class Text(rich.text.Text):
    """Rich's `Text` with `printable` content."""

    def __init__(self, text: str = "", *arguments: Any, **options: Any) -> None:
        super().__init__(printable(text), *arguments, **options)


MOST: Final = 5
DIM: Final = "bright_black"


def search_table(progress: StudyProgress, width: int) -> RenderableType:
    """The best finished trials, and the number of pruned trials."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=max(20, width - 30))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True, style=DIM)
    table.add_row(Text("search: best so far", style=DIM), Text(progress.metric, style=DIM), "")
    best = progress.best(MOST)
    for place, trial in enumerate(best):
        style = "bold" if place == 0 else "default"
        table.add_row(
            Text(trial.arm, style=style), Text(f"{trial.metric:.3f}", style=style), counted(trial.epoch, "epoch")
        )
    pruned = sum(trial.pruned for trial in progress.trials.values())
    rest = [] if best else [Text("no trial has finished yet", style=DIM)]
    if pruned:
        rest.append(Text(f"{pruned} ended early by the pruner", style=DIM))
    return Group(table, *rest)
