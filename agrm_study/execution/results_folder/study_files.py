"""Files of a results folder that describe the study itself: study.yaml, plan.json, provenance.json, subjects."""

from __future__ import annotations

import json

from agrm_study.execution.data.prepared import Prepared
from agrm_study.execution.provenance import provenance
from agrm_study.plan.plan import Plan, cells_text
from agrm_study.records.analysis_log import fix_analysis
from agrm_study.records.integrity import split_is_whole
from agrm_study.records.location import Location
from agrm_study.records.part_sources import write_sources
from agrm_study.records.writer import write_subjects
from agrm_study.study.analysis import analysis_settings
from agrm_study.study.resolved import resolved_text
from agrm_study.study.study import Study


def write_study(results: Location, study: Study, prepared: Prepared, plan: Plan) -> None:
    """Writes analysis.json, study.yaml, plan.json, provenance.json, the source code of parts, and `subjects`."""
    fix_analysis(results, analysis_settings(study))
    write_sources(results, study.sources)
    texts = {
        "plan.json": cells_text(plan),
        "provenance.json": json.dumps(provenance(prepared.provenance()), indent=1, ensure_ascii=False) + "\n",
        "study.yaml": resolved_text(study),
    }
    for name, text in texts.items():
        (results / name).write_atomic(text.encode())
    for fingerprint, rows in prepared.subjects().items():
        if not split_is_whole(results, fingerprint):
            write_subjects(results, fingerprint, rows)
