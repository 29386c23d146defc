"""The shipped studies load, alone and with every preset, and refer only to existing names."""

from __future__ import annotations

from pathlib import Path

import pytest

from agrm_study.report.figures import FIGURES
from agrm_study.report.tables import TABLES
from agrm_study.study.load import load_study
from agrm_study.training.models.backbones import BACKBONES
from agrm_study.training.models.pooling import POOLING
from agrm_study.training.ssl.losses import LOSSES
from agrm_study.training.ssl.thresholds import POLICIES

SHIPPED = Path(__file__).parents[2] / "search_spaces"
NAMES = {
    "model.backbone": BACKBONES,
    "model.pooling.name": POOLING,
    "ssl.threshold.policy": POLICIES,
    "loss.name": LOSSES,
    "report.tables": TABLES,
    "report.figures": FIGURES,
}
EXPECTED = {
    "controls",
    "demo", "agrm", "baselines", "ablation", "thresholds", "ema_alpha", "ramp_length", "shpm_bins", "backbones",
    "tau_by_alpha", "sweep", "folds", "tuned",
}  # fmt: skip
STUDIES = sorted(SHIPPED.glob("*.yaml"))


def test_all_studies_of_the_design_are_shipped() -> None:
    assert {path.stem for path in STUDIES} == EXPECTED


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
@pytest.mark.parametrize("preset", [None, "tiny"])
def test_a_shipped_study_loads(path: Path, preset: str | None) -> None:
    study = load_study(path, preset=preset, names=NAMES)
    assert study.name == path.stem
    assert study.question.endswith("?")
    assert study.arms
    assert preset is None or study.base.data.synthetic is not None


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_shipped_study_says_its_question_command_cost_and_result(path: Path) -> None:
    head = path.read_text(encoding="utf-8").split("\n\n")[0]
    for word in ("# Question  ", "# Run       agrm-study run", "# Cost      ", "# Observed  "):
        assert word in head
    assert all(line.startswith("#") for line in head.splitlines())


def test_the_demo_has_the_four_arms_and_five_seeds_of_the_ablation() -> None:
    study = load_study(SHIPPED / "demo.yaml")
    assert [arm.name for arm in study.arms] == ["AGRM", "w/o MTM", "w/o SHPM", "w/o both"]
    assert study.seeds == (0, 1, 2, 3, 4)


def test_a_shipped_study_is_found_by_its_name() -> None:
    assert load_study("ablation").name == "ablation"
