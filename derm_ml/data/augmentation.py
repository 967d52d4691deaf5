"""Augmentation of whole batches, on the device: what leaves a lesion a lesion."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def augment(
    images: Float[Tensor, "b 3 s s"], generator: torch.Generator, strength: float = 1.0
) -> Float[Tensor, "b 3 s s"]:
    """Flips, quarter turns, brightness, contrast and colour shifts, each image its own.

    Args:
        images: in [0, 1].
        generator: a CPU generator; the result is a function of it.
        strength: 1 changes brightness and contrast by up to 10 % and each channel by up to 5 %; flips and turns
            do not depend on it.
    """
    count, device = len(images), images.device
    draws = torch.rand(count, 8, generator=generator).to(device)
    flipped = torch.where((draws[:, 0] < 0.5).view(-1, 1, 1, 1), images.flip(3), images)
    flipped = torch.where((draws[:, 1] < 0.5).view(-1, 1, 1, 1), flipped.flip(2), flipped)
    turned = torch.where((draws[:, 2] < 0.5).view(-1, 1, 1, 1), flipped.transpose(2, 3), flipped)
    gain = 1.0 + strength * (0.2 * draws[:, 3:4] - 0.1 + 0.1 * draws[:, 4:7] - 0.05)
    contrast = 1.0 + strength * (0.2 * draws[:, 7] - 0.1)
    middle = turned.mean(dim=(2, 3), keepdim=True)
    changed = (middle + (turned - middle) * contrast.view(-1, 1, 1, 1)) * gain.view(-1, 3, 1, 1)
    return changed.clamp(0.0, 1.0).contiguous(memory_format=torch.channels_last)
