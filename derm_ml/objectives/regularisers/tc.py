"""beta-TCVAE: Chen et al., Isolating Sources of Disentanglement, arXiv 1802.04942, section 3.2 and equation 4."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from derm_ml.models.vae import Posterior, gaussian_log_density

CHUNK = 2**23  # densities at a time: a map of 8,192 latents has 64 times as many in a batch of 256


@dataclass(frozen=True)
class BetaTotalCorrelation:
    """Mutual information + beta * total correlation + dimension-wise KL; beta = 1 is the rate of the sample.

    The aggregate q(z) is estimated by minibatch-weighted sampling (equation 3): as a mixture of the batch's posteriors,
    divided by the number of images trained on. Its bias falls with the batch size; `rate_parts` has none.

    Attributes:
        images: trained on.
    """

    beta: float
    images: int

    def __call__(self, posterior: Posterior, z: Float[Tensor, "b z"], share: float) -> Float[Tensor, " b"]:
        """Nats an image."""
        mean, log_variance = (part.float() for part in posterior)
        z = z.float()
        weight = math.log(len(z) * self.images)
        joint, product = z.new_zeros(len(z), len(z)), z.new_zeros(len(z))
        latents = max(1, CHUNK // len(z) ** 2)
        for parts in zip(*(torch.split(part, latents, dim=1) for part in (z, mean, log_variance)), strict=True):
            pairs, single = checkpoint(_densities, *parts, use_reentrant=False, preserve_rng_state=False)
            joint, product = joint + pairs, product + single
        joint, product = joint.logsumexp(dim=1) - weight, product - z.shape[1] * weight
        given = gaussian_log_density(z, mean, log_variance).sum(dim=1)
        prior = gaussian_log_density(z, z.new_zeros(()), z.new_zeros(())).sum(dim=1)
        return share * ((given - joint) + self.beta * (joint - product) + (product - prior))


def _densities(
    z: Float[Tensor, "b z"], mean: Float[Tensor, "b z"], log_variance: Float[Tensor, "b z"]
) -> tuple[Float[Tensor, "b b"], Float[Tensor, " b"]]:
    """Of every z under every posterior: the log-density; and the sum over latents of that under all posteriors."""
    every = gaussian_log_density(z[:, None], mean[None], log_variance[None])  # [b, b, z]
    return every.sum(dim=2), every.logsumexp(dim=1).sum(dim=1)


def tc(*, beta: float, images: int, **others: object) -> BetaTotalCorrelation:
    """Total correlation."""
    return BetaTotalCorrelation(beta, images)
