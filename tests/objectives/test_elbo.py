"""The ELBO against torch.distributions."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from derm_ml.models.backbones import build_encoder
from derm_ml.models.vae import ConvVae, Posterior, gaussian_kl
from derm_ml.objectives.annealing import warmup
from derm_ml.objectives.elbo import ElboObjective, active_units
from derm_ml.objectives.regularisers.kl import BetaKl


def test_kl_is_torchs():
    posterior = Posterior(torch.randn(5, 7), torch.randn(5, 7))
    q = Normal(posterior.mean, (0.5 * posterior.log_variance).exp())
    torch.testing.assert_close(gaussian_kl(posterior), kl_divergence(q, Normal(torch.zeros(5, 7), torch.ones(5, 7))))


def test_identical_posteriors_have_no_kl():
    assert gaussian_kl(Posterior(torch.zeros(3, 4), torch.zeros(3, 4))).abs().max() == 0


def test_the_parts_add_up_and_beta_warms_up():
    vae = ConvVae(build_encoder("test_efficientnet", 32, 0), 8)
    objective = ElboObjective(vae, BetaKl(4.0), warmup(2))
    sums = objective(torch.rand(4, 3, 32, 32), torch.arange(4), 1.0, torch.Generator()).sums
    assert sums["elbo"] == pytest.approx(float(-(sums["distortion"] + sums["rate"])), rel=1e-5)
    assert sums["loss"] == pytest.approx(float(sums["distortion"] + 2.0 * sums["rate"]), rel=1e-5)


def test_active_units_counts_latents_that_vary():
    means = torch.randn(100, 5) * torch.tensor([1.0, 0.5, 0.05, 0.0, 0.2])
    assert active_units(means) == 3
