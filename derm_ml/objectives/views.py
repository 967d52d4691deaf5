"""The ELBO and what two views of an image have in common."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from derm_ml.models.vae import ConvVae, Posterior
from derm_ml.objectives.base import Losses
from derm_ml.objectives.elbo import ElboObjective
from derm_ml.objectives.invariances import Invariance


class TwoViewObjective:
    """Minimises the ELBO objective's loss of the first view + weight * invariance of the posterior means of both.

    Only one view is decoded, which saves a decoder's pass; the other view's posterior has no rate to pay.

    Args:
        weight: of the invariance, against nats a pixel value.
    """

    def __init__(self, elbo: ElboObjective, invariance: Invariance, weight: float) -> None:
        self.elbo, self.invariance, self.weight = elbo, invariance, weight

    @property
    def model(self) -> ConvVae:
        """The VAE."""
        return self.elbo.model

    def __call__(
        self, inputs: Float[Tensor, "bb 3 s s"], rows: Tensor, epoch: float, generator: torch.Generator | None
    ) -> Losses:
        """As the ELBO objective, and the sum of the invariance.

        Args:
            inputs: the first view of every row, then the second of every row.
        """
        count = len(rows)
        mean, log_variance = self.elbo.encode(inputs, generator)
        own = self.elbo.of_posterior(inputs[:count], Posterior(mean[:count], log_variance[:count]), epoch, generator)
        means = self.model.summary(mean).float()
        with torch.autocast(inputs.device.type, enabled=False):  # products of a batch in bf16 would be coarse
            term = self.invariance(means[:count], means[count:])
        return Losses(own.loss + self.weight * term, {**own.sums, "invariance": count * term.detach()})
