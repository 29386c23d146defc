"""Listing the names of parts does not import torch; the message for an unknown name lists the known ones."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from agrm_study.conformance.pooling import features, layer_of
from agrm_study.study.errors import InputError
from agrm_study.training.models.backbones import BACKBONES, backbone_class
from agrm_study.training.models.pooling import POOLING, pooling_class

MODULES = (
    "agrm_study.training.models.backbones", "agrm_study.training.models.pooling", "agrm_study.training.ssl.losses",
    "agrm_study.training.ssl.thresholds", "agrm_study.training.data.datasets", "agrm_study.report.tables",
    "agrm_study.report.figures", "agrm_study.hooks",
)  # fmt: skip


def test_names_are_read_without_torch() -> None:
    code = f"import sys, importlib\nfor name in {MODULES}: importlib.import_module(name)\n"
    code += "assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_refused_with_the_closest_one() -> None:
    with pytest.raises(InputError, match=r"model\.pooling\.name.*allowed: average, max.*Did you mean `shpm`\?"):
        pooling_class("shmp")


@pytest.mark.parametrize("part", [*map(backbone_class, BACKBONES), *map(pooling_class, POOLING)])
def test_the_module_of_a_shipped_part_has_a_docstring(part: type[torch.nn.Module]) -> None:
    assert sys.modules[part.__module__].__doc__


@pytest.mark.parametrize("name", POOLING)
def test_flattened_time_refuses_another_number_of_frames(name: str) -> None:
    with pytest.raises(ValueError, match="must have 3 feature frames, got 2"):
        layer_of(name, temporal="flatten")(features(frames=2))
    assert layer_of(name)(features(frames=2)).shape == layer_of(name)(features()).shape
