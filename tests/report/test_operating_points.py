"""The table of operating points: thresholds from validation data only, and shares on the test part, also for 0.5."""

import json

import numpy as np
import pytest
from sklearn.metrics import recall_score
from synthetic_records import ABLATION, write_results

from agrm_study.report.collect import collect
from agrm_study.report.collect_cells import cells_of_part
from agrm_study.report.measure import Measurements
from agrm_study.report.renderers import RENDERERS
from agrm_study.report.tables.operating_points import OperatingPoints
from agrm_study.study.analysis import analysis_settings
from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study

STUDY = ABLATION.replace("[0, 1, 2, 3, 4]", "[0, 1, 2]")
POINTS = STUDY + "report: {operating_points: [{sensitivity: 0.9}, {specificity: 0.8}]}\n"


@pytest.fixture(scope="module")
def m(tmp_path_factory):
    root = write_results(tmp_path_factory.mktemp("r") / "ablation", POINTS, subjects=60, parts=("test", "val"))
    return Measurements(collect(root))


def test_each_number_is_recomputed_from_the_predictions(m):
    table = OperatingPoints().build(m)
    keys = [c.key for c in table.columns]
    validation = cells_of_part(m.evidence, "val").cells
    rows = {(r.entries[1].text, r.entries[2].text): r.entries for r in table.rows}
    assert len(rows) == len(table.rows) == 3 * len(m.evidence.study.arms)
    for point, (required, least) in {
        "Sensitivity ≥ 90% on validation data": ("sensitivity", 0.9),
        "Specificity ≥ 80% on validation data": ("specificity", 0.8),
    }.items():
        for arm in (a.name for a in m.evidence.study.arms):
            cell, val = m.cell(arm, "two_class"), validation[arm, "two_class"]
            shares = {"sensitivity": [], "specificity": []}
            for s, seed in enumerate(cell.seeds):
                p, y = val.probs_SNK[val.seeds.index(seed), :, 1], val.labels_N
                best = None
                for t in [*np.unique(p), np.nextafter(p.max(), 2)]:
                    reached = recall_score(y, p >= t, pos_label=int(required == "sensitivity"), zero_division=0)
                    if reached >= least - 1e-12 and (best is None or required == "sensitivity"):
                        best = t
                decided = cell.probs_SNK[s, :, 1] >= best
                shares["sensitivity"].append(recall_score(cell.labels_N, decided, pos_label=1))
                shares["specificity"].append(recall_score(cell.labels_N, decided, pos_label=0))
            for k, values in shares.items():
                assert rows[point, arm][keys.index(k)].value == pytest.approx(np.mean(values), abs=1e-12)


def test_the_rows_at_one_half_are_those_of_the_screening_table(m):
    table = OperatingPoints().build(m)
    at_half = [r for r in table.rows if r.entries[1].text == "p ≥ 0.5"]
    for row in at_half:
        arm = row.entries[2].text
        for position, k in ((4, "sensitivity"), (5, "specificity")):
            assert row.entries[position].value == pytest.approx(m.metric(arm, "two_class", k).summary.mean, abs=1e-12)


def test_the_table_renders_in_every_format(m):
    table = OperatingPoints().build(m)
    for suffix in ("md", "tex", "csv", "html"):
        assert RENDERERS[suffix](table)


def test_a_study_without_operating_points_has_no_such_table_and_unchanged_analysis_settings(tmp_path):
    (tmp_path / "s.yaml").write_text(STUDY)
    study = load_study(tmp_path / "s.yaml")
    assert "operating_points" not in analysis_settings(study)
    (tmp_path / "p.yaml").write_text(POINTS)
    declared = analysis_settings(load_study(tmp_path / "p.yaml"))["operating_points"]
    assert json.dumps(declared) == (
        '[{"sensitivity": 0.9, "specificity": null}, {"sensitivity": null, "specificity": 0.8}]'
    )


@pytest.mark.parametrize("points", ["[{}]", "[{sensitivity: 0.9, specificity: 0.9}]", "[{sensitivity: 1.2}]", "[0.9]"])
def test_a_wrong_operating_point_is_named_with_its_line(tmp_path, points):
    text = STUDY + f"report:\n  operating_points: {points}\n"
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(InputError, match=r"s\.yaml:\d+: `report\.operating_points"):
        load_study(tmp_path / "s.yaml")
