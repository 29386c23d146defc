import json

from small_records import write

from agrm_study.records.analysis_log import FILE, analysis_changes, fix_analysis, read_analysis

FIRST = {"reference": "AGRM", "primary_metric": "macro_f1", "prevalences": [0.1]}
LATER = FIRST | {"primary_metric": "accuracy"}


def test_settings_that_stay_are_recorded_once_and_nothing_is_listed(tmp_path):
    fix_analysis(tmp_path, FIRST)
    write(tmp_path, "t0")
    fix_analysis(tmp_path, FIRST)
    assert len(read_analysis(tmp_path)) == 1
    assert analysis_changes(tmp_path, FIRST) == []


def test_a_change_after_a_test_record_is_listed_and_one_before_is_not(tmp_path):
    fix_analysis(tmp_path, LATER)
    fix_analysis(tmp_path, FIRST)
    assert analysis_changes(tmp_path, FIRST) == []
    write(tmp_path, "t0")
    (said,) = analysis_changes(tmp_path, LATER)
    assert said == 'primary_metric changed from "macro_f1" to "accuracy" since the last run'
    fix_analysis(tmp_path, LATER)
    (said,) = analysis_changes(tmp_path, LATER)
    assert "after 1 final trials" in said


def test_a_record_that_was_removed_or_edited_does_not_pass(tmp_path):
    write(tmp_path, "t0")
    assert "not recorded before the first test record" in analysis_changes(tmp_path, FIRST)[0]
    fix_analysis(tmp_path, FIRST)
    assert "first recorded when 1 final trials had finished" in analysis_changes(tmp_path, FIRST)[0]
    edited = json.loads((tmp_path / FILE).read_text())
    edited["entries"][0]["tested"] = 0
    (tmp_path / FILE).write_text(json.dumps(edited))
    assert "damaged" in analysis_changes(tmp_path, FIRST)[0]
