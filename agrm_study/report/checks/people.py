"""Checks of the `subjects` records: each subject occurs once per part, on one side of its split, with its label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import pandas as pd
import pyarrow as pa

from agrm_study.records.integrity import broken_splits
from agrm_study.records.reader import frame_of
from agrm_study.report.checks.finding import Finding
from agrm_study.study.counted import some

SIDES: Final[Mapping[str, str]] = {
    "train": "train", "unlabelled_train": "train", "val": "val", "unlabelled_val": "val", "test": "test",
}  # fmt: skip
"""Side of each part; the sides (training, model selection, reported data) must not share subjects."""
LABELLED: Final = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class People:
    """Subjects in each part of each split.

    Attributes:
        rows: The `subjects` records, each row once.
        labels: Manifest label of each subject of a labelled part, by (split fingerprint, part).
        broken: Rule that a split violates, by split fingerprint; all trials of such a split are excluded.
    """

    rows: pd.DataFrame
    labels: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def splits(self) -> frozenset[str]:
        """Fingerprints of the splits described by the records."""
        return frozenset(self.rows["split_fingerprint"])

    def judge_alike(self, splits: Iterable[str]) -> bool:
        """Whether splits use the same subjects with the same labels for model selection and testing, regardless of
        their training subjects.

        Arms trained with different numbers of labels have such splits. False for splits without records.
        """
        parts = [(self.labels.get((split, "val")), self.labels.get((split, "test"))) for split in splits]
        return all(None not in part and part == parts[0] for part in parts)


def check_people(table: pa.Table) -> tuple[People, list[Finding]]:
    """The subjects of every split, and the findings about their records.

    Args:
        table: The `subjects` records of all splits.
    """
    findings: list[Finding] = []
    rows = frame_of(table.drop_columns(["rows_digest"]), ["split_fingerprint", "split", "subject_id"])
    damaged = broken_splits(table)
    unique = rows.drop_duplicates(ignore_index=True)
    if len(unique) < len(rows):
        for fingerprint, again in rows[rows.duplicated()].groupby("split_fingerprint"):
            names = sorted(set(again["subject_id"]))
            rule = f"{len(again)} rows are duplicates and are counted once ({some(names)})"
            findings.append(Finding(where=_file(str(fingerprint)), rule=rule, severity="mark"))
    broken: dict[str, str] = {}
    labels: dict[tuple[str, str], dict[str, str]] = {}
    for key, people in unique.groupby("split_fingerprint"):
        fingerprint = str(key)
        fault = _fault(people) or damaged.get(fingerprint)
        if fault is not None:
            broken[fingerprint] = fault
            findings.append(Finding(where=_file(fingerprint), rule=f"{fault}; no trial of this split is used"))
        for part, members in people[people["split"].isin(LABELLED)].groupby("split"):
            labels[fingerprint, str(part)] = dict(zip(members["subject_id"], members["label"], strict=True))
    findings.extend(_other_labels(unique))
    return People(rows=unique, labels=labels, broken=broken), findings


def merged_people(several: Sequence[People]) -> People:
    """The subjects of several results folders."""
    return People(
        rows=pd.concat([p.rows for p in several]).drop_duplicates(ignore_index=True),
        labels={key: named for p in several for key, named in p.labels.items()},
        broken={fp: rule for p in several for fp, rule in p.broken.items()},
    )


def _file(fingerprint: str) -> str:
    return f"records/subjects/{fingerprint}.parquet"


def _fault(people: pd.DataFrame) -> str | None:
    """The first rule that the rows of one split violate, or None."""
    unknown = sorted(set(people["split"]) - set(SIDES))
    if unknown:
        return f"part must be one of {', '.join(SIDES)}; given {some([repr(p) for p in unknown])}"
    again = people[people.duplicated(["split", "subject_id"])]
    if len(again):
        return f"a subject must have one row per part; different rows for {some(sorted(set(again['subject_id'])))}"
    sides = people.assign(side=people["split"].map(SIDES)).drop_duplicates(["subject_id", "side"])
    both = sides[sides.duplicated("subject_id", keep=False)].groupby("subject_id")["split"].agg(sorted)
    if len(both):
        named = [f"{subject} in {' and '.join(parts)}" for subject, parts in both.items()]
        return f"{len(both)} subject{'s are' if len(both) > 1 else ' is'} in two parts ({some(named)})"
    without = people[people["split"].isin(LABELLED) & people["label"].isna()]
    if len(without):
        return f"a subject of a labelled part must have a label; missing for {some(sorted(without['subject_id']))}"
    return None


def _other_labels(people: pd.DataFrame) -> list[Finding]:
    """Subjects whose label differs between splits."""
    known = people[people["label"].notna()].drop_duplicates(["subject_id", "label"])
    several = known[known.duplicated("subject_id", keep=False)].groupby("subject_id")["label"].agg(sorted)
    return [
        Finding(
            where="records/subjects",
            rule=f"subject {subject} has different labels in different splits ({', '.join(found)})",
            severity="mark",
            subject=str(subject),
        )
        for subject, found in several.items()
    ]
