"""Rich text for content that may come from a file: control characters are made visible."""

from __future__ import annotations

from typing import Any

import rich.text

from agrm_study.study.terminal import printable


class Text(rich.text.Text):
    """Rich's `Text` with `printable` content."""

    def __init__(self, text: str = "", *arguments: Any, **options: Any) -> None:
        super().__init__(printable(text), *arguments, **options)
