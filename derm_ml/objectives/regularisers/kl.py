"""The beta-VAE's rate, and free bits.

Higgins et al., beta-VAE, ICLR 2017, equation 4; Kingma et al., Inverse Autoregressive Flow, arXiv 1606.04934
(the objective that they call free bits).
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from derm_ml.models.vae import Posterior, gaussian_kl


@dataclass(frozen=True)
class BetaKl:
    """beta * KL(q(z | x) || N(0, I)).

    With `free_bits`, each latent's KL, averaged over the batch, counts as that many nats at least: below them it costs
    the same, so that no latent is given up for its price.
    """

    beta: float = 1.0
    free_bits: float = 0.0

    def __call__(self, posterior: Posterior, z: Float[Tensor, "b z"], share: float) -> Float[Tensor, " b"]:
        """Nats an image; with free bits the batch's mean for every image."""
        rate = gaussian_kl(posterior)
        if self.free_bits:
            rate = rate.mean(dim=0).clamp_min(self.free_bits).expand_as(rate)
        return share * self.beta * rate.sum(dim=1)


def kl(*, beta: float, free_bits: float, **others: object) -> BetaKl:
    """Of the posterior to the prior."""
    return BetaKl(beta, free_bits)
