"""The annealed-capacity VAE: Burgess et al., Understanding disentangling in beta-VAE, arXiv 1804.03599, equation 8."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from derm_ml.models.vae import Posterior, gaussian_kl


@dataclass(frozen=True)
class AnnealedCapacity:
    """gamma * |KL - C|: the rate is drawn to `capacity` nats, which come in from zero with the annealing."""

    gamma: float
    capacity: float

    def __call__(self, posterior: Posterior, z: Float[Tensor, "b z"], share: float) -> Float[Tensor, " b"]:
        """Nats an image."""
        return self.gamma * (gaussian_kl(posterior).sum(dim=1) - share * self.capacity).abs()


def capacity(*, beta: float, capacity: float, **others: object) -> AnnealedCapacity:
    """The rate drawn to a capacity; beta is the paper's gamma."""
    return AnnealedCapacity(beta, capacity)
