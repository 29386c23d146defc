"""The study of a results folder, read from its ``study.yaml``."""

from __future__ import annotations

from pathlib import Path

from agrm_study.records.location import Location
from agrm_study.records.no_results import no_results
from agrm_study.study.resolved import parse_resolved
from agrm_study.study.study import Study


def read_study(results: Location) -> Study:
    """The study as it was last run.

    Raises:
        InputError: If study.yaml is missing, damaged or of a different schema version.
    """
    content = (results / "study.yaml").read()
    if content is None:
        raise no_results(results.address, "study.yaml")
    return parse_resolved(content, Path(results.path) / "study.yaml")
