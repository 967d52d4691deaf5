"""Every term between two views against loops over images and dimensions."""

import math

import pytest
import torch

from derm_ml.config import INVARIANCES
from derm_ml.models.backbones import build_encoder
from derm_ml.models.vae import ConvVae
from derm_ml.objectives import load
from derm_ml.objectives.corruption import Corruption
from derm_ml.objectives.elbo import ElboObjective
from derm_ml.objectives.views import TwoViewObjective


@pytest.fixture
def views():
    noise = torch.Generator().manual_seed(0)
    first = torch.randn(5, 4, generator=noise)
    return first, first + 0.5 * torch.randn(5, 4, generator=noise)


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def test_infonce_view_by_view(views):
    every = [*views[0].tolist(), *views[1].tolist()]
    total = 0.0
    for i, anchor in enumerate(every):
        shares = {j: math.exp(cosine(anchor, other) / 0.2) for j, other in enumerate(every) if j != i}
        total -= math.log(shares[(i + 5) % 10] / sum(shares.values()))
    assert float(load("invariances", "infonce")(*views)) == pytest.approx(total / 10, rel=1e-5)


def covariance(columns, i, j):
    mean = [sum(column) / len(column) for column in columns]
    pairs = zip(columns[i], columns[j], strict=True)
    return sum((a - mean[i]) * (b - mean[j]) for a, b in pairs) / (len(columns[0]) - 1)


def test_vicreg_dimension_by_dimension(views):
    pairs = zip(views[0].flatten().tolist(), views[1].flatten().tolist(), strict=True)
    total = sum((a - b) ** 2 for a, b in pairs) / 20
    for view in views:
        columns = view.T.tolist()
        for i in range(4):
            total += max(0.0, 1 - math.sqrt(covariance(columns, i, i) + 1e-4)) / 4 / 2
            total += sum(covariance(columns, i, j) ** 2 for j in range(4) if j != i) / 4 / 25
    assert float(load("invariances", "vicreg")(*views)) == pytest.approx(total, rel=1e-5)


def test_barlow_twins_entry_by_entry(views):
    scaled = []
    for view in views:
        columns = view.T.tolist()
        sds = [math.sqrt(covariance(columns, i, i) * 4 / 5 + 1e-5) for i in range(4)]
        means = [sum(column) / 5 for column in columns]
        scaled.append([[(x - m) / sd for x in column] for column, m, sd in zip(columns, means, sds, strict=True)])
    total = 0.0
    for i in range(4):
        for j in range(4):
            c = sum(a * b for a, b in zip(scaled[0][i], scaled[1][j], strict=True)) / 5
            total += (1 - c) ** 2 if i == j else 5e-3 * c * c
    assert float(load("invariances", "barlow")(*views)) == pytest.approx(total / 4, rel=1e-4)


@pytest.mark.parametrize("name", INVARIANCES)
def test_alike_views_are_better_than_strangers_and_a_collapse_is_worse(name):
    noise = torch.Generator().manual_seed(0)
    z, other = torch.randn(2, 64, 8, generator=noise).unbind()
    alike = load("invariances", name)(z, z + 0.1 * other)
    assert alike < load("invariances", name)(z, other)
    same = torch.ones(64, 8) + 1e-4 * z
    assert alike < load("invariances", name)(same, same + 1e-4 * other)


def test_the_elbo_is_the_first_views_and_the_term_both_views():
    vae = ConvVae(build_encoder("test_efficientnet", 32, 0), 4).eval()
    elbo = ElboObjective(vae)
    images, rows = torch.rand(6, 3, 32, 32), torch.arange(3)
    losses = TwoViewObjective(elbo, load("invariances", "infonce"), 0.5)(images, rows, 1.0, None)
    alone = elbo(images[:3], rows, 1.0, None)
    means = vae.encode(images).mean
    term = load("invariances", "infonce")(means[:3], means[3:])
    torch.testing.assert_close(losses.loss, alone.loss + 0.5 * term)
    torch.testing.assert_close(losses.sums["elbo"], alone.sums["elbo"])
    torch.testing.assert_close(losses.sums["invariance"], 3 * term.detach())


