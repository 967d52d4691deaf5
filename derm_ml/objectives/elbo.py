"""The evidence lower bound, with its parts apart, and beta [1, 2].

[1] Kingma and Welling, arXiv 1312.6114, equation 10 (the KL of a diagonal Gaussian from the standard normal).
[2] Higgins et al., beta-VAE, ICLR 2017; the parts' names are those of Alemi et al., Fixing a Broken ELBO,
    arXiv 1711.00464: distortion = -E log p(x | z), rate = KL(q(z | x) || p(z)).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from derm_ml.models.vae import ConvVae, Posterior
from derm_ml.objectives.base import Losses


def gaussian_kl(posterior: Posterior) -> Float[Tensor, "b z"]:
    """KL(q(z | x) || N(0, I)) of every latent, in nats; sum over the latents for the rate of an image."""
    mean, log_variance = posterior
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)


def gaussian_distortion(
    images: Float[Tensor, "b 3 s s"], means: Float[Tensor, "b 3 s s"], log_sigma: Float[Tensor, ""]
) -> Float[Tensor, " b"]:
    """-log N(x; mean, sigma^2 I) in nats, summed over pixels and channels. A density: it may be negative."""
    squares = (images - means).square().flatten(1).sum(dim=1)
    values = images[0].numel()
    return 0.5 * squares * (-2.0 * log_sigma).exp() + values * (log_sigma + 0.5 * math.log(2 * math.pi))


class ElboObjective:
    """Minimises distortion + beta * rate, in nats an image, mean over the batch, divided by the pixel values.

    The division (by 3 s s) only scales the gradient; what is reported is in nats an image. Beta rises linearly
    from zero over the first `kl_warmup` epochs.
    """

    def __init__(self, model: ConvVae, beta: float = 1.0, kl_warmup: float = 0.0) -> None:
        self._model, self.beta, self.kl_warmup = model, beta, kl_warmup

    @property
    def model(self) -> ConvVae:
        """The VAE."""
        return self._model

    def beta_at(self, epoch: float) -> float:
        """The weight of the rate after `epoch` epochs."""
        return self.beta * min(1.0, epoch / self.kl_warmup) if self.kl_warmup else self.beta

    def __call__(
        self, inputs: Float[Tensor, "b 3 s s"], rows: Tensor, epoch: float, generator: torch.Generator | None
    ) -> Losses:
        """The loss, and the sums of distortion, rate, elbo (at beta = 1) and loss (at beta), in nats."""
        return self.of_posterior(inputs, self.model.encode(inputs), epoch, generator)

    def of_posterior(
        self,
        inputs: Float[Tensor, "b 3 s s"],
        posterior: Posterior,
        epoch: float,
        generator: torch.Generator | None,
    ) -> Losses:
        """The same, of images that are encoded already."""
        z = posterior.mean if generator is None else posterior.sample(generator)
        distortion = gaussian_distortion(inputs, self.model.decode(z), self.model.log_sigma)
        rate = gaussian_kl(posterior).sum(dim=1)
        nats = distortion + self.beta_at(epoch) * rate
        parts = {"distortion": distortion, "rate": rate, "elbo": -(distortion + rate), "loss": nats}
        return Losses(nats.mean() / inputs[0].numel(), {key: value.detach().sum() for key, value in parts.items()})


def active_units(posterior_means: Float[Tensor, "n z"], threshold: float = 0.01) -> int:
    """Latents whose posterior mean varies over the data by more than `threshold`.

    Burda et al., Importance Weighted Autoencoders, arXiv 1509.00519, section 5.2.
    """
    return int((posterior_means.var(dim=0, correction=0) > threshold).sum())
