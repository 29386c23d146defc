"""Layout with one small panel per arm, shared by the figures with curves over all thresholds."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.figure import Figure

from agrm_study.report.figures.style import TWO_COLUMNS_IN

MOST_COLUMNS = 4


def curve_panels(count: int, *, x_title: str, y_title: str, narrowest_in: float) -> tuple[Figure, list[Any]]:
    """An empty figure and the axes of its panels, with titles on the outer axes only.

    Args:
        count: Number of panels.
        x_title: Title of the horizontal axes.
        y_title: Title of the vertical axes.
        narrowest_in: Minimum width of the figure, in inches.
    """
    columns = min(MOST_COLUMNS, count)
    rows = math.ceil(count / columns)
    width = TWO_COLUMNS_IN * columns / MOST_COLUMNS + (0.3 if columns < MOST_COLUMNS else 0)
    figure = Figure(figsize=(max(width, narrowest_in), 1.95 * rows), layout="constrained")
    grid: Any = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    panels = list(grid.ravel())
    for k, axes in enumerate(panels):
        if k >= count:
            axes.set_axis_off()
            continue
        if k % columns == 0:
            axes.set_ylabel(y_title)
        if k + columns >= count:
            axes.set_xlabel(x_title)
            axes.tick_params(labelbottom=True)
    return figure, panels[:count]
