"""The decomposition of the rate: against a naive double loop, and toy posteriors with known answers."""

import math

import pytest
import torch

from derm_ml.models.vae import Posterior, gaussian_kl
from derm_ml.objectives import total_correlation
from derm_ml.objectives.total_correlation import rate_parts


def posterior(count, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Posterior(torch.randn(count, width, generator=generator), torch.randn(count, width, generator=generator) - 1)


def naive(q, z):
    """Every density by itself, from torch.distributions."""
    n, d = q.mean.shape
    normals = [
        [torch.distributions.Normal(q.mean[j, k], (q.log_variance[j, k] / 2).exp()) for k in range(d)] for j in range(n)
    ]
    prior = torch.distributions.Normal(0.0, 1.0)
    mi = tc = dw = 0.0
    for i in range(n):
        given = sum(normals[i][k].log_prob(z[i, k]).item() for k in range(d))
        densities = [math.prod(math.exp(normals[j][k].log_prob(z[i, k]).item()) for k in range(d)) for j in range(n)]
        joint = math.log(sum(densities) / n)
        single = [
            math.log(sum(math.exp(normals[j][k].log_prob(z[i, k]).item()) for j in range(n)) / n) for k in range(d)
        ]
        mi += (given - joint) / n
        tc += (joint - sum(single)) / n
        dw += sum(s - prior.log_prob(z[i, k]).item() for k, s in enumerate(single)) / n
    return mi, tc, dw


@pytest.mark.parametrize("chunk", [2**25, 30])
def test_against_a_naive_double_loop(monkeypatch, chunk):
    monkeypatch.setattr(total_correlation, "CHUNK", chunk)
    q = posterior(12, 3)
    z = q.sample(torch.Generator().manual_seed(5))
    assert tuple(rate_parts(q, torch.Generator().manual_seed(5))) == pytest.approx(naive(q, z), abs=1e-4)


def test_the_parts_sum_to_the_rate():
    q = posterior(1500, 4)
    parts = rate_parts(q, torch.Generator().manual_seed(7))  # not the stream that the means are from
    assert parts.rate == pytest.approx(float(gaussian_kl(q).sum(dim=1).mean()), rel=0.03)


def test_codes_that_tell_nothing_have_no_information():
    q = Posterior(torch.zeros(400, 5), torch.zeros(400, 5))
    assert tuple(rate_parts(q, torch.Generator().manual_seed(0))) == pytest.approx((0, 0, 0), abs=1e-4)


def test_codes_that_tell_images_apart_have_ln_n():
    q = Posterior(torch.randn(200, 8, generator=torch.Generator().manual_seed(1)), torch.full((200, 8), -8.0))
    assert rate_parts(q, torch.Generator().manual_seed(0)).mutual_information == pytest.approx(math.log(200), rel=0.01)


def test_two_latents_that_move_together_have_total_correlation():
    """Means of correlation r, narrow posteriors: the total correlation of that Gaussian is -ln(1 - r2) / 2."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 3000, generator=generator)
    r = 0.8
    means = torch.stack([a, r * a + math.sqrt(1 - r * r) * b], dim=1)
    q = Posterior(means, torch.full_like(means, math.log(0.05)))
    total = 1.05  # variance of the aggregate
    expected = -0.5 * math.log(1 - (r / total) ** 2)
    assert rate_parts(q, generator).total_correlation == pytest.approx(expected, rel=0.12)
    apart = Posterior(torch.stack([a, b], dim=1), q.log_variance)
    assert rate_parts(apart, generator).total_correlation < 0.1


def test_one_gaussian_latent_against_its_closed_forms():
    """Means N(0, s2), posteriors N(mean, v): I = ln(1 + s2 / v) / 2; dimension-wise = KL(N(0, s2 + v) || N(0, 1))."""
    generator = torch.Generator().manual_seed(2)
    s2, v = 2.0, 0.5
    means = math.sqrt(s2) * torch.randn(3000, 1, generator=generator)
    parts = rate_parts(Posterior(means, torch.full_like(means, math.log(v))), generator)
    assert parts.mutual_information == pytest.approx(0.5 * math.log(1 + s2 / v), abs=0.05)
    assert parts.dimension_wise == pytest.approx(0.5 * (s2 + v - 1 - math.log(s2 + v)), abs=0.05)
    assert parts.total_correlation == pytest.approx(0, abs=1e-4)


def test_beyond_the_ceiling_total_correlation_is_an_upper_bound_that_falls_with_images():
    """Independent latents (no total correlation), but more nats a code than ln n: the report says so."""
    found = []
    for count in (100, 400, 1600):
        generator = torch.Generator().manual_seed(3)
        q = Posterior(torch.randn(count, 6, generator=generator), torch.full((count, 6), -4.0))
        parts = rate_parts(q, generator)
        assert parts.mutual_information == pytest.approx(math.log(count), rel=0.03)
        found.append(parts.total_correlation)
    assert found[0] > found[1] > found[2] > 0
