"""Rich text whose content may come from a file: control characters are shown, not sent."""

from __future__ import annotations

from typing import Any

import rich.text

from agrm_study.study.terminal import printable


class Text(rich.text.Text):
    """As Rich's, with `printable` content."""

    def __init__(self, text: str = "", *arguments: Any, **options: Any) -> None:
        super().__init__(printable(text), *arguments, **options)
