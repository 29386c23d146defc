"""Grad-CAM: maps of the positions that increase the score of a class.

Sources: Selvaraju et al. 2017; Song et al. 2026, section 3.4.

Legend of axes: B clips, C colours (3), D features, T frames, H rows, W columns, K classes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agrm_study.study.errors import InputError
from agrm_study.training.models.network import VideoClassifier


def grad_cam(
    network: VideoClassifier, logits: Callable[[Tensor], Tensor], clips_BCTHW: Tensor, targets_B: Tensor
) -> Tensor:
    """Grad-CAM maps ReLU(Σ_d α_d A_d) of the last block's features A, with α_d the mean of ∂logit/∂A_d.

    The network runs in eval mode; its previous mode is restored afterwards. No gradients are accumulated in its
    parameters.

    Args:
        network: The network; the features are the output of its `gradcam_layer`.
        logits: Function that converts the network's outputs to logits (B, K), such as `SupervisedLoss.logits`.
        clips_BCTHW: Normalised clips on the network's device.
        targets_B: Class index of the explained logit of each clip.

    Returns:
        Unnormalised, non-negative maps (B, T', H', W') in the precision of the features.

    Raises:
        InputError: If the features have no positions (`Backbone.has_positions`).
    """
    if not network.has_positions:
        raise InputError(
            "Grad-CAM requires features with positions, but this network's classifier uses a class token",
            field="model.pooling.name",
            hint="Choose a different pooling, such as shpm, which pools the patches.",
        )
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        # The graph starts at the features, so earlier blocks do not need gradients.
        kept.append(output.detach().requires_grad_())
        return kept[0]

    was_training = network.training
    network.eval()
    hook = network.gradcam_layer.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            outputs_BO = network(clips_BCTHW)
            scores_B = logits(outputs_BO).gather(1, targets_B[:, None])
            [slopes_BDTHW] = torch.autograd.grad(scores_B.sum(), kept[0])
    finally:
        hook.remove()
        network.train(was_training)
    weights_BD111 = slopes_BDTHW.mean(dim=(2, 3, 4), keepdim=True)
    return torch.relu((weights_BD111 * kept[0].detach()).sum(dim=1))


def to_clip(maps_BTHW: Tensor, frames: int, size: int) -> Tensor:
    """Resize maps (B, T', H', W') to (B, frames, size, size) by trilinear interpolation, and min–max normalise each.

    A constant map, for example if no feature supports the class, becomes 0 everywhere.
    """
    whole_BTHW = F.interpolate(maps_BTHW[:, None].float(), (frames, size, size), mode="trilinear", align_corners=False)[
        :, 0
    ]
    low_B111 = whole_BTHW.amin(dim=(1, 2, 3), keepdim=True)
    span_B111 = whole_BTHW.amax(dim=(1, 2, 3), keepdim=True) - low_B111
    scaled = (whole_BTHW - low_B111) / span_B111.where(span_B111 > 0, torch.ones_like(span_B111))
    return scaled.clamp_(0.0, 1.0)
