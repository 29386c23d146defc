"""On what was this computed? (Table 3 of the paper.)"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from agrm_study.report.measure import Measurements
from agrm_study.report.table import Column, Row, Table, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.wording import number

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
"""Of the folder, not of the computation."""


def flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names and values as text."""
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping):
            yield from flatten(item, f"{name}.")
        elif isinstance(item, list | tuple):
            yield name, ", ".join(str(x) for x in item) or "none"
        else:
            yield name, "none" if item is None else str(item)


class Environment(TableKind):
    """Hardware, software and the time that training took."""

    name: ClassVar[str] = "environment"
    question: ClassVar[str] = "On what was this computed?"

    def unfit(self, m: Measurements) -> str | None:
        return None if m.evidence.provenance else "the results hold no provenance.json"

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
            partial=m.evidence.partial,
        )
