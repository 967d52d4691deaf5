"""DIP-VAE-I: Kumar et al., Variational Inference of Disentangled Latent Concepts, arXiv 1711.00848, equation 6."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from derm_ml.models.vae import Posterior, gaussian_kl

ON_DIAGONAL = 10.0  # of DIP-VAE-I: its weight on the diagonal over that off it (the paper's); of DIP-VAE-II one


@dataclass(frozen=True)
class Dip:
    """KL + beta * squares of what the codes' covariance has off its diagonal and of how far its diagonal is from one.

    Attributes:
        of_means: DIP-VAE-I, the covariance of the posterior means. Else DIP-VAE-II (equation 7), of the codes: the
            mean of the posteriors' variances is on its diagonal as well.
    """

    beta: float
    of_means: bool

    def __call__(self, posterior: Posterior, z: Float[Tensor, "b z"], share: float) -> Float[Tensor, " b"]:
        """Nats an image; the penalty is the batch's."""
        mean, log_variance = posterior
        centred = mean - mean.mean(dim=0)
        covariance = centred.T @ centred / len(mean)
        if not self.of_means:
            covariance = covariance + log_variance.exp().mean(dim=0).diag()
        diagonal = covariance.diagonal()
        on = (diagonal - 1.0).square().sum()
        off = covariance.square().sum() - diagonal.square().sum()
        penalty = self.beta * (off + (ON_DIAGONAL if self.of_means else 1.0) * on)
        return share * (gaussian_kl(posterior).sum(dim=1) + torch.as_tensor(penalty))


def dip1(*, beta: float, **others: object) -> Dip:
    """Of the posterior means."""
    return Dip(beta, of_means=True)
