"""A results folder with synthetic predictions, for tests of the report."""

from agrm_study.conformance.made_evaluations import write_external, write_robustness
from agrm_study.conformance.made_records import ABLATION, SKILL, person_rows, trial_id, write_one, write_results

__all__ = [
    "ABLATION",
    "SKILL",
    "person_rows",
    "trial_id",
    "write_external",
    "write_one",
    "write_results",
    "write_robustness",
]
