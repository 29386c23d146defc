"""Which places of a clip raised the score of a class? Grad-CAM (Selvaraju et al. 2017; Song et al. 2026, section 3.4).

Legend of axes: B clips, C colours (3), D features, T frames, H rows, W columns, K classes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agrm_study.training.models.network import VideoClassifier


def grad_cam(
    network: VideoClassifier, logits: Callable[[Tensor], Tensor], clips_BCTHW: Tensor, targets_B: Tensor
) -> Tensor:
    """Maps (B, T', H', W') on the grid of the last block's features: ReLU(Σ_d α_d A_d), α_d the mean of ∂logit/∂A_d.

    The network answers in evaluation mode; its training mode is put back. Nothing is accumulated in its parameters.

    Args:
        network: Its `gradcam_layer` is the last convolutional block.
        logits: What the network's outputs mean as logits (B, K), `SupervisedLoss.logits`.
        clips_BCTHW: Normalised clips on the network's device.
        targets_B: Class index of the logit that each clip is explained by.

    Returns:
        Values of 0 and more, not normalised, in the features' precision.
    """
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        # The features become the graph's beginning: the blocks before them need no gradient.
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
    """Maps (B, frames, size, size): trilinear to the clip, then min–max within each clip.

    A map without any relief, as when no feature speaks for the class, becomes 0 everywhere.
    """
    whole_BTHW = F.interpolate(maps_BTHW[:, None].float(), (frames, size, size), mode="trilinear", align_corners=False)[
        :, 0
    ]
    low_B111 = whole_BTHW.amin(dim=(1, 2, 3), keepdim=True)
    span_B111 = whole_BTHW.amax(dim=(1, 2, 3), keepdim=True) - low_B111
    scaled = (whole_BTHW - low_B111) / span_B111.where(span_B111 > 0, torch.ones_like(span_B111))
    return scaled.clamp_(0.0, 1.0)
