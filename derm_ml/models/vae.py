"""The variational autoencoder: a timm encoder, a Gaussian posterior, a convolutional decoder [1, 2].

[1] Kingma and Welling, Auto-Encoding Variational Bayes, arXiv 1312.6114.
[2] Rybkin et al., Simple and Effective VAE Training with Calibrated Decoders, arXiv 2006.13202 (the learned
    standard deviation of the decoder, one number for all pixels).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from derm_ml.models.backbones import Encoder
from derm_ml.models.decoder import ConvDecoder


class Posterior(NamedTuple):
    """q(z | x): a diagonal Gaussian."""

    mean: Float[Tensor, "b z"]
    log_variance: Float[Tensor, "b z"]

    def sample(self, generator: torch.Generator | None) -> Float[Tensor, "b z"]:
        """mean + sd * noise (the reparametrisation of [1], section 2.4); noise is drawn on the CPU."""
        # One CPU stream for every device: the same seed gives the same noise on a CPU and on a GPU.
        noise = torch.randn(self.mean.shape, generator=generator).to(self.mean)
        return self.mean + (0.5 * self.log_variance).exp() * noise


def gaussian_kl(posterior: Posterior) -> Float[Tensor, "b z"]:
    """KL(q(z | x) || N(0, I)) of every latent, in nats ([1], appendix B); sum over the latents for an image's rate."""
    mean, log_variance = posterior
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)


def gaussian_log_density(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(z; mean, variance) of every dimension, in nats; shapes broadcast."""
    return -0.5 * ((z - mean).square() * (-log_variance).exp() + log_variance + math.log(2 * math.pi))


class PosteriorVector(nn.Linear):
    """One Gaussian vector, from the last map (pooled to 4 x 4 where larger)."""

    def __init__(self, encoder: Encoder, latents: int) -> None:
        self.grid, self.pooled = min(4, encoder.side), encoder.side > 4
        super().__init__(encoder.widths[-1] * self.grid**2, 2 * latents)

    def forward(self, hidden: Float[Tensor, "b w h h"]) -> Posterior:  # type: ignore[override]
        """The posterior of [b, latents]."""
        if self.pooled:  # of a 4 x 4 map it would change nothing, for 4 % of a step of `derm_large`
            hidden = nn.functional.adaptive_avg_pool2d(hidden, self.grid)
        return _bounded(super().forward(hidden.flatten(1)))


class PosteriorMap(nn.Linear):
    """A Gaussian vector at every position of the last map, made from that position alone."""

    def __init__(self, encoder: Encoder, latents: int) -> None:
        super().__init__(encoder.widths[-1], 2 * latents)

    def forward(self, hidden: Float[Tensor, "b w h h"]) -> Posterior:  # type: ignore[override]
        """The posterior of [b, latents * h * h], channel by channel."""
        return _bounded(super().forward(hidden.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))


def _bounded(statistics: Float[Tensor, "b c ..."]) -> Posterior:
    mean, log_variance = (part.flatten(1) for part in statistics.float().chunk(2, dim=1))
    # A soft bound: beyond e^8 or below e^-8 the exponential loses the gradient in float32.
    return Posterior(mean, 8.0 * torch.tanh(log_variance / 8.0))


class ConvVae(nn.Module):
    """A VAE for square images of 32 to 256 px, divisible by 32.

    Args:
        encoder: maps images to feature maps; its last map is flattened (pooled to 4 x 4 where larger).
        latents: dimensions of z, or of z at each position of a spatial posterior.
        spatial: z is a map of the last feature map's side, the posterior of every position made from that position.
            Everywhere but in the decoder it is flattened, channel by channel.
        decoder_width: factor on the decoder's channels.

    Attributes:
        latent_dim: dimensions of z in all.

    Raises:
        ValueError: a spatial posterior's map cannot be doubled to the image's size.
    """

    def __init__(
        self, encoder: Encoder, latents: int = 128, *, spatial: bool = False, decoder_width: float = 1.0
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.side = encoder.side if spatial else 1
        self.latent_dim = latents * self.side**2
        self.posterior = PosteriorMap(encoder, latents) if self.side > 1 else PosteriorVector(encoder, latents)
        self.decoder = ConvDecoder(latents, encoder.image_size, self.side, decoder_width)
        self.log_sigma = nn.Parameter(torch.tensor(-1.5))  # e^-1.5 = 0.22, about the spread of the pixels

    def encode(self, images: Float[Tensor, "b 3 s s"]) -> Posterior:
        """q(z | x) for images in [0, 1]."""
        return self.posterior(self.encoder.maps(images)[-1])  # type: ignore[no-any-return]

    def decode(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b 3 s s"]:
        """The mean of p(x | z), in [0, 1]."""
        return self.decoder(z.view(len(z), -1, self.side, self.side) if self.side > 1 else z)  # type: ignore[no-any-return]

    def summary(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b c"]:
        """One vector an image that does not depend on where things are: z itself, or its mean over the positions."""
        return z.view(len(z), -1, self.side**2).mean(dim=2)

    def forward(
        self, images: Float[Tensor, "b 3 s s"], generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "b 3 s s"], Posterior]:
        """The decoded mean of one posterior sample, and the posterior."""
        posterior = self.encode(images)
        return self.decode(posterior.sample(generator)), posterior
