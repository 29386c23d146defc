"""Every built-in part passes the checks of its kind; the same checks detect defects of a user-defined part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from agrm_study.cli.app import app
from agrm_study.conformance.checks import Check, checks_of
from agrm_study.training.data.datasets import LAYOUTS
from agrm_study.training.models.backbones import BACKBONES
from agrm_study.training.models.pooling import POOLING
from agrm_study.training.ssl.losses import LOSSES
from agrm_study.training.ssl.thresholds import POLICIES

SHIPPED: Mapping[str, Mapping[str, str]] = {
    "backbone": BACKBONES, "pooling": POOLING, "threshold": POLICIES, "loss": LOSSES, "layout": LAYOUTS,
}  # fmt: skip
CASES = [
    pytest.param(name, check, id=f"{kind}-{name}-{check.__name__}")
    for kind, names in SHIPPED.items()
    for name in names
    for check in checks_of(kind)
]


@pytest.mark.parametrize(("name", "check"), CASES)
def test_a_shipped_part_keeps_the_promise(name: str, check: Check) -> None:
    check(name)


BAD = '''
import torch

import agrm_study as ags


@ags.threshold("backwards")
class Backwards(ags.ThresholdPolicy):
    """Counts the least confident clips."""

    def select(self, probs_BK, sample_ids_B):
        return 1.0 - probs_BK.float().amax(1)

    def threshold(self):
        return 0.5


@ags.loss("noisy")
class Noisy(ags.Loss):
    """Cross-entropy with noise."""

    def __call__(self, outputs_BO, labels_B):
        return torch.nn.functional.cross_entropy(outputs_BO.float() + torch.randn(()), labels_B) + torch.rand(())


@ags.backbone("cut")
class Cut(ags.Backbone):
    @classmethod
    def from_settings(cls, settings):
        return cls({"fc": torch.nn.Conv3d(3, 64, 3, stride=2)}, feature_dim=64)
'''


def test_what_fails_is_said_in_words_and_the_exit_code_is_1(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(BAD)
    done = CliRunner().invoke(app, ["check-part", str(tmp_path / "bad.py")], standalone_mode=False)
    assert done.return_value == 1, done.output
    assert "fails: Within a batch and class, a more confident clip never has a smaller weight." in done.output
    assert "they have a gradient; use `probs_BK.detach()`." in done.output
    assert "no random numbers are drawn. Found: the losses differ." in done.output
    assert (
        "The feature dimension scales with `model.width`. Found: width 8 gives 64 features, width 64 64." in done.output
    )
