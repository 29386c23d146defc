"""The network of a trial: backbone, pooling, optional hidden layers, dropout and classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

from torch import Tensor, nn

from agrm_study.study.errors import raise_together
from agrm_study.study.frozen_layers import WHOLE, unknown_layers
from agrm_study.training.models.backbones.base import Backbone
from agrm_study.training.models.classifier import CosineClassifier


@final
class VideoClassifier(nn.Module):
    """Classifies clips.

    The backbone's stages are children of this module under the same names, and the classifier is `fc`. The state dict
    of an R3D-18 with a linear classifier therefore has exactly torchvision's keys: Kinetics weights can be loaded, and
    trained weights can be loaded into torchvision's model if the pooling is the global average.

    Args:
        backbone: The backbone, whose stages become children of this module.
        pooling: Maps a feature volume (B, D, T, H, W) to a vector (B, P).
        hidden: Layers between pooling and dropout, by name.
        dropout: Dropout probability before the classifier.
        classifier: Maps the vector to outputs (B, K).

    Raises:
        ValueError: If names of stages or hidden layers collide.
    """

    def __init__(
        self,
        backbone: Backbone,
        pooling: nn.Module,
        hidden: Mapping[str, nn.Module],
        dropout: float,
        classifier: nn.Linear | CosineClassifier,
    ) -> None:
        super().__init__()
        self.feature_dim, self.has_positions = backbone.feature_dim, backbone.has_positions
        self.published_names = backbone.PUBLISHED_NAMES
        stages = dict(backbone.named_children())
        taken = (set(stages) | set(hidden)) & {"pooling", "dropout", "fc"} | set(stages) & set(hidden)
        if taken:
            raise ValueError(f"stage names must be unique and not reserved, got {sorted(taken)}")
        self._stages, self._hidden = tuple(stages), tuple(hidden)
        for name, layer in stages.items():
            self.add_module(name, layer)
        self.pooling = pooling
        for name, layer in hidden.items():
            self.add_module(name, layer)
        self.dropout = nn.Dropout(dropout)
        self.fc: nn.Linear | CosineClassifier = classifier
        self._frozen: tuple[str, ...] = ()

    def freeze(self, names: Sequence[str]) -> None:
        """Exclude layers from training: their parameters do not require gradients, and they stay in evaluation mode.

        Args:
            names: Names of backbone modules (`layer1`, `layer1.0`); `backbone` selects all its stages.

        Raises:
            InputError: If the backbone has no module with that name.
        """
        known = [name for name, _ in self.named_modules() if name.split(".")[0] in self._stages]
        raise_together(unknown_layers(names, known))
        self._frozen = self._stages if WHOLE in names else tuple(names)
        for name in self._frozen:
            self.get_submodule(name).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> VideoClassifier:
        """Set the mode of all layers except the frozen ones."""
        super().train(mode)
        for name in self._frozen:
            self.get_submodule(name).eval()
        return self

    def features(self, clips_BCTHW: Tensor) -> Tensor:
        """Feature volume (B, D, T', H', W') for normalised clips (B, 3, T, H, W)."""
        volume = clips_BCTHW
        for name in self._stages:
            volume = self._modules[name](volume)  # type: ignore[misc]
        return volume

    def classify(self, features_BDTHW: Tensor) -> Tensor:
        """Outputs (B, K) for a feature volume."""
        vector_BP = self.pooling(features_BDTHW)
        for name in self._hidden:
            vector_BP = self._modules[name](vector_BP)  # type: ignore[misc]
        return self.fc(self.dropout(vector_BP))  # type: ignore[no-any-return]

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """Outputs (B, K) for normalised clips (B, 3, T, H, W): logits, or cosines with the `arcface` classifier."""
        return self.classify(self.features(clips_BCTHW))

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Names of the backbone's stages, in execution order."""
        return self._stages

    @property
    def gradcam_layer(self) -> nn.Module:
        """The layer whose output is the feature volume."""
        return self.get_submodule(self._stages[-1])

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of the children whose parameters depend on pooling, clip size or classes."""
        return (*self._hidden, "fc")
