"""beta-TCVAE: Chen et al., Isolating Sources of Disentanglement, arXiv 1802.04942, section 3.2 and equation 4."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from derm_ml.models.vae import Posterior, gaussian_log_density


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
        every = gaussian_log_density(z[:, None], mean[None], log_variance[None])  # [b, b, z]: every z, every posterior
        joint = every.sum(dim=2).logsumexp(dim=1) - weight
        product = (every.logsumexp(dim=1) - weight).sum(dim=1)
        given = gaussian_log_density(z, mean, log_variance).sum(dim=1)
        prior = gaussian_log_density(z, z.new_zeros(()), z.new_zeros(())).sum(dim=1)
        return share * ((given - joint) + self.beta * (joint - product) + (product - prior))


def tc(*, beta: float, images: int, **others: object) -> BetaTotalCorrelation:
    """Total correlation."""
    return BetaTotalCorrelation(beta, images)
