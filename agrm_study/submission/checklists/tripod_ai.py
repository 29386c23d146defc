"""TRIPOD+AI, the reporting guideline for clinical prediction models (27 items with their sub-items)."""

from __future__ import annotations

from typing import Final

from agrm_study.submission.checklists.base import Checklist, Item
from agrm_study.submission.checklists.shared import (
    answer_of_study,
    both,
    calibration,
    clusters,
    goal,
    margin,
    shown,
    subgroups,
)
from agrm_study.submission.facts import Facts

_DATA, _ANALYSIS, _OPEN, _RESULTS = "Methods: data", "Methods: analysis", "Open science", "Results"

TRIPOD_AI: Final = Checklist(
    name="tripod-ai",
    title="TRIPOD+AI 2024",
    citation="Collins et al., BMJ 385, 2024, e078378, doi:10.1136/bmj-2023-078378",
    items=(
        Item("1", "Title", "Development or evaluation of a model, population and outcome", "State it in the title."),
        Item(
            "2",
            "Abstract",
            "Abstract according to TRIPOD+AI for Abstracts",
            "To be written; numbers.tex provides numbers by key.",
        ),
        Item("3a", "Introduction", "Healthcare context and existing models", ""),
        Item("3b", "Introduction", "Target population, purpose and users", ""),
        Item("3c", "Introduction", "Known health inequalities", ""),
        Item("4", "Introduction", "Objectives", goal),
        Item("5a", _DATA, "Sources of data and their representativeness", Facts.data),
        Item("5b", _DATA, "Dates of recruitment", ""),
        Item("6a", _DATA, "Setting and centres", ""),
        Item(
            "6b",
            _DATA,
            "Eligibility",
            "Add criteria. `data index --json` lists files that were left out, with reasons.",
        ),
        Item("6c", _DATA, "Treatments", ""),
        Item("7", _DATA, "Preparation and quality of data", both(Facts.preprocessing, Facts.augmentation)),
        Item("8a", _DATA, "Outcome and how it was assessed", ""),
        Item("8b", _DATA, "Assessors of the outcome", ""),
        Item("8c", _DATA, "Blinding of the outcome assessment", ""),
        Item("9a", _DATA, "Choice of predictors", Facts.preprocessing),
        Item("9b", _DATA, "Definition of predictors", Facts.preprocessing),
        Item(
            "9c",
            _DATA,
            "Assessors of predictors",
            shown("The predictors are the pixels of the video; there are no assessors.", "study.yaml (clip)"),
        ),
        Item("10", _DATA, "Sample size", margin),
        Item("11", _DATA, "Missing data", both(Facts.exclusions, Facts.missing)),
        Item("12a", _ANALYSIS, "Use of data for development and evaluation", Facts.split),
        Item("12b", _ANALYSIS, "Handling of predictors", Facts.preprocessing),
        Item(
            "12c",
            _ANALYSIS,
            "Model, tuning, training and internal validation",
            both(Facts.model, Facts.training, Facts.selection),
        ),
        Item("12d", _ANALYSIS, "Heterogeneity between clusters", clusters),
        Item("12e", _ANALYSIS, "Measures of performance", both(Facts.statistics, calibration)),
        Item(
            "12f",
            _ANALYSIS,
            "Updating of the model",
            shown(
                "Temperatures are fitted on validation data; calibrated and uncalibrated values are reported.",
                "table calibration",
            ),
        ),
        Item("12g", _ANALYSIS, "How predictions are calculated", both(Facts.model, Facts.code)),
        Item("13", _ANALYSIS, "Class imbalance", both(Facts.training, Facts.exclusions)),
        Item("14", _ANALYSIS, "Fairness", subgroups),
        Item(
            "15",
            _ANALYSIS,
            "Output of the model and thresholds",
            shown(
                "The output is a probability for each class; the decision is the most probable class; for "
                "two classes, this corresponds to a threshold of 0.5.",
                "table screening",
            ),
        ),
        Item("16", _ANALYSIS, "Differences between development and evaluation data", Facts.split),
        Item("17", _ANALYSIS, "Ethical approval and consent", ""),
        Item("18a", _OPEN, "Funding", ""),
        Item("18b", _OPEN, "Conflicts of interest", ""),
        Item(
            "18c",
            _OPEN,
            "Protocol",
            shown(
                "study.yaml contains every setting of the study; analysis settings were fixed before the first "
                "test record.",
                "study.yaml",
                "records/analysis.json",
            ),
        ),
        Item("18d", _OPEN, "Registration", ""),
        Item(
            "18e",
            _OPEN,
            "Sharing of data",
            "State where the videos are available; records.zip contains predictions only.",
        ),
        Item("18f", _OPEN, "Sharing of code", Facts.code),
        Item("19", "Patient and public involvement", "Involvement of patients and the public", ""),
        Item("20a", _RESULTS, "Flow of participants", both(Facts.data, Facts.exclusions)),
        Item("20b", _RESULTS, "Characteristics of participants", Facts.characteristics),
        Item("20c", _RESULTS, "Comparison of development and evaluation data", Facts.characteristics),
        Item("21", _RESULTS, "Participants and outcomes in each analysis", Facts.characteristics),
        Item("22", _RESULTS, "Full specification of the model", both(Facts.model, Facts.code)),
        Item("23a", _RESULTS, "Performance with intervals", answer_of_study),
        Item("23b", _RESULTS, "Heterogeneity of performance", subgroups),
        Item(
            "24",
            _RESULTS,
            "Results of updating",
            shown("Calibration before and after fitting a temperature.", "table calibration"),
        ),
        Item("25", "Discussion", "Interpretation", ""),
        Item("26", "Discussion", "Limitations", margin),
        Item(
            "27a",
            "Discussion",
            "Poor-quality or missing input",
            "`agrm-study predict` rejects videos that cannot be decoded; discuss other input problems.",
        ),
        Item("27b", "Discussion", "Interaction and expertise that users need", ""),
        Item("27c", "Discussion", "Next steps", ""),
    ),
)
"""The items of TRIPOD+AI."""
