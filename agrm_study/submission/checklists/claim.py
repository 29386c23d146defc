"""CLAIM, the Checklist for Artificial Intelligence in Medical Imaging, 2024 update (44 items)."""

from __future__ import annotations

from typing import Final

from agrm_study.submission.checklists.base import Checklist, Item
from agrm_study.submission.checklists.shared import (
    answer_of_study,
    both,
    calibration,
    external,
    goal,
    margin,
    robustness,
    shown,
    subgroups,
)
from agrm_study.submission.facts import Facts

_DATA, _STANDARD, _PARTS = "Methods: data", "Methods: reference standard", "Methods: data partitions"
_MODEL, _TRAINING, _EVALUATION = "Methods: model", "Methods: training", "Methods: evaluation"
_RESULTS, _PERFORMANCE = "Results: data", "Results: model performance"

CLAIM: Final = Checklist(
    name="claim",
    title="CLAIM 2024",
    citation="Tejani et al., Radiology: Artificial Intelligence 6(4), 2024, e240300, doi:10.1148/ryai.240300",
    items=(
        Item("1", "Title and abstract", "Category of the AI method in the title or abstract", "State it in the title."),
        Item("2", "Title and abstract", "Structured abstract", "To be written; numbers.tex provides numbers by key."),
        Item("3", "Introduction", "Background, intended use and role of the method", ""),
        Item("4", "Introduction", "Aims and hypotheses", goal),
        Item("5", "Methods: study design", "Prospective or retrospective", ""),
        Item("6", "Methods: study design", "Goal of the study", goal),
        Item("7", _DATA, "Sources of the data", Facts.data),
        Item(
            "8",
            _DATA,
            "Inclusion and exclusion criteria, settings and dates",
            "Add criteria, setting and dates. `data index --json` lists files that were left out, with reasons.",
        ),
        Item("9", _DATA, "Preprocessing", Facts.preprocessing),
        Item("10", _DATA, "Selection of subsets", Facts.exclusions),
        Item("11", _DATA, "De-identification", ""),
        Item("12", _DATA, "Missing data", Facts.missing),
        Item("13", _DATA, "Image acquisition", "Add cameras, distance and recording protocol."),
        Item("14", _STANDARD, "Method used to obtain the reference standard", ""),
        Item("15", _STANDARD, "Rationale for the reference standard", ""),
        Item("16", _STANDARD, "Source of the annotations", ""),
        Item("17", _STANDARD, "Annotation of the test set", ""),
        Item("18", _STANDARD, "Variability between and within raters", ""),
        Item("19", _PARTS, "Assignment to partitions", Facts.split),
        Item("20", _PARTS, "Level at which partitions are disjoint", Facts.split),
        Item("21", "Methods: testing data", "Intended sample size", margin),
        Item("22", _MODEL, "Description of the model", both(Facts.model, Facts.preprocessing)),
        Item("23", _MODEL, "Software", Facts.software),
        Item("24", _MODEL, "Initialisation of parameters", Facts.model),
        Item("25", _TRAINING, "Training approach", both(Facts.training, Facts.augmentation)),
        Item("26", _TRAINING, "Selection of the final model", Facts.selection),
        Item("27", _TRAINING, "Ensembling", Facts.model),
        Item("28", _EVALUATION, "Performance metrics", Facts.statistics),
        Item("29", _EVALUATION, "Significance and uncertainty", Facts.statistics),
        Item("30", _EVALUATION, "Robustness or sensitivity analysis", both(Facts.arms, robustness)),
        Item(
            "31",
            _EVALUATION,
            "Explainability",
            "`agrm-study explain` creates Grad-CAM and occlusion panels; state how they were validated.",
        ),
        Item("32", _EVALUATION, "Testing on internal data", Facts.split),
        Item("33", _EVALUATION, "Testing on external data", external),
        Item("34", "Methods: registration", "Trial registration", ""),
        Item("35", _RESULTS, "Numbers included and excluded", both(Facts.data, Facts.exclusions)),
        Item("36", _RESULTS, "Characteristics of each partition", Facts.characteristics),
        Item("37", _PERFORMANCE, "Performance with uncertainty, by partition", answer_of_study),
        Item("38", _PERFORMANCE, "Diagnostic accuracy with precision", calibration),
        Item(
            "39",
            _PERFORMANCE,
            "Analysis of failures",
            shown(
                "Confusion matrices show errors by class and arm; `explain` shows failures selected by a fixed rule.",
                "figure confusion",
                "table per_class",
            ),
        ),
        Item("40", "Discussion", "Limitations", both(margin, subgroups)),
        Item("41", "Discussion", "Implications for practice, intended use", ""),
        Item(
            "42",
            "Other information",
            "Full protocol",
            shown(
                "study.yaml contains every setting of the study; analysis settings were fixed before the first "
                "test record.",
                "study.yaml",
                "records/analysis.json",
            ),
        ),
        Item("43", "Other information", "Availability of software, model and data", Facts.code),
        Item("44", "Other information", "Funding and role of funders", ""),
    ),
)
"""The items of CLAIM 2024."""
