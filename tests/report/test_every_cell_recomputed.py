"""Every number of every table of test metrics, recomputed from the records with numpy, scipy and scikit-learn."""

import csv
import functools
import io
import math
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from recomputed import (
    CLASSES,
    Study,
    area,
    average_precision,
    by_class,
    cell,
    check,
    contrast,
    covered,
    decided,
    difference,
    estimate,
    holm,
    interval,
    npv,
    ppv,
    scored,
    seeds_shared,
    variance,
)
from scipy import optimize, special, stats
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression
from synthetic_records import ABLATION, write_results

from agrm_study.report.collect import collect
from agrm_study.report.measure import Measurements
from agrm_study.report.renderers import csv as csv_renderer
from agrm_study.report.tables import table_kind

ARMS, TASKS = ("AGRM", "w/o MTM", "w/o SHPM", "w/o both"), ("two_class", "three_class")
NAMES = {"two_class": ("normal", "abnormal"), "three_class": ("normal", "genu_varum", "genu_valgum")}
TITLES = {"normal": "Normal", "abnormal": "Abnormal", "genu_varum": "Genu varum", "genu_valgum": "Genu valgum"}
PREVALENCES, MARGIN = (0.02, 0.1), 0.1
POINTS = "[{sensitivity: 0.9}, {specificity: 0.8}]"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    text = ABLATION.replace("[0, 1, 2, 3, 4]", "[0, 1, 2]")
    text += f"report: {{prevalences: {list(PREVALENCES)}, margin: {MARGIN}, operating_points: {POINTS}}}\n"
    return write_results(
        tmp_path_factory.mktemp("recomputed") / "r", text, subjects=30, epochs=4, parts=("test", "val")
    )


@pytest.fixture(scope="module")
def study(root):
    return Study(root)


@pytest.fixture(scope="module")
def table_of(root):
    evidence = collect(root)
    tasks = {n: replace(t, ordered=n == "three_class") for n, t in evidence.study.tasks.items()}
    m = Measurements(replace(evidence, study=replace(evidence.study, tasks=tasks)))
    return lambda name: list(csv.DictReader(io.StringIO(csv_renderer.render(table_kind(name).build(m)))))


@pytest.mark.parametrize("name", ["arms", "ablation"])
def test_every_number_of_the_comparing_tables(study, table_of, name):
    rows = table_of(name)
    for task in TASKS:
        f1 = {}
        for arm in ARMS:
            (row,) = [r for r in rows if (r["task"], r["arm"]) == (task, arm)]
            y, d = study.decisions(arm, task)
            for metric, function in decided(CLASSES[task]).items():
                values, u = scored(function, y, d)
                check(row, metric, cell(values, u))
                if metric == "macro_f1":
                    f1[arm] = values, u
                    low, high = interval(values, u)
                    check(row, "macro_f1_interval", {"_low": low, "_high": high})
            covered(row, "accuracy", "macro_", "delta", "p", "mtm", "shpm")
        paired = seeds_shared([f1[a][0] for a in ARMS])
        raw, equal = [], []
        for arm in ARMS[1:]:
            (row,) = [r for r in rows if (r["task"], r["arm"]) == (task, arm)]
            terms = [(1, *f1[arm]), (-1, *f1["AGRM"])]
            check(row, "delta", difference(terms, paired))
            delta, v, df, _ = contrast(terms, paired)
            raw.append(2 * stats.t.sf(abs(delta) / math.sqrt(v), df))
            equal.append(max(stats.t.sf((s * delta + MARGIN) / math.sqrt(v), df) for s in (-1, 1)))
        for i, arm in enumerate(ARMS[1:]):
            (row,) = [r for r in rows if (r["task"], r["arm"]) == (task, arm)]
            check(row, "p", {"": holm(raw)[i], "_uncorrected": raw[i], "_equivalence": holm(equal)[i]})
        if name == "ablation":
            (row,) = [r for r in rows if (r["task"], r["arm"]) == (task, "Interaction")]
            terms = [(c, *f1[a]) for c, a in zip((1, -1, -1, 1), ARMS, strict=True)]
            check(row, "delta", difference(terms, paired, 2.0))


