"""What a VAE pays for its code beside the distortion: one file each, chosen by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from derm_ml.models.vae import Posterior
from derm_ml.objectives.regularisers.beta import BetaKl
from derm_ml.objectives.regularisers.capacity import AnnealedCapacity
from derm_ml.objectives.regularisers.dip import Dip
from derm_ml.objectives.regularisers.tcvae import BetaTotalCorrelation


class Regulariser(Protocol):
    """Nats an image; where a penalty is the batch's, every image has the same."""

    def __call__(self, posterior: Posterior, z: Float[Tensor, "b z"], share: float) -> Float[Tensor, " b"]:
        """The price of a batch.

        Args:
            z: the posterior's sample that is decoded.
            share: how much of it is in force, in [0, 1]: the annealing's.
        """
        ...


Factory = Callable[[float, float, float, int], Regulariser]
# (beta, free_bits, capacity, images): what pretraining offers to each; images are those trained on
REGULARISERS: dict[str, Factory] = {
    "kl": lambda beta, free_bits, capacity, images: BetaKl(beta, free_bits),
    "tc": lambda beta, free_bits, capacity, images: BetaTotalCorrelation(beta, images),
    "dip1": lambda beta, free_bits, capacity, images: Dip(beta, of_means=True),
    "dip2": lambda beta, free_bits, capacity, images: Dip(beta, of_means=False),
    "capacity": lambda beta, free_bits, capacity, images: AnnealedCapacity(beta, capacity),
}
