"""The evidence lower bound, its parts apart, the rate in any regulariser's form.

The parts' names are those of Alemi et al., Fixing a Broken ELBO, arXiv 1711.00464: distortion = -E log p(x | z),
rate = KL(q(z | x) || p(z)); the bound itself is Kingma and Welling's, arXiv 1312.6114, equation 3.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from derm_ml.models.vae import ConvVae, Posterior, gaussian_kl
from derm_ml.objectives.annealing import Annealing, warmup
from derm_ml.objectives.base import Losses
from derm_ml.objectives.corruption import Corruption
from derm_ml.objectives.likelihoods import Likelihood
from derm_ml.objectives.likelihoods.gaussian import gaussian
from derm_ml.objectives.regularisers import Regulariser
from derm_ml.objectives.regularisers.kl import BetaKl

RATE = BetaKl()
FROM_THE_START = warmup(0)
WHOLE = Corruption()


class ElboObjective:
    """Minimises distortion + regulariser, in nats an image, mean over the batch, divided by the pixel values.

    The division (by 3 s s) only scales the gradient; what is reported is in nats an image.

    Args:
        regulariser: by default the rate, which makes it the ELBO.
        annealing: how the regulariser comes in.
        likelihood: of an image given what was decoded; None: nothing is decoded, the distortion is zero, and no code
            is paid for.
        corruption: of what is encoded while training; what is decoded is held against the whole image.
    """

    def __init__(
        self,
        model: ConvVae,
        regulariser: Regulariser = RATE,
        annealing: Annealing = FROM_THE_START,
        likelihood: Likelihood | None = gaussian,
        corruption: Corruption = WHOLE,
    ) -> None:
        self._model, self.regulariser, self.annealing = model, regulariser, annealing
        self.likelihood, self.corruption = likelihood, corruption

    @property
    def model(self) -> ConvVae:
        """The VAE."""
        return self._model

    def __call__(
        self, inputs: Float[Tensor, "b 3 s s"], rows: Tensor, epoch: float, generator: torch.Generator | None
    ) -> Losses:
        """The loss, and the sums of distortion, rate, elbo (distortion and rate) and loss, in nats."""
        return self.of_posterior(inputs, self.encode(inputs, generator), epoch, generator)

    def encode(self, inputs: Float[Tensor, "b 3 s s"], generator: torch.Generator | None) -> Posterior:
        """The posterior of images that are corrupted where there is noise to do it with."""
        return self.model.encode(inputs if generator is None else self.corruption(inputs, generator))

    def of_posterior(
        self,
        inputs: Float[Tensor, "b 3 s s"],
        posterior: Posterior,
        epoch: float,
        generator: torch.Generator | None,
    ) -> Losses:
        """The same, of images that are encoded already."""
        z = posterior.mean if generator is None else posterior.sample(generator)
        rate = gaussian_kl(posterior).sum(dim=1)
        distortion = nats = torch.zeros_like(rate)
        if self.likelihood is not None:
            distortion = self.likelihood(inputs, self.model.decode(z), self.model.log_sigma)
            with torch.autocast(inputs.device.type, enabled=False):
                nats = distortion + self.regulariser(posterior, z, self.annealing(epoch))
        parts = {"distortion": distortion, "rate": rate, "elbo": -(distortion + rate), "loss": nats}
        return Losses(nats.mean() / inputs[0].numel(), {key: value.detach().sum() for key, value in parts.items()})


def active_units(posterior_means: Float[Tensor, "n z"], threshold: float = 0.01) -> int:
    """Latents whose posterior mean varies over the data by more than `threshold`.

    Burda et al., Importance Weighted Autoencoders, arXiv 1509.00519, section 5.2.
    """
    return int((posterior_means.var(dim=0, correction=0) > threshold).sum())
