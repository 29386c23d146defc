"""Durations as typed by users."""

import pytest

from agrm_study.study.duration import read_duration, written_duration
from agrm_study.study.errors import InputError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7h30m", 27_000), ("90m", 5_400), ("45s", 45), ("1d12h", 129_600), ("2d", 172_800), (" 1h0m1s ", 3_601)],
)
def test_numbers_with_units_are_summed(text: str, seconds: int) -> None:
    assert read_duration(text) == seconds
    assert read_duration(written_duration(seconds)) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "  ", "7", "7.5h", "7h30", "30m7h", "7h7h", "-1h", "7 h", "1h60m", "1d24h", "0m", "0h0m", "400d", "7:30",
     "７h", "1H", "999999999999h"],
)  # fmt: skip
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InputError, match=r"`--for`.*7h30m, 90m, 45s, 1d12h") as refused:
        read_duration(text, field="--for")
    assert refused.value.given == text