def test_every_number_of_the_table_of_parts(study, table_of):
    for row in table_of("agrm"):
        part = {"Validation": "val", "Test": "test"}[row["part"]]
        y, d = study.decisions("AGRM", row["task"], part)
        assert int(row["subjects"]) == len(y)
        for metric, function in decided(CLASSES[row["task"]]).items():
            check(row, metric, cell(*scored(function, y, d)))
        covered(row, "accuracy", "macro_", "subjects")


def test_every_number_of_the_table_by_class(study, table_of):
    for row in table_of("per_class"):
        y, d = study.decisions(row["arm"], row["task"])
        k = [TITLES[c] for c in NAMES[row["task"]]].index(row["class"])
        assert int(row["subjects"]) == (y == k).sum()
        for i, metric in enumerate(("precision", "recall", "f1")):
            check(row, metric, estimate(*scored(lambda a, b, i=i, k=k: by_class(a, b, k)[i], y, d)))
        covered(row, "precision", "recall", "f1", "subjects")


def test_every_number_of_the_screening_tables(study, table_of):
    functions = {"sensitivity": lambda y, d: d[y == 1].mean(), "specificity": lambda y, d: 1 - d[y == 0].mean()}
    functions |= {"ppv": ppv, "npv": npv}
    for row in table_of("screening"):
        y, d = study.decisions(row["arm"], "two_class")
        counts = {"_tp": d[:, y == 1].sum(1), "_fp": d[:, y == 0].sum(1)}
        counts |= {"_fn": (1 - d[:, y == 1]).sum(1), "_tn": (1 - d[:, y == 0]).sum(1)}
        check(row, "counts", {k: v.mean() for k, v in counts.items()})
        for metric, function in functions.items():
            check(row, metric, estimate(*scored(function, y, d)))
        covered(row, "counts", *functions)
    for row in table_of("predictive_values"):
        y, d = study.decisions(row["arm"], "two_class")
        at = float(row["prevalence"])
        check(row, "ppv", estimate(*scored(lambda a, b, at=at: ppv(a, b, at), y, d)))
        check(row, "npv", estimate(*scored(lambda a, b, at=at: npv(a, b, at), y, d)))
        covered(row, "ppv", "npv", "prevalence")


def test_every_number_of_the_table_of_operating_points(study, table_of):
    def chosen(y, p, point):
        if point.startswith("p"):
            return 0.5
        fpr, tpr, t = sk.roc_curve(y, p, drop_intermediate=False)
        return t[tpr >= 0.9 - 1e-12].max() if point.startswith("Sens") else t[fpr <= 0.2 + 1e-12].min()

    rows = table_of("operating_points")
    assert len(rows) == 3 * len(ARMS)
    for row in rows:
        y_val, p_val = study.probabilities(row["arm"], "two_class", "val")
        t = np.array([chosen(y_val, p[:, 1], row["point"]) for p in p_val])
        check(row, "threshold", {"": t.mean(), "_std": t.std(ddof=1), "_n": 3})
        y, p = study.probabilities(row["arm"], "two_class")
        d = (p[:, :, 1] >= t[:, None]).astype(int)
        check(row, "sensitivity", estimate(*scored(lambda y, d: d[y == 1].mean(), y, d)))
        check(row, "specificity", estimate(*scored(lambda y, d: 1 - d[y == 0].mean(), y, d)))
        covered(row, "threshold", "sensitivity", "specificity")


