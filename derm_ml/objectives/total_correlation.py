"""The rate taken apart: how much a code tells of its image, how dependent latents are, how far each is from the prior.

Chen et al., Isolating Sources of Disentanglement in VAEs, arXiv 1802.04942, equation 2: averaged over images,
KL(q(z|x) || p(z)) = I(z; x) + KL(q(z) || prod_d q(z_d)) + sum_d KL(q(z_d) || p(z_d)).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from derm_ml.models.vae import Posterior, gaussian_log_density

CHUNK = 2**25  # elements held at a time: 128 MB of float32


class RateParts(NamedTuple):
    """In nats an image; the three parts sum to the rate (of the same samples)."""

    mutual_information: float  # index-code: at most ln n for n images
    total_correlation: float
    dimension_wise: float

    @property
    def rate(self) -> float:
        """Their sum."""
        return sum(self)


@torch.no_grad()
def rate_parts(posterior: Posterior, generator: torch.Generator) -> RateParts:
    """Monte Carlo with one sample an image; q(z) is the mixture of exactly these images' posteriors.

    No minibatch weighting is needed (that is for training: `regularisers.tcvae`): all n posteriors are at hand. The
    mutual information of n images cannot exceed ln n, so that a rate far above it shows as total correlation.

    Args:
        posterior: of all images, [n, d] each.
    """
    mean, log_variance = (part.float() for part in posterior)
    count, width = mean.shape
    z = posterior.sample(generator).float()
    own = gaussian_log_density(z, z.new_zeros(()), z.new_zeros(()))  # log p(z_d)
    joint, marginals = z.new_zeros(count), z.new_zeros(count, width)
    step = max(1, CHUNK // (count * width))
    for start in range(0, count, step):
        part = gaussian_log_density(z[start : start + step, None], mean[None], log_variance[None])
        joint[start : start + step] = part.sum(dim=2).logsumexp(dim=1) - math.log(count)
        marginals[start : start + step] = part.logsumexp(dim=1) - math.log(count)
    given = gaussian_log_density(z, mean, log_variance)
    return RateParts(
        float((given.sum(dim=1) - joint).mean()),
        float((joint - marginals.sum(dim=1)).mean()),
        float((marginals - own).sum(dim=1).mean()),
    )
