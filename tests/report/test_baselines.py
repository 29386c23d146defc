"""Costs of networks in the table of baselines."""

from dataclasses import replace

from agrm_study.conformance.made_measurements import made_measurements
from agrm_study.report.measure import Measurements
from agrm_study.report.tables.baselines import Baselines


def with_costs(gflops, clips_per_s):
    evidence = made_measurements("complete").evidence
    trials = evidence.trials.assign(gflops=gflops, clips_per_s=clips_per_s)
    return Measurements(replace(evidence, trials=trials))


def test_operations_and_the_median_throughput_stand_beside_the_parameters():
    seeds = made_measurements("complete").evidence.trials["seed"]
    table = Baselines().build(with_costs(81.39, 100.0 * seeds + 7.0))
    keys = [column.key for column in table.columns]
    for row in table.rows:
        cells = dict(zip(keys, row.entries, strict=True))
        assert cells["parameters"].text == "33.2"
        assert (cells["gflops"].text, cells["gflops"].value) == ("81.4", 81.39)
        assert cells["clips_per_s"].text == "107"
    assert any("multiply-add counts as two" in note for note in table.notes)
    assert any("on cpu." in note for note in table.notes)


def test_small_networks_have_operations_above_zero():
    table = Baselines().build(with_costs(0.03802, 5.4))
    texts = {entry.text for row in table.rows for entry in row.entries}
    assert {"0.038", "5.4"} <= texts
    assert "0.0" not in texts


def test_records_without_these_costs_give_the_table_of_before():
    table = Baselines().build(with_costs(None, None))
    assert not {"gflops", "clips_per_s"} & {column.key for column in table.columns}
    assert not any("GFLOPs" in note or "Clips/s" in note for note in table.notes)