def test_every_number_of_the_table_of_subgroups(study, table_of):
    people = {}
    for file in (study.root / "records" / "subjects").glob("*.parquet"):
        for row in pq.read_table(file).to_pylist():
            people[row["subject_id"]] = {f"Sex: {row['sex']}", f"Age: {math.floor(row['age'] or -1)}", "All"}
    names = sorted(s for s in people if s.startswith("test"))
    rows = table_of("subgroups")
    assert len(rows) > len(TASKS) * 3
    for row in rows:
        y, d = study.decisions("AGRM", row["task"])
        here = np.array([row["group"] in people[s] for s in names])
        assert int(row["subjects"]) == here.sum()
        for metric, key in (("accuracy", "accuracy"), ("macro_f1", "macro_f1")):
            values, u = scored(decided(CLASSES[row["task"]])[metric], y[here], d[:, here])
            expected = cell(values, u)
            if here.sum() < 10:
                expected |= {"_low": math.nan, "_high": math.nan}
            check(row, key, expected)
        covered(row, "accuracy", "macro_f1", "interval", "subjects")


def test_every_number_of_the_table_of_discrimination(study, table_of):
    found = {}
    for arm in ARMS:
        y, p = study.probabilities(arm, "two_class")
        found[arm] = {"roc_auc": area(y, p[:, :, 1]), "average_precision": average_precision(y, p[:, :, 1])}
    for row in table_of("discrimination"):
        arm = row["arm"]
        y, d = study.decisions(arm, "two_class")
        for metric in ("roc_auc", "average_precision"):
            check(row, metric, estimate(*found[arm][metric]))
            if arm != "AGRM":
                paired = seeds_shared([found[a][metric][0] for a in ARMS])
                terms = [(1, *found[arm][metric]), (-1, *found["AGRM"][metric])]
                check(row, f"{metric}_delta", difference(terms, paired))
        check(row, "mcc", estimate(*scored(sk.matthews_corrcoef, y, d), -1, 1))
        covered(row, "roc_auc", "average_precision", "mcc")


def test_every_number_of_the_table_of_each_class_against_the_rest(study, table_of):
    rows = table_of("one_vs_rest")
    assert len(rows) == 3 * len(ARMS)
    for row in rows:
        k = [TITLES[c] for c in NAMES["three_class"]].index(row["class"])
        y, p = study.probabilities(row["arm"], "three_class")
        assert int(row["subjects"]) == (y == k).sum()
        check(row, "roc_auc", estimate(*area((y == k).astype(int), p[:, :, k])))
        check(row, "average_precision", estimate(*average_precision((y == k).astype(int), p[:, :, k])))
        covered(row, "roc_auc", "average_precision", "subjects")


def test_every_number_of_the_table_of_agreement(study, table_of):
    rows = table_of("agreement")
    assert [r["arm"] for r in rows] == list(ARMS)
    for row in rows:
        y, d = study.decisions(row["arm"], "three_class")
        check(row, "mcc", estimate(*scored(sk.matthews_corrcoef, y, d), -1, 1))
        kappa = functools.partial(sk.cohen_kappa_score, weights="quadratic")
        check(row, "kappa", estimate(*scored(kappa, y, d), -1, 1))
        check(row, "absolute_error", estimate(*scored(sk.mean_absolute_error, y, d), 0, 2))
        covered(row, "mcc", "kappa", "absolute_error")


def test_every_number_of_the_table_of_networks(study, table_of):
    for row in table_of("networks"):
        task, arm = row["task"], row["arm"]
        y, d = study.decisions(arm, task, "test", row["network"])
        for metric, function in decided(CLASSES[task]).items():
            check(row, metric, cell(*scored(function, y, d)))
        if row["network"] == "teacher":
            _, other = study.decisions(arm, task, "test", "student")
            f1 = decided(CLASSES[task])["macro_f1"]
            check(row, "delta", difference([(1, *scored(f1, y, d)), (-1, *scored(f1, y, other))], paired=True))
        covered(row, "accuracy", "macro_", "delta")


