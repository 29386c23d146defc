"""Display of figures in a notebook without pyplot."""

from __future__ import annotations

from agrm_study.api.notebook_view import shell


def show_figures() -> None:
    """Registers a PNG formatter for matplotlib figures in a notebook, unless one exists; has no effect elsewhere."""
    found = shell()
    if found is None:
        return
    from matplotlib.figure import Figure

    from agrm_study.report.figures.base import images

    formatter = found.display_formatter.formatters["image/png"]
    try:
        formatter.lookup_by_type(Figure)
    except KeyError:
        formatter.for_type(Figure, lambda figure: images(figure, ["png"])["png"])
