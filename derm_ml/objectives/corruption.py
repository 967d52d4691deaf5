"""What the encoder is not shown of an image that the decoder must give whole.

A denoising VAE: Im et al., Denoising Criterion for Variational Auto-Encoding Framework, arXiv 1511.06406. Hidden
squares: Pathak et al., Context Encoders, arXiv 1604.07379; He et al., Masked Autoencoders, arXiv 2111.06377.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

CELLS = 8  # squares along a side


@dataclass(frozen=True)
class Corruption:
    """Squares of an 8 x 8 grid hidden under the image's mean colour, and Gaussian noise on every value.

    Attributes:
        mask: share of the squares, each drawn by itself.
        noise: standard deviation, with images in [0, 1].
    """

    mask: float = 0.0
    noise: float = 0.0

    def __call__(self, images: Float[Tensor, "b 3 s s"], generator: torch.Generator) -> Float[Tensor, "b 3 s s"]:
        """Images to encode; noise is drawn on the CPU, and none where there is nothing to corrupt."""
        if self.mask:
            hidden = torch.rand(len(images), 1, CELLS, CELLS, generator=generator) < self.mask
            wide = interpolate(hidden.to(images), size=images.shape[-2:], mode="nearest")
            images = torch.lerp(images, images.mean(dim=(2, 3), keepdim=True), wide)
        if self.noise:
            images = images + self.noise * torch.randn(images.shape, generator=generator).to(images)
        return images