def test_products_of_a_batch_are_taken_in_float32_under_bf16():
    vae = ConvVae(build_encoder("test_efficientnet", 32, 0), 4).eval()
    seen = []

    def invariance(first, second):
        seen.append((first @ second.T).dtype)
        return (first @ second.T).mean()

    def regulariser(posterior, z, share):
        seen.append((posterior.mean @ z.T).dtype)
        return z.sum(dim=1)

    objective = TwoViewObjective(ElboObjective(vae, regulariser), invariance, 1.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        objective(torch.rand(8, 3, 32, 32), torch.arange(4), 1.0, torch.Generator())
    assert seen == [torch.float32, torch.float32]


def test_without_a_likelihood_nothing_is_decoded():
    vae = ConvVae(build_encoder("test_efficientnet", 32, 0), 4)
    vae.decoder.requires_grad_(False)
    vae.log_sigma.requires_grad_(False)
    objective = TwoViewObjective(ElboObjective(vae, likelihood=None), load("invariances", "infonce"), 1.0)
    losses = objective(torch.rand(8, 3, 32, 32), torch.arange(4), 1.0, torch.Generator())
    losses.loss.backward()
    assert losses.sums["distortion"] == losses.sums["loss"] == 0  # nor is a code paid for
    torch.testing.assert_close(losses.loss, losses.sums["invariance"] / 4)
    assert all(each.grad is not None for each in vae.parameters() if each.requires_grad)
    assert vae.decoder.expand.weight.grad is None


def test_masked_squares_have_the_images_mean_and_the_rest_is_whole():
    images = torch.rand(50, 3, 32, 32)
    seen = Corruption(mask=0.4)(images, torch.Generator().manual_seed(0))
    changed = (seen != images).any(dim=1).view(50, 8, 4, 8, 4).permute(0, 1, 3, 2, 4).flatten(3)
    hidden = changed.all(dim=3)
    assert torch.equal(hidden, changed.any(dim=3))  # whole squares
    assert float(hidden.float().mean()) == pytest.approx(0.4, abs=0.03)
    mean = images.mean(dim=(2, 3), keepdim=True).expand_as(images)
    where = hidden.repeat_interleave(4, 1).repeat_interleave(4, 2)[:, None].expand_as(images)
    torch.testing.assert_close(seen[where], mean[where])


def test_noise_is_gaussian_of_the_deviation_and_independent_of_the_image():
    images = torch.rand(40, 3, 32, 32)
    noise = Corruption(noise=0.3)(images, torch.Generator().manual_seed(0)) - images
    standardised = (noise / 0.3).flatten().double()
    moments = [float(standardised.pow(power).mean()) for power in (1, 2, 3, 4)]
    assert moments == pytest.approx([0.0, 1.0, 0.0, 3.0], abs=0.1)
    assert abs(float(torch.corrcoef(torch.stack([standardised, images.flatten().double()]))[0, 1])) < 0.02


def test_the_decoder_is_held_against_the_whole_image_and_evaluation_corrupts_nothing():
    vae = ConvVae(build_encoder("test_efficientnet", 32, 0), 4).eval()
    images = torch.rand(4, 3, 32, 32)
    objective = ElboObjective(vae, corruption=Corruption(mask=0.5, noise=0.2))
    noise = torch.Generator().manual_seed(1)
    losses = objective(images, torch.arange(4), 1.0, noise)
    noise.manual_seed(1)
    posterior = vae.encode(objective.corruption(images, noise))
    expected = objective.of_posterior(images, posterior, 1.0, noise)
    torch.testing.assert_close(losses.loss, expected.loss)
    plain = ElboObjective(vae)(images, torch.arange(4), 1.0, None)
    torch.testing.assert_close(objective(images, torch.arange(4), 1.0, None).loss, plain.loss)
