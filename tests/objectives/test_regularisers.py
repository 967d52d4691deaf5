"""Every regulariser against loops written from its paper, and its closed forms."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from derm_ml.config import REGULARISERS
from derm_ml.models.backbones import build_encoder
from derm_ml.models.vae import ConvVae, Posterior
from derm_ml.objectives import load
from derm_ml.objectives.annealing import cyclic, warmup
from derm_ml.objectives.elbo import ElboObjective
from derm_ml.objectives.regularisers import tc
from derm_ml.objectives.regularisers.capacity import AnnealedCapacity
from derm_ml.objectives.regularisers.dip1 import Dip
from derm_ml.objectives.regularisers.kl import BetaKl
from derm_ml.objectives.regularisers.tc import BetaTotalCorrelation


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    q = Posterior(torch.randn(9, 4, generator=generator), torch.randn(9, 4, generator=generator) - 1)
    return q, q.sample(generator)


def rates(q):
    """KL of every latent of every image, a number at a time."""
    prior = Normal(0.0, 1.0)
    return np.array(
        [
            [
                torch.distributions.kl_divergence(Normal(m, (v / 2).exp()), prior).item()
                for m, v in zip(*pair, strict=True)
            ]
            for pair in zip(q.mean, q.log_variance, strict=True)
        ]
    )


def test_each_is_handed_what_its_paper_names():
    given = {"beta": 2.0, "free_bits": 0.5, "capacity": 7.0, "images": 64, "lr": 1e-3}
    assert {name: load("regularisers", name)(**given) for name in REGULARISERS} == {
        "kl": BetaKl(2.0, 0.5),
        "tc": BetaTotalCorrelation(2.0, 64),
        "dip1": Dip(2.0, of_means=True),
        "dip2": Dip(2.0, of_means=False),
        "capacity": AnnealedCapacity(2.0, 7.0),
    }


def test_kl_is_weighed_and_shared_out(batch):
    price = BetaKl(4.0)(*batch, 0.5)
    np.testing.assert_allclose(price, 4.0 * 0.5 * rates(batch[0]).sum(axis=1), rtol=1e-5)


def test_free_bits_are_free_a_latent_and_no_more(batch):
    means = rates(batch[0]).mean(axis=0)
    bits = float(np.sort(means)[1:3].mean())  # two latents below, two above
    price = BetaKl(2.0, bits)(*batch, 1.0)
    np.testing.assert_allclose(price, np.full(9, 2.0 * sum(max(bits, each) for each in means)), rtol=1e-5)
    mean = batch[0].mean.clone().requires_grad_()
    BetaKl(2.0, bits)(Posterior(mean, batch[0].log_variance), batch[1], 1.0).mean().backward()
    assert (mean.grad.abs().sum(dim=0) == 0).tolist() == (means < bits).tolist()


def test_capacity_draws_from_both_sides_and_rises(batch):
    rate = rates(batch[0]).sum(axis=1)
    capacity = float(np.median(rate))
    for share in (0.0, 0.4, 1.0):
        naive = [7.0 * abs(each - share * capacity) for each in rate]
        np.testing.assert_allclose(AnnealedCapacity(7.0, capacity)(*batch, share), naive, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("of_means", "on"), [(True, 10.0), (False, 1.0)])
def test_dip_against_a_naive_loop(batch, of_means, on):
    q = batch[0]
    covariance = np.cov(q.mean.numpy(), rowvar=False, bias=True)
    if not of_means:
        covariance += np.diag(q.log_variance.exp().mean(dim=0).numpy())
    penalty = 0.0
    for i in range(4):
        for j in range(4):
            penalty += on * (covariance[i, i] - 1) ** 2 if i == j else covariance[i, j] ** 2
    np.testing.assert_allclose(Dip(3.0, of_means)(*batch, 1.0), rates(q).sum(axis=1) + 3.0 * penalty, rtol=1e-5)


@pytest.mark.parametrize("chunk", [2**23, 1])
def test_total_correlation_against_a_naive_loop(batch, chunk, monkeypatch):
    """Equation 3 with every density by itself, from torch.distributions; latents all at once, and one by one."""
    monkeypatch.setattr(tc, "CHUNK", chunk)
    q, z = batch
    n, images = len(z), 500
    normals = [
        [Normal(m, (v / 2).exp()) for m, v in zip(*pair, strict=True)]
        for pair in zip(q.mean, q.log_variance, strict=True)
    ]
    naive = []
    for i in range(n):
        densities = [[normals[j][d].log_prob(z[i, d]).exp().item() for d in range(4)] for j in range(n)]
        joint = math.log(sum(math.prod(row) for row in densities) / (n * images))
        product = sum(math.log(sum(row[d] for row in densities) / (n * images)) for d in range(4))
        given = math.log(math.prod(densities[i]))
        prior = sum(Normal(0.0, 1.0).log_prob(z[i, d]).item() for d in range(4))
        naive.append((given - joint) + 6.0 * (joint - product) + (product - prior))
    np.testing.assert_allclose(BetaTotalCorrelation(6.0, images)(q, z, 1.0), naive, rtol=1e-4)


def test_total_correlation_at_beta_one_is_the_rate_of_the_sample(batch):
    q, z = batch
    sampled = Normal(q.mean, (q.log_variance / 2).exp()).log_prob(z) - Normal(0.0, 1.0).log_prob(z)
    torch.testing.assert_close(BetaTotalCorrelation(1.0, 500)(q, z, 1.0), sampled.sum(dim=1), rtol=1e-4, atol=1e-4)


def test_a_warm_up_rises_once_and_cycles_again_and_again():
    assert [warmup(2)(epoch) for epoch in (0, 1, 2, math.inf)] == [0, 0.5, 1, 1]
    assert warmup(0)(0) == 1
    share = cyclic(8, 2)
    assert [share(epoch) for epoch in (0, 1, 2, 3.9, 4, 5, 7, 8, math.inf)] == [0, 0.5, 1, 1, 0, 0.5, 1, 1, 1]


@pytest.mark.parametrize("name", REGULARISERS)
def test_a_vae_learns_under_each(name):
    torch.manual_seed(0)
    vae = ConvVae(build_encoder("test_efficientnet", 32, 0), 6)
    objective = ElboObjective(
        vae, load("regularisers", name)(beta=2.0, free_bits=0.0, capacity=5.0, images=64), warmup(1)
    )
    optimizer = torch.optim.Adam(vae.parameters(), lr=3e-3)
    images, rows = torch.rand(16, 3, 1, 1).expand(16, 3, 32, 32), torch.arange(16)
    noise, seen = torch.Generator().manual_seed(0), []
    for step in range(25):
        losses = objective(images, rows, step / 10, noise)
        optimizer.zero_grad()
        losses.loss.backward()
        optimizer.step()
        seen.append(float(losses.sums["distortion"]))
    assert np.isfinite(seen).all()
    assert seen[-1] < seen[0]
    assert all(parameter.grad is not None for parameter in vae.posterior.parameters())