def test_every_number_of_the_table_of_calibration(study, table_of):
    def ece(y, p):
        top, right = p.max(axis=1), p.argmax(axis=1) == y
        index = np.ceil(top * 15).astype(int)
        return sum(abs((right[index == b] - top[index == b]).sum()) for b in set(index)) / len(y)

    def brier(y, p):
        return ((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1).mean()

    def temperature(y, p):
        z = np.log(p)
        bounds = (math.log(0.05), math.log(20))
        loss = lambda t: -special.log_softmax(z / math.exp(t), axis=1)[np.arange(len(y)), y].mean()  # noqa: E731
        return math.exp(optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9}).x)

    for row in table_of("calibration"):
        task, arm = row["task"], row["arm"]
        y, p = study.probabilities(arm, task)
        check(row, "ece", estimate(*scored(ece, y, p)))
        check(row, "brier", estimate(*scored(brier, y, p), 0, 2))
        y_val, p_val = study.probabilities(arm, task, "val")
        t = np.array([temperature(y_val, x) for x in p_val])
        known = t[(t > 0.0505) & (t < 19.8)]  # on a bound of the search it is not identified, and 1 is used
        t[(t < 0.0505) | (t > 19.8)] = 1.0
        check(row, "temperature", {"_n": len(known)})
        if len(known):
            got = float(row["temperature"])
            assert got == pytest.approx(known.mean(), rel=1e-4)
        if len(known) > 1:
            assert float(row["temperature_std"]) == pytest.approx(known.std(ddof=1), rel=1e-3)
        scaled = np.stack([special.softmax(np.log(x) / s, axis=1) for x, s in zip(p, t, strict=True)])
        for name, function, high in (("ece_scaled", ece, 1), ("brier_scaled", brier, 2)):
            expected = estimate(*scored(function, y, scaled), 0, high)
            got = {k: float(row[f"{name}{k}"]) for k in expected}
            assert got == pytest.approx(expected, rel=1e-3)
        if task == "two_class":
            z = special.logit(p[:, :, 1])
            slopes, large = [], []
            for x in z:
                fit = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(x[:, None], y)
                q, design = fit.predict_proba(x[:, None])[:, 1], np.column_stack([np.ones_like(x), x])
                information = design.T @ (design * (q * (1 - q))[:, None])
                u = len(y) * np.linalg.solve(information, (design * (y - q)[:, None]).T)[1]
                slopes.append((fit.coef_[0, 0], u))
                a = optimize.brentq(lambda a, x=x, y=y: (special.expit(x + a) - y).sum(), -20, 20)
                q = special.expit(x + a)
                large.append((a, len(y) * (y - q) / (q * (1 - q)).sum()))
            for name, fits in (("slope", slopes), ("intercept", large)):
                values, u = np.array([f[0] for f in fits]), np.stack([f[1] for f in fits])
                expected = estimate(values, u, -math.inf, math.inf)
                got = {k: float(row[f"{name}{k}"]) for k in expected}
                assert got == pytest.approx(expected, rel=1e-3, abs=1e-4)
        covered(row, "ece", "brier", "slope", "intercept", "temperature")


def test_every_number_of_the_table_of_variance(study, table_of):
    rows = table_of("variance")
    for task in TASKS:
        f1 = {a: scored(decided(CLASSES[task])["macro_f1"], *study.decisions(a, task)) for a in ARMS}
        paired = seeds_shared([f1[a][0] for a in ARMS])
        for row in (r for r in rows if r["task"] == task):
            terms = [(1, *f1[row["arm"]])]
            if row["kind"] == "difference":
                terms.append((-1, *f1["AGRM"]))
            _, v, df, (seeds, subjects, both, seed_df, subject_df) = contrast(terms, paired or len(terms) == 1)
            pure = [max(seeds - both, 0), max(subjects - both, 0), both]
            expected = {"half_width": stats.t.ppf(0.975, df) * math.sqrt(v)}
            expected |= dict(zip(("seeds", "subjects", "interaction"), np.array(pure) / sum(pure), strict=True))
            for key, by_seed, by_subject in (("more_seeds", 2, 1), ("more_subjects", 1, 2), ("more_of_both", 2, 2)):
                rest = both / (by_seed * by_subject)
                new = (pure[0] / by_seed + rest, pure[1] / by_subject + rest, rest)
                v, df = variance(*new, seed_df * (3 * by_seed - 1) / 2, subject_df * by_subject)
                expected[key] = stats.t.ppf(0.975, df) * math.sqrt(v)
            check(row, "", expected)
            covered(row, *expected)
