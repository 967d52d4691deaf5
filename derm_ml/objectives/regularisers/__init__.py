"""What a VAE pays for its code beside the distortion: one file each, which defines a function of the file's name.

That makes the regulariser, and is handed every parameter of `pretrain` and `images`, how many are trained on, by name.
"""

from __future__ import annotations

from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from derm_ml.models.vae import Posterior


class Regulariser(Protocol):
    """Nats an image; where a penalty is the batch's, every image has the same."""

    def __call__(self, posterior: Posterior, z: Float[Tensor, "b z"], share: float) -> Float[Tensor, " b"]:
        """The price of a batch.

        Args:
            z: the posterior's sample that is decoded.
            share: how much of it is in force, in [0, 1]: the annealing's.
        """
        ...
