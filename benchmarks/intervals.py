"""Coverage of the shipped interval, and error rate and power of the shipped test, in simulated studies.

    python benchmarks/intervals.py                  # a few regimes, one minute
    python benchmarks/intervals.py --full choose    # all regimes, eight minutes; writes intervals-choose.csv
    python benchmarks/intervals.py --full confirm   # the same with other simulation seeds
    python benchmarks/intervals.py --full choose --regimes "seeds alone" default    # updates these regimes in the file
    python benchmarks/intervals.py --table          # prints the contents of these files

Simulates studies (`regimes.py`). The true value is the metric's expectation over new seeds and new subjects. Coverage:
share of the reported 95 % intervals that contain it; width: mean width divided by 2·1.96·(standard deviation of the
mean over studies), the width of an interval with known variances. Error: share of studies of equal arms in which
Holm-adjusted p < .05 for any arm; power: the same for the one arm that differs. The rule was chosen on the set "choose"
and confirmed on the set "confirm".
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from candidates import INTERVALS, Bootstrap, holm, tests
from regimes import METRICS, REGIMES, Regime, draw, measure, truth

from agrm_study.statistics.two_way import components

SETS = {"choose": 11, "confirm": 22}
"""Simulation seeds. Rules were compared on the first set only; the second was chosen after the rule had been fixed."""
CELLS = (*((2, 172), (3, 172), (5, 172), (10, 172)), *((s, n) for n in (48, 20, 12, 10) for s in (3, 5)))
"""Pairs (seeds, test subjects)."""
POWER: dict[str, float] = {"default": 1.0, "seeds related": -0.8, "arm x subject": -0.8}
"""Difference in skill of the second arm; about 9 points of accuracy."""
BOOTSTRAPPED = ("default", "seeds 2-3 x", "seeds dominate", "seeds alone", "seeds related")
"""Regimes for which the bootstraps, which are slow, are also measured, on the first set with 172 subjects."""
BOOTSTRAP_STUDIES = 400
ALWAYS = ("shipped", "logit scale")
"""Interval rules measured in every regime; the others are measured only together with the bootstraps."""
FEWEST_SHOWN = 100
"""Minimum number of intervals for a rate: cells in which almost no study has an interval have no row."""
AT_ONCE = 100
COLUMNS = ("kind", "set", "regime", "seeds", "subjects", "arms", "metric", "rule", "studies", "rate", "width", "shown")
Row = dict[str, object]


def coverage(name: str, regime: Regime, seeds: int, subjects: int, studies: int, of: str, boot: bool) -> Iterator[Row]:
    """Coverage and width in one cell; with ``boot``, of every candidate."""
    rng = np.random.default_rng([SETS[of], 1, seeds, subjects, list(REGIMES).index(name)])
    bootstrap = Bootstrap(rng, seeds, subjects) if boot else None
    rules = {name: rule for name, rule in INTERVALS.items() if boot or name in ALWAYS}
    means: dict[str, list[object]] = {m: [] for m in METRICS}
    ends: dict[tuple[str, str], list[object]] = {}
    for done in range(0, studies, AT_ONCE):
        y, scores = draw(rng, regime, AT_ONCE, seeds, subjects)
        for metric in METRICS:
            values, influence = (x[:, 0] for x in measure(metric, y, scores))
            means[metric].append(values.mean(axis=-1))
            parts = components(values, influence)
            assert parts is not None
            for rule, interval in rules.items():
                ends.setdefault((metric, rule), []).append(interval(values, parts))
            if bootstrap is None or metric == "roc_auc" or done >= BOOTSTRAP_STUDIES:
                continue
            called = scores[:, 0] >= 0
            drawn = [bootstrap.percentile(bootstrap.means(metric, *one)) for one in zip(y, called, strict=True)]
            ends.setdefault((metric, "percentile bootstrap"), []).append(np.transpose(drawn))
            if metric == "accuracy":
                hits = (called == y[:, None]).astype(np.float64)
                drawn = [bootstrap.studentized(h) for h in hits]
                ends.setdefault((metric, "studentized bootstrap"), []).append(np.transpose(drawn))
    for (metric, rule), found in ends.items():
        low, high = np.concatenate([np.asarray(p) for p in found], axis=1)
        shown = np.isfinite(low)
        if shown.sum() < FEWEST_SHOWN:
            continue
        right = truth(metric, regime)
        known = 2 * 1.959964 * float(np.concatenate([np.asarray(p) for p in means[metric]]).std())
        yield {
            **{"kind": "coverage", "set": of, "regime": name, "seeds": seeds, "subjects": subjects, "arms": 1},
            **{"metric": metric, "rule": rule, "studies": low.size, "shown": float(shown.mean())},
            "rate": float(((low <= right) & (right <= high))[shown].mean()),
            "width": float((np.minimum(high, 1) - np.maximum(low, 0))[shown].mean() / known),
        }


def errors(
    name: str, regime: Regime, seeds: int, subjects: int, studies: int, of: str, better: Sequence[float], boot: bool
) -> Iterator[Row]:
    """Share of studies in which a difference is claimed: for any arm if all are equal, otherwise for the second arm."""
    power = any(better)
    rng = np.random.default_rng([SETS[of], 2 + power, seeds, subjects, len(better), list(REGIMES).index(name)])
    bootstrap = Bootstrap(rng, seeds, subjects) if boot else None
    p: dict[tuple[str, str], list[object]] = {}
    for done in range(0, studies, AT_ONCE):
        y, scores = draw(rng, regime, AT_ONCE, seeds, subjects, better)
        for metric in METRICS[:2]:
            values, influence = measure(metric, y, scores)
            found = tests(values, influence)
            if bootstrap is not None and done < BOOTSTRAP_STUDIES:
                drawn = [
                    [bootstrap.means(metric, labels, arm >= 0) for arm in arms]
                    for labels, arms in zip(y, scores, strict=True)
                ]
                found["bootstrap + Holm"] = np.array(
                    [[bootstrap.p_value(arm - study[0]) for arm in study[1:]] for study in drawn]
                )
            for rule, of_rule in found.items():
                p.setdefault((metric, rule), []).append(of_rule)
    raw = {key: np.concatenate([np.asarray(x) for x in parts]) for key, parts in p.items()}
    for (metric, rule), x in raw.items():
        claimed = holm(x) < 0.05
        if rule == "bootstrap + Holm":
            former = claimed & (raw[metric, "Welch"][: len(claimed)] < 0.05)
            yield _error(name, seeds, subjects, of, better, metric, "both (former dagger)", former)
        yield _error(name, seeds, subjects, of, better, metric, rule, claimed)


def _error(
    name: str, seeds: int, subjects: int, of: str, better: Sequence[float], metric: str, rule: str, claimed: object
) -> Row:
    marks = np.asarray(claimed)
    rate = marks[:, 0].mean() if any(better) else marks.any(axis=1).mean()
    return {
        **{"kind": "power" if any(better) else "error", "set": of, "regime": name, "seeds": seeds},
        **{"subjects": subjects, "arms": len(better), "metric": metric, "rule": rule, "studies": len(marks)},
        **{"rate": float(rate), "width": "", "shown": ""},
    }


def of_regime(name: str, studies: int, of: str) -> Iterator[Row]:
    """Results of all cells of a regime."""
    regime = REGIMES[name]
    for seeds, subjects in CELLS:
        boot = of == "choose" and subjects == 172 and name in BOOTSTRAPPED
        yield from coverage(name, regime, seeds, subjects, studies, of, boot)
        yield from errors(name, regime, seeds, subjects, studies, of, [0.0] * 4, boot and seeds in (3, 5))
        if seeds in (3, 5) and subjects == 172:
            yield from errors(name, regime, seeds, subjects, studies, of, [0.0] * 2, False)
            if name in POWER:
                better = [0.0, POWER[name], 0.0, 0.0]
                yield from errors(name, regime, seeds, subjects, studies, of, better, boot)


def a_few(studies: int) -> Iterator[Row]:
    """Results of three regimes with 3 and 5 seeds."""
    for name in ("default", "seeds dominate", "seeds related"):
        for seeds in (3, 5):
            yield from coverage(name, REGIMES[name], seeds, 172, studies, "confirm", False)
            yield from errors(name, REGIMES[name], seeds, 172, studies, "confirm", [0.0] * 4, False)


def tables(rows: Sequence[Row]) -> str:
    """Markdown tables for each kind and set, with one line per cell and metric and one column per rule."""
    out = []
    for kind in ("coverage", "error", "power"):
        for of in SETS:
            mine = [r for r in rows if r["kind"] == kind and r["set"] == of]
            if not mine:
                continue
            rules = list(dict.fromkeys(str(r["rule"]) for r in mine))
            rules.sort(key=lambda r: r != "shipped")
            out += [f"**{kind}, set {of}**", "", f"| Regime | n | N | arms | metric | {' | '.join(rules)} |"]
            out.append("| :-- | --: | --: | --: | :-- |" + " --: |" * len(rules))
            lines: dict[tuple[object, ...], dict[str, str]] = {}
            for r in mine:
                text = f"{100 * float(str(r['rate'])):.1f}"
                text += f" ({float(str(r['width'])):.2f})" if r["width"] != "" else ""
                key = tuple(r[k] for k in ("regime", "seeds", "subjects", "arms", "metric"))
                lines.setdefault(key, {})[str(r["rule"])] = text
            out += [
                f"| {' | '.join(str(k) for k in key)} | {' | '.join(found.get(r, '') for r in rules)} |"
                for key, found in lines.items()
            ]
            out.append("")
    return "\n".join(out)


def summary(rows: Sequence[Row]) -> str:
    """Markdown table with one line per regime: worst cells of the shipped rule, first set / second set.

    Coverage for accuracy and macro-F1 with 3 or more seeds and at least 20 or fewer than 20 subjects, and with 2 seeds,
    and for ROC-AUC; mean relative width of the interval for accuracy with 5 seeds and 172 subjects; largest share of
    false positives with 3 or more seeds, for four arms and for two, and with 2 seeds.
    """

    def worst(of: str, name: str, kind: str, pick: Callable[[Row], bool], column: str = "rate") -> str:
        found = [
            float(str(r[column]))
            for r in rows
            if (r["set"], r["regime"], r["kind"], r["rule"]) == (of, name, kind, "shipped") and pick(r)
        ]
        if not found:
            return "–"
        return f"{found[0]:.2f}" if column == "width" else f"{100 * (min if kind == 'coverage' else max)(found):.1f}"

    def cell(
        *metrics: str, seeds: tuple[int, ...] = (3, 5, 10), least: int = 20, most: int = 172
    ) -> Callable[[Row], bool]:
        return lambda r: (
            (r["metric"] in metrics)
            and int(str(r["seeds"])) in seeds
            and least <= int(str(r["subjects"])) <= most
            and int(str(r["arms"])) in (1, 4)
        )

    decisions = METRICS[:2]
    columns: dict[str, tuple[str, Callable[[Row], bool], str]] = {
        "Coverage, n ≥ 3": ("coverage", cell(*decisions), "rate"),
        "N = 10, 12": ("coverage", cell(*decisions, least=10, most=12), "rate"),
        "n = 2": ("coverage", cell(*decisions, seeds=(2,)), "rate"),
        "ROC-AUC": ("coverage", cell("roc_auc", seeds=(2, 3, 5, 10)), "rate"),
        "Width, 5 × 172": ("coverage", cell("accuracy", seeds=(5,), least=172), "width"),
        "Error, 4 arms": ("error", cell(*decisions, least=10), "rate"),
        "Error, 2 arms": ("error", lambda r: int(str(r["arms"])) == 2, "rate"),
        "Error, n = 2": ("error", cell(*decisions, seeds=(2,)), "rate"),
    }
    out = [f"| Regime | {' | '.join(columns)} |", "| :-- |" + " --: |" * len(columns)]
    for name in REGIMES:
        cells = [" / ".join(worst(of, name, *how) for of in SETS) for how in columns.values()]
        out.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(out)


def results_of(of: str) -> Path:
    """File of the published results of a set."""
    return Path(__file__).with_name(f"intervals-{of}.csv")


def write(of: str, rows: Sequence[Row]) -> None:
    """Write the published results of a set, with the regimes in their defined order."""
    with results_of(of).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in sorted(rows, key=lambda r: list(REGIMES).index(str(r["regime"]))):
            writer.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()})


def read(of: str) -> list[Row]:
    """The published results of a set; empty if the file does not exist."""
    if not results_of(of).is_file():
        return []
    return [dict(row) for row in csv.DictReader(results_of(of).read_text(encoding="utf-8").splitlines())]


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, help="simulated studies per cell [default: 400, with --full 4000]")
    parser.add_argument("--regimes", nargs="+", choices=tuple(REGIMES), default=list(REGIMES), metavar="NAME")
    parser.add_argument("--full", choices=tuple(SETS), help="every regime; writes intervals-choose.csv, …-confirm.csv")
    parser.add_argument("--table", action="store_true", help="print the contents of these files")
    options = parser.parse_args()
    if options.table:
        rows = [row for of in SETS for row in read(of)]
        print(summary(rows), tables(rows), sep="\n\n")
        return
    if not options.full:
        print(tables(list(a_few(options.studies or 400))))
        return
    for name in options.regimes:
        kept = [r for r in read(options.full) if r["regime"] != name]
        write(options.full, [*kept, *of_regime(name, options.studies or 4000, options.full)])
        print(f"{options.full}: {name}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
