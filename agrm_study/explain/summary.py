"""Summary of the measurements of all explained trials: mean ± standard deviation over the seeds of each arm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from agrm_study.explain.regions import BANDS, REGIONS, BoxKind
from agrm_study.study.errors import InputError

RAW_FOLDER: Final = "occlusion"
COLUMNS: Final = (
    "trial_id", "arm", "task", "seed", "subject_id", "clip_id", "label", "decided", "region", "measure", "value",
)  # fmt: skip
_HEADINGS = (
    "Region", "Area, %", "Drop in the logit", "Same shape elsewhere", "Difference", "Decision changes, %", "Seeds",
    "Clips",
)  # fmt: skip
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


def write_raw(out: Path, trial_id: str, rows: list[dict[str, Any]]) -> Path:
    """Write the measurements of one trial as CSV, replacing earlier measurements, and return the path."""
    path = out / RAW_FOLDER / f"{trial_id}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(path, index=False)
    return path


def read_raw(out: Path) -> pd.DataFrame:
    """Read the measurements of all trials explained in this folder.

    Raises:
        InputError: If a file is not a valid measurement file.
    """
    parts = []
    for path in sorted((out / RAW_FOLDER).glob("*.csv")):
        try:
            part = pd.read_csv(path, dtype={"trial_id": str, "subject_id": str, "clip_id": str}, keep_default_na=False)
            part["value"] = pd.to_numeric(part["value"])
        except (ValueError, KeyError) as fault:
            raise InputError("not a valid measurement file", where=path, hint=f"{fault}. Remove the file.") from None
        if missing := set(COLUMNS) - set(part.columns):
            raise InputError("not a valid measurement file", where=path, given=sorted(missing), hint="Remove the file.")
        parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))


def summarise(raw: pd.DataFrame) -> pd.DataFrame:
    """Mean and sample standard deviation (ddof 1), over seeds, of the mean over the clips of each seed.

    Args:
        raw: Rows of `read_raw`.

    Returns:
        Columns arm, task, region, measure, mean, std (NaN for one seed), seeds and clips (minimum over seeds). Regions
        are in the order of `REGIONS`, followed by the deletion curve.
    """
    keys = ["arm", "task", "region", "measure"]
    of_seeds = raw.groupby([*keys, "seed"], sort=False)["value"].agg(["mean", "count"]).reset_index()
    found = of_seeds.groupby(keys, sort=False).agg(
        mean=("mean", "mean"), std=("mean", "std"), seeds=("seed", "nunique"), clips=("count", "min")
    )
    found = found.reset_index()
    order = {name: place for place, name in enumerate((*REGIONS, ""))}
    found = found.assign(place=found["region"].map(order))
    return found.sort_values(["arm", "task", "place"], kind="stable", ignore_index=True).drop(columns="place")


def write_summary(out: Path, kind: BoxKind, notes: list[str]) -> tuple[Path, Path]:
    """Write ``occlusion.csv`` (full precision) and ``occlusion.md`` from all measurements in a folder."""
    summary = summarise(read_raw(out))
    table, page = out / "occlusion.csv", out / "occlusion.md"
    summary.to_csv(table, index=False)
    page.write_text(_page(summary, kind, notes), encoding="utf-8")
    return table, page


def _page(summary: pd.DataFrame, kind: BoxKind, notes: list[str]) -> str:
    bands = BANDS[kind]
    spans = ", ".join(f"{name} {low:g}–{high:g}" for name, (low, high) in bands.rows.items())
    box = "the whole person" if kind == "person" else "the legs from waist to soles"
    lines = ["# Effect of hiding parts of the clip on the decision", ""]
    for names, rows in summary.groupby(["arm", "task"], sort=False):
        cells: dict[tuple[str, str], Any] = {(str(row.region), str(row.measure)): row for row in rows.itertuples()}
        lines += [f"## {_escape(', '.join(map(str, names)))}", ""]
        regions = [name for name in REGIONS if (name, "area") in cells]
        if regions:
            lines += [f"| {' | '.join(_HEADINGS)} |", "| :-- | " + " | ".join(["--:"] * (len(_HEADINGS) - 1)) + " |"]
            lines += [_region_line(name, cells) for name in regions]
            lines.append("")
        if ("", "deletion") in cells:
            seen = cells["", "deletion"]
            lines += [
                "| Deletion curve | Order of the map | Random order | Random − map | Seeds | Clips |",
                "| :-- | --: | --: | --: | --: | --: |",
                "| area under the curve | "
                + " | ".join(_cell(cells[("", m)], 1, 3) for m in ("deletion", "deletion_random", "deletion_gain"))
                + f" | {seen.seeds} | {seen.clips} |",
                "",
            ]
    lines += [
        "Mean ± sample standard deviation over seeds (ddof 1) of each seed's mean over the test subjects. Each subject",
        "contributes its middle window, measured by the logit (for deletion, the probability) of its predicted class.",
        "Hidden pixels are set to the mean colour of the normalisation, as in random erasing during training. “Same",
        "shape elsewhere” hides the region's shape at a random position, as a control for the size of the hidden area.",
        "“Decision changes” refers to the decision for the window. Deletion hides 0, ⅙, … 1 of the clip, the most",
        "important positions first; the random order is given by the map with shuffled cells. A positive difference,",
        "or a positive “random − map”, indicates that the region or the highlighted positions matter more than chance.",
        "",
        f"Regions are bands of the person's box, which contains {box}, as fractions of its height: {spans};",
        f"columns {bands.columns[0]:g}–{bands.columns[1]:g} of its width. The background is everything outside the",
        "person's rows and columns. The bands follow the box, not the joints. A clip whose crop does not show a region",
        "is not counted for that region.",
        "",
        *(f"- {_escape(note)}" for note in notes),
        *([""] if notes else []),
        "Grad-CAM and occlusion describe the model's behaviour; they do not localise causes or provide a diagnosis.",
    ]
    return "\n".join(lines) + "\n"


def _region_line(name: str, cells: Mapping[tuple[str, str], Any]) -> str:
    drop, area = cells.get((name, "drop")), cells[name, "area"]
    entries = [
        name,
        f"{100 * area.mean:.1f}",
        *(_cell(cells.get((name, measure)), 1, 2) for measure in ("drop", "elsewhere", "excess")),
        _cell(cells.get((name, "changes")), 100, 1),
        str(area.seeds),
        str(0 if drop is None else drop.clips),
    ]
    return f"| {' | '.join(entries)} |"


def _cell(row: Any, factor: float, digits: int) -> str:
    if row is None:
        return "–"
    mean = f"{factor * row.mean:.{digits}f}"
    return mean if pd.isna(row.std) else f"{mean} ± {factor * row.std:.{digits}f}"


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
