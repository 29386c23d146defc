"""Table of the hardware and software used by a study (Table 3 of the paper)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import pandas as pd

from agrm_study.report.measure import Measurements
from agrm_study.report.table import Column, Row, Table, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.wording import number
from agrm_study.study.counted import counted

TITLES = {
    "code_version": "Code version",
    "git.commit": "Git commit",
    "git.dirty": "Uncommitted changes",
    "python": "Python",
    "hardware.processor": "Processor",
    "hardware.cpus": "Processors used",
    "hardware.memory_gib": "Memory (GiB)",
    "hardware.gpus": "GPU",
    "hardware.platform": "Operating system",
    "packages.lock": "Hash of all packages",
}
HIDDEN = ("schema_version", "written_at", "hardware.host")
"""Keys that describe the results folder and not the computation."""


def flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Flatten nested values to pairs of dotted name and text."""
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping):
            yield from flatten(item, f"{name}.")
        elif isinstance(item, list | tuple):
            yield name, ", ".join(str(x) for x in item) or "none"
        else:
            yield name, "none" if item is None else str(item)


MOST_NAMED = 5
"""Maximum number of trials per version listed in a note; if there are more, the note states only their number."""


def mixed_versions(trials: pd.DataFrame) -> tuple[str, ...]:
    """Notes on packages with different versions among the trials, listing the trials that differ from most trials.

    Builds of one version (``2.8.0+cu128``) are not distinguished, since machines without a GPU have a different build.

    Args:
        trials: `trials` records; ``versions`` is null in records of version 0.1.
    """
    ran: dict[str, dict[str, list[str]]] = {}
    unknown = 0
    for arm, task, seed, text in trials[["arm", "task", "seed", "versions"]].itertuples(index=False):
        if not isinstance(text, str):
            unknown += 1
            continue
        for package, versions in json.loads(text).items():
            names = dict.fromkeys(version.partition("+")[0] for version in versions)
            ran.setdefault(package, {}).setdefault(" then ".join(names), []).append(f"{arm}, {task}, seed {seed}")
    notes = []
    for package, by_version in sorted(ran.items()):
        commonest, *others = sorted(by_version, key=lambda version: (-len(by_version[version]), version))
        if others:
            listed = "; ".join(f"{version} in {_trials(by_version[version])}" for version in others)
            if package == "threads":
                notes.append(
                    f"Trials ran with different numbers of threads: {commonest}, but {listed}. The number of threads "
                    "affects the order of sums, so a trial resumed with a different number is not bit-identical to an "
                    "uninterrupted one."
                )
            else:
                notes.append(f"Trials ran with different versions of {package}: {commonest}, but {listed}.")
    if ran and unknown:
        notes.append(f"The versions of {counted(unknown, 'trial')} are not recorded.")
    return tuple(notes)


def _trials(names: Sequence[str]) -> str:
    return counted(len(names), "trial") if len(names) > MOST_NAMED else f"{len(names)} ({' / '.join(names)})"


class Environment(TableKind):
    """Hardware, software and training time."""

    name: ClassVar[str] = "environment"
    question: ClassVar[str] = "What hardware and software were used?"

    def unfit(self, m: Measurements) -> str | None:
        return None if m.evidence.provenance else "the results contain no provenance.json"

    def build(self, m: Measurements) -> Table:
        found = dict(flatten(m.evidence.provenance))
        named = [(title, found[key]) for key, title in TITLES.items() if key in found]
        rest = [
            (key.removeprefix("packages."), value)
            for key, value in found.items()
            if key not in TITLES and key not in HIDDEN and not key.startswith("data.")
        ]
        trials = m.evidence.trials[m.evidence.trials["status"] == "finished"]
        hours = float(trials["wall_s"].sum()) / 3600
        devices = ", ".join(sorted(set(trials["device"].dropna()))) or "none"
        used = [("Device", devices), ("Hours of training, all trials", number(hours, 2))]
        rows = [Row(entries=(words(a), words(b))) for a, b in [*named, *used, *rest]]
        return Table(
            name=self.name,
            caption="Environment of the computation.",
            columns=(
                Column(key="item", title="Item", align="left"),
                Column(key="value", title="Value", align="left"),
            ),
            rows=tuple(rows),
            notes=mixed_versions(trials),
            partial=m.evidence.partial,
        )
