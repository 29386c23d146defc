"""Files of a results folder that describe the study itself: study.yaml, plan.json, provenance.json, subjects."""

from __future__ import annotations

import json

from agrm_study.execution.data.prepared import Prepared
from agrm_study.execution.provenance import provenance
from agrm_study.plan.plan import Plan, write_cells
from agrm_study.records.analysis_log import fix_analysis
from agrm_study.records.integrity import split_is_whole
from agrm_study.records.location import Location
from agrm_study.records.part_sources import write_sources
from agrm_study.records.writer import write_subjects
from agrm_study.study.analysis import analysis_settings
from agrm_study.study.resolved import write_resolved
from agrm_study.study.study import Study
from agrm_study.study.temporary import temporary_folder


def write_study(results: Location, study: Study, prepared: Prepared, plan: Plan) -> None:
    """Writes analysis.json, study.yaml, plan.json, provenance.json, the source of parts, and the `subjects` records."""
    fix_analysis(results, analysis_settings(study))
    write_sources(results, study.sources)
    with temporary_folder("study") as folder:
        write_resolved(study, folder / "study.yaml")
        write_cells(plan, folder / "plan.json")
        text = json.dumps(provenance(prepared.provenance()), indent=1, ensure_ascii=False) + "\n"
        (folder / "provenance.json").write_text(text, encoding="utf-8")
        for name in ("plan.json", "provenance.json", "study.yaml"):
            (results / name).write_atomic((folder / name).read_bytes())
    for fingerprint, rows in prepared.subjects().items():
        if not split_is_whole(results, fingerprint):
            write_subjects(results, fingerprint, rows)
