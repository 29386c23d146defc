"""Labels of a data set: common spellings of the paper's labels, and any other labels as written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from agrm_study.study.counted import some
from agrm_study.study.errors import did_you_mean
from agrm_study.study.labels import LABELS, plain_label

_SPELLINGS: Final[dict[str, str]] = {
    **dict.fromkeys(("normal", "norm", "healthy", "control", "n", "neutral", "straight"), "normal"),
    **dict.fromkeys(("genuvarum", "varum", "varus", "bowleg", "bowlegs", "bowlegged", "oleg", "olegs", "otype", "o"),
                    "genu_varum"),
    **dict.fromkeys(("genuvalgum", "valgum", "valgus", "knockknee", "knockknees", "xleg", "xlegs", "xtype", "x"),
                    "genu_valgum"),
    **dict.fromkeys(("", "unlabelled", "unlabeled", "unknown", "none", "na", "nan"), ""),
}  # fmt: skip


def read_label(text: str, spellings: Mapping[str, str]) -> str | None:
    """Parse one of the paper's labels in a common or user-defined spelling (`Varus`, `genu-varum`, `bow legs`, …); None
    for an unlabelled clip.

    Raises:
        ValueError: If the text is ambiguous or unknown. This includes numbers without an explicit spelling, because
            data sets assign different meanings to 1 and 2.
    """
    extra = {_normalised(key): plain_label(value) for key, value in spellings.items()}
    key = _normalised(text)
    label = extra.get(key, _SPELLINGS.get(key))
    if label is None:
        raise ValueError(text)
    return label or None


SHOWN: Final = 10
"""Maximum number of labels listed in a note."""
LABEL_HINT: Final = "Define other spellings, including numbers, with `--label 1=genu_varum`."
LABEL_CHOICES: Final = f"{', '.join(LABELS)} in common spellings, or empty"


def _normalised(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.strip().lower())


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of a data set.

    Attributes:
        of: Label for each text in the data set; None for unlabelled clips.
        note: Note for the user if the labels are kept as written; otherwise None.
    """

    of: Mapping[str, str | None]
    note: str | None = None


def read_labels(texts: Iterable[str], spellings: Mapping[str, str]) -> Labels:
    """Determine the labels of a data set.

    If every text is a spelling of one of the paper's labels, the paper's labels are used. Otherwise the texts are kept
    as written, except for user-defined spellings and words for unlabelled clips: `normal`, `mild` and `severe` are
    three labels, and `o` in a data set that also contains `p` does not mean bow legs.

    Args:
        texts: The texts in the data set, in any order.
        spellings: User-defined spellings.
    """
    found: dict[str, str | None] = {}
    other: list[str] = []
    for text in dict.fromkeys(texts):
        try:
            found[text] = read_label(text, spellings)
        except ValueError:
            other.append(text)
    if not other:
        return Labels(found)
    mine = {_normalised(key) for key in spellings}
    kept = {
        text: label if label is None or _normalised(text) in mine else plain_label(text)
        for text, label in found.items()
    } | {text: plain_label(text) for text in other}
    return Labels(kept, _note(sorted({label for label in kept.values() if label is not None}), other))


def _note(labels: list[str], other: list[str]) -> str:
    shown = some(labels, SHOWN)
    words = {normalised: text for text in LABELS for normalised in (_normalised(text), text)}
    close = next(((text, hint) for text in other if (hint := did_you_mean(_normalised(text), words))), None)
    typo = ""
    if close is not None:
        label = words[close[1].split("`")[1]]
        typo = f" If {close[0]} means {label}, add `--label {close[0]}={label}`."
    return (
        f"The labels are kept as written: {shown}. List them in `tasks` of the study; `agrm-study init` does this."
        f"{typo}"
    )
