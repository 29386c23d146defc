"""The view of a run that fits a stream."""

from __future__ import annotations

from typing import TextIO

from agrm_study.execution.progress.view import View


def choose_view(stream: TextIO) -> View:
    """A live view if the stream is a terminal, plain lines otherwise."""
    if stream.isatty():
        from agrm_study.execution.progress.live import LiveView

        return LiveView()
    from agrm_study.execution.progress.lines import LinesView

    return LinesView(stream)
