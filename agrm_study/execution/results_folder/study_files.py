"""What does a results folder say of the study itself, whatever has run of it?"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from agrm_study.execution.data.prepared import Prepared
from agrm_study.execution.provenance import provenance
from agrm_study.plan.plan import Plan, write_cells
from agrm_study.records.location import Location
from agrm_study.records.writer import write_subjects
from agrm_study.study.resolved import write_resolved
from agrm_study.study.study import Study


def write_study(results: Location, study: Study, prepared: Prepared, plan: Plan) -> None:
    """Writes study.yaml, plan.json, provenance.json and the `subjects` records.

    Raises:
        OSError: When the storage refuses.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_resolved(study, Path(folder) / "study.yaml")
        write_cells(plan, Path(folder) / "plan.json")
        text = json.dumps(provenance(prepared.provenance()), indent=1, ensure_ascii=False) + "\n"
        (Path(folder) / "provenance.json").write_text(text, encoding="utf-8")
        for file in sorted(Path(folder).iterdir()):
            (results / file.name).write_atomic(file.read_bytes())
    for fingerprint, rows in prepared.subjects().items():
        if not (results / "records" / "subjects" / f"{fingerprint}.parquet").exists():
            write_subjects(results, fingerprint, rows)
