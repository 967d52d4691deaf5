"""What dermoscopic photographs carry beside the lesion, drawn onto batches: hair, ink, rulers, vignettes, colour casts.

Such things are associated with the diagnosis in collections, and classifiers use them: Winkler et al., Surgical Skin
Markings, JAMA Dermatology 155 (2019); Bissoto et al., (De)Constructing Bias on Skin Lesion Datasets, arXiv 1904.08818.
Each takes images [b, 3, s, s] in [0, 1] and uniform numbers for each of them, and draws one artefact on every image.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

HAIRS = 6  # at most, in one image


class Artefact(NamedTuple):
    """How it is drawn, and the shape of the numbers in [0, 1) that decide where and how, for each image."""

    draw: Callable[[Tensor, Tensor], Tensor]
    shape: tuple[int, ...]


def hair(images: Float[Tensor, "b 3 s s"], draws: Float[Tensor, "b 6 5"]) -> Float[Tensor, "b 3 s s"]:
    """One to six dark, bent lines across the whole image, one to two hundredths of its side wide."""
    along, across = _turned(images, draws[..., 0])
    offset, bend, width = draws[..., 1] * 1.4 - 0.7, draws[..., 2] * 1.6 - 0.8, 0.005 + 0.005 * draws[..., 3]
    distance = (across - offset[..., None, None] - bend[..., None, None] * along.square()).abs()
    ink = _soft(distance, width[..., None, None], images)
    shown = (draws[..., 4] < 0.5) | (torch.arange(HAIRS, device=images.device) == 0)
    cover = (ink * shown[..., None, None]).amax(dim=1, keepdim=True)
    colour = torch.tensor([0.16, 0.10, 0.08]).to(images).view(1, 3, 1, 1)
    return torch.lerp(images, colour.expand_as(images), 0.85 * cover)


def ink(images: Float[Tensor, "b 3 s s"], draws: Float[Tensor, "b 1 4"]) -> Float[Tensor, "b 3 s s"]:
    """A surgical marking: a broad arc of gentian violet towards an edge, thin enough to see skin through it."""
    along, across = _turned(images, draws[..., 0])
    offset, bend = 0.28 + 0.16 * draws[..., 1], 0.6 * draws[..., 2]
    width = 0.015 + 0.02 * draws[..., 3]
    distance = (across - offset[..., None, None] + bend[..., None, None] * along.square()).abs()
    cover = _soft(distance, width[..., None, None], images)
    colour = torch.tensor([0.33, 0.16, 0.55]).to(images).view(1, 3, 1, 1)
    return torch.lerp(images, images * 0.35 + 0.65 * colour, 0.8 * cover)


def ruler(images: Float[Tensor, "b 3 s s"], draws: Float[Tensor, "b 1 3"]) -> Float[Tensor, "b 3 s s"]:
    """A scale bar along one edge: evenly spaced dark ticks, every fifth one longer."""
    quarter = (draws[..., 0] * 4).floor() / 4
    along, across = _turned(images, quarter)
    period = 0.06 + 0.03 * draws[..., 1]
    place = along / period[..., None, None] + draws[..., 2][..., None, None]
    number = place.round()
    long = (number % 5 == 0).to(images)
    depth = 0.5 - across
    tick = ((place - number).abs() * period[..., None, None] < 0.012) & (depth < 0.05 + 0.04 * long) & (depth > 0.01)
    return torch.lerp(images, torch.full_like(images, 0.1), 0.8 * tick.to(images))


def vignette(images: Float[Tensor, "b 3 s s"], draws: Float[Tensor, "b 1 3"]) -> Float[Tensor, "b 3 s s"]:
    """The black rim of a dermoscope's round field, its radius 0.5 to 0.62 of the side, a little off the centre."""
    x, y = _turned(images, torch.zeros_like(draws[..., 0]))
    x, y = x - 0.06 * (draws[..., 1] - 0.5)[..., None, None], y - 0.06 * (draws[..., 2] - 0.5)[..., None, None]
    radius = (x.square() + y.square()).sqrt()
    outside = ((radius - (0.5 + 0.12 * draws[..., 0])[..., None, None]) / 0.03).clamp(0, 1)
    return images * (1 - outside)


def cast(images: Float[Tensor, "b 3 s s"], draws: Float[Tensor, " b"]) -> Float[Tensor, "b 3 s s"]:
    """A warm light that was not balanced: red up and blue down by a tenth to a fifth."""
    warmth = 0.1 + 0.1 * draws
    gain = torch.stack([1 + warmth, torch.ones_like(warmth), 1 - warmth], dim=1)
    return (images * gain[..., None, None]).clamp(0, 1)


ARTEFACTS = {
    "hair": Artefact(hair, (HAIRS, 5)),
    "ink": Artefact(ink, (1, 4)),
    "ruler": Artefact(ruler, (1, 3)),
    "vignette": Artefact(vignette, (1, 3)),
    "cast": Artefact(cast, ()),
}


def plant(
    images: Float[Tensor, "b 3 s s"], artefact: Artefact, chosen: Tensor, generator: torch.Generator
) -> Float[Tensor, "b 3 s s"]:
    """The artefact on the chosen images, bool [b]; a CPU generator, which moves on by the same whatever was chosen."""
    numbers = torch.rand(len(images), *artefact.shape, generator=generator)
    rows = chosen.nonzero().squeeze(1)  # only those are drawn on
    where, planted = rows.to(images.device), images.clone()
    planted[where] = artefact.draw(images[where], numbers[rows].to(images))
    return planted


def scatter(
    images: Float[Tensor, "b 3 s s"], generator: torch.Generator, probability: float
) -> Float[Tensor, "b 3 s s"]:
    """Every kind of artefact on every image with the same probability, each by itself."""
    for artefact in ARTEFACTS.values():
        images = plant(images, artefact, torch.rand(len(images), generator=generator) < probability, generator)
    return images


def _turned(images: Tensor, turn: Float[Tensor, "b n"]) -> tuple[Tensor, Tensor]:
    """Coordinates along and across a direction (a share of a full turn), from the centre, in sides: [b, n, s, s]."""
    side = images.shape[-1]
    axis = ((torch.arange(side, device=images.device) + 0.5) / side - 0.5).to(images)
    angle = (2 * math.pi * turn)[..., None, None]
    x, y = axis.view(1, 1, 1, side), axis.view(1, 1, side, 1)
    return x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()


def _soft(distance: Tensor, width: Tensor, images: Tensor) -> Tensor:
    """1 within the width, falling to 0 over a pixel: thin lines of small images stay visible and unjagged."""
    pixel = 1.0 / images.shape[-1]
    return ((width - distance) / pixel + 0.75).clamp(0, 1)
