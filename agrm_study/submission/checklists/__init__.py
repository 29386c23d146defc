"""Reporting checklists, filled in from the records as far as possible."""

from __future__ import annotations

from agrm_study.submission.checklists.base import Checklist
from agrm_study.submission.checklists.claim import CLAIM
from agrm_study.submission.checklists.tripod_ai import TRIPOD_AI

CHECKLISTS: dict[str, Checklist] = {"claim": CLAIM, "tripod-ai": TRIPOD_AI}
"""Checklists by their name on the command line."""
