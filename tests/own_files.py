"""Files with user-defined parts, for tests."""

from __future__ import annotations

from pathlib import Path

import yaml
from tiny_study import WITHOUT_MTM, tiny_study

PARTS = '''"""Parts of one's own."""

from torch import nn
from widths import SCALE

import agrm_study as ags


@ags.backbone("plain3d")
class Plain3d(ags.Backbone):
    """Strided convolutions, one after the other."""

    class Options(ags.Options):
        blocks: int = 3
        """Convolutions."""

    @classmethod
    def from_settings(cls, settings):
        stages, channels = {}, 3
        for index in range(cls.options_of(settings.options).blocks):
            width = SCALE * settings.width << index
            convolution = nn.Conv3d(channels, width, 3, stride=(1, 2, 2), padding=1, bias=False)
            stages[f"block{index + 1}"] = nn.Sequential(convolution, nn.BatchNorm3d(width), nn.ReLU())
            channels = width
        return cls(stages, feature_dim=channels)


@ags.threshold("rising")
class Rising(ags.ThresholdPolicy):
    """Weight from 0 at chance to 1 at tau."""

    def select(self, probs_BK, sample_ids_B):
        chance = 1.0 / self.n_classes
        confidence_B = probs_BK.detach().float().amax(1)
        return ((confidence_B - chance) / max(self.settings.tau - chance, 1e-6)).clamp(0, 1)

    def threshold(self):
        return self.settings.tau
'''
ARMS = {
    "AGRM": {},
    "plain": {"model.backbone": "plain3d"},
    "plain, 2 blocks": {"model.backbone": "plain3d", "model.options.blocks": 2},
    "rising": {"ssl.threshold.policy": "rising"},
    "w/o MTM": WITHOUT_MTM,
}


def write_study(folder: Path, *, arms=None, parts: str = PARTS, entry: str = "my_parts.py", **more) -> Path:
    """A study file, its parts and the module that they import."""
    folder.mkdir(parents=True, exist_ok=True)
    study = tiny_study("own", arms or ARMS, epochs=5, seeds=[0]) | {"parts": [entry]} | more
    (folder / "s.yaml").write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    (folder / "my_parts.py").write_text(parts, encoding="utf-8")
    (folder / "widths.py").write_text("SCALE = 1\n", encoding="utf-8")
    return folder / "s.yaml"


def write_trainer_study(folder: Path, code: str, study: dict) -> Path:
    """A study file and the module ``means.py`` of its trainer."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "means.py").write_text(code)
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(study, sort_keys=False))
    return file
