"""Augmentation of whole batches, on the device: what leaves a lesion a lesion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from derm_ml.data.artefacts import scatter


@dataclass(frozen=True)
class Augmentation:
    """What batches are put through: a function of its generator.

    Attributes:
        strength, crop: see `augment`; strength 0 without a crop leaves the images alone.
        artefacts: probability of each kind of artefact on each view.
        views: how many times each image is augmented.
    """

    generator: torch.Generator
    strength: float = 1.0
    crop: float = 1.0
    artefacts: float = 0.0
    views: int = 1

    def __call__(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "v*b 3 s s"]:
        """The first view of every image, then the second of every image, ..."""
        each = [self._view(images) for _ in range(self.views)]
        return torch.cat(each) if self.views > 1 else each[0]

    def _view(self, images: Tensor) -> Tensor:
        if self.strength or self.crop < 1:
            images = augment(images, self.generator, self.strength, self.crop)
        return scatter(images, self.generator, self.artefacts) if self.artefacts else images


def augment(
    images: Float[Tensor, "b 3 s s"], generator: torch.Generator, strength: float = 1.0, crop: float = 1.0
) -> Float[Tensor, "b 3 s s"]:
    """Flips, quarter turns, brightness, contrast and colour shifts, and crops, each image its own.

    Args:
        images: in [0, 1].
        generator: a CPU generator; the result is a function of it.
        strength: 1 changes brightness and contrast by up to 10 % and each channel by up to 5 %; flips and turns
            do not depend on it.
        crop: the least share of the area that is kept; less than 1 cuts squares of any size down to it, at any angle.
    """
    if crop < 1:
        images = _cropped(images, generator, crop)
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


def _cropped(images: Tensor, generator: torch.Generator, least: float) -> Tensor:
    """A square of `least` to all of the area, its centre such that it would fit in unturned, turned by any angle.

    What reaches over the edge is the image's reflection. Areas are uniform, as in Inception's crops (Szegedy et al.,
    arXiv 1409.4842, section 6), the ratio of the sides is kept: shape is a clinical sign.
    """
    area, angle, *shift = torch.rand(4, len(images), generator=generator)
    scale = (least + (1 - least) * area).sqrt()
    cosine, sine = scale * (2 * math.pi * angle).cos(), scale * (2 * math.pi * angle).sin()
    x, y = ((1 - scale) * (2 * each - 1) for each in shift)
    affine = torch.stack([cosine, -sine, x, sine, cosine, y], dim=1).view(-1, 2, 3).to(images)
    grid = affine_grid(affine, list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="reflection", align_corners=False)
