"""Incompatible settings of the strong view are refused with their line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agrm_study.study.errors import InputError


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        ("augment.strong.erase_area: [0.3, 0.2]", "erase_area", "must be .smallest, largest."),
        ("augment.strong: {tubes: 0.5, tube_grid: 20}, clip.size: 16", "tube_grid", r"at most clip.size \(16\)"),
        ("augment.strong.tubes: 0.002", "tubes", "at least one of the 196 patches .*, but not all"),
        ("augment.strong: {tubes: 0.9, tube_grid: 2}", "tubes", "at least one of the 4 patches .*, but not all"),
        ("augment.strong.tubes: 1.0", "tubes", "less than 1"),
        ("augment.strong.warp: 1.0", "warp", "less than 1"),
        ("augment.strong.reverse: -0.1", "reverse", "at least 0"),
    ],
)
def test_a_view_that_cannot_be_drawn_is_refused(
    load_settings: Callable[[str], None], settings: str, field: str, words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        load_settings(settings)
    assert (caught.value.field, caught.value.line) == (f"augment.strong.{field}", 6)


@pytest.mark.parametrize(
    "settings",
    ["augment.strong: {tubes: 0.9, warp: 0.5, reverse: 0.5}", "augment.strong.tube_grid: 20, clip.size: 16"],
)
def test_a_view_that_can_be_drawn_is_not_refused(load_settings: Callable[[str], None], settings: str) -> None:
    load_settings(settings)
