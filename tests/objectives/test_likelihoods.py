"""Every likelihood against torch.distributions or loops over pixels."""

import math

import pytest
import torch
from torch.distributions import Laplace, Normal

from derm_ml.objectives import load


@pytest.fixture
def pair():
    noise = torch.Generator().manual_seed(0)
    images = (torch.rand(2, 3, 6, 6, generator=noise) * 255).round() / 255
    images[0, 0, 0, :2] = torch.tensor([0.0, 1.0])
    return images, torch.rand(2, 3, 6, 6, generator=noise), torch.tensor(-1.3)


@pytest.mark.parametrize(("name", "distribution"), [("gaussian", Normal), ("laplace", Laplace)])
def test_densities_are_torchs(pair, name, distribution):
    images, means, log_scale = pair
    expected = -distribution(means, log_scale.exp()).log_prob(images).flatten(1).sum(dim=1)
    torch.testing.assert_close(load("likelihoods", name)(*pair), expected)


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def test_the_discretised_logistic_pixel_by_pixel(pair):
    images, means, log_scale = pair
    scale = math.exp(log_scale)
    for image, mean, found in zip(images, means, load("likelihoods", "logistic")(*pair), strict=True):
        total = 0.0
        for x, m in zip(image.flatten().tolist(), mean.flatten().tolist(), strict=True):
            high = 1.0 if x == 1 else sigmoid((x + 0.5 / 255 - m) / scale)
            low = 0.0 if x == 0 else sigmoid((x - 0.5 / 255 - m) / scale)
            total -= math.log(high - low)
        assert found == pytest.approx(total, rel=1e-5)


def test_the_256_values_of_a_pixel_share_one_probability():
    values = (torch.arange(256) / 255).view(256, 1, 1, 1)
    for mean, log_scale in ((0.3, -1.0), (0.98, -4.0)):
        nats = load("likelihoods", "logistic")(values, torch.full_like(values, mean), torch.tensor(log_scale))
        assert (-nats.double()).exp().sum() == pytest.approx(1, abs=1e-4)


def test_the_logistic_stays_finite_far_from_its_mean():
    image, mean = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4).requires_grad_()
    image[0, 0] = 0.5
    nats = load("likelihoods", "logistic")(image, mean, torch.tensor(-7.0))
    nats.sum().backward()
    assert torch.isfinite(nats).all()
    assert torch.isfinite(mean.grad).all()


def test_gradients_cost_blurred_edges_and_leave_shifts_of_colour_to_the_pixels(pair):
    images, means, log_scale = pair
    naive = load("likelihoods", "gaussian")(*pair)
    error = images - means
    for differences in (error[:, :, 1:] - error[:, :, :-1], error[..., 1:] - error[..., :-1]):
        naive = naive - Normal(0.0, log_scale.exp()).log_prob(differences).flatten(1).sum(dim=1)
    torch.testing.assert_close(load("likelihoods", "gradient")(*pair), naive)
    shifted = load("likelihoods", "gradient")(images, images + 0.1, log_scale)
    same = load("likelihoods", "gradient")(images, images, log_scale)
    by_pixels = load("likelihoods", "gaussian")(images, images + 0.1, log_scale) - load("likelihoods", "gaussian")(
        images, images, log_scale
    )
    torch.testing.assert_close(shifted - same, by_pixels, rtol=1e-3, atol=1e-2)
