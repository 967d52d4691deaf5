"""Figures of a VAE: the kernel distance against loops, and what is left out where nothing is decoded."""

import math

import numpy as np
import pytest
import torch

from derm_ml.config import PretrainConfig
from derm_ml.models.backbones import build_encoder
from derm_ml.models.vae import ConvVae
from derm_ml.pipelines.setup import prepare_setting
from derm_ml.pipelines.vae_scores import VaeScores, kernel_distance
from derm_ml.tracking.base import NullTracker


def test_the_kernel_distance_against_loops():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(7, 3)), generator.normal(1, 2, size=(5, 3))

    def kernel(x, y):
        return (x @ y / 3 + 1) ** 3

    first = np.mean([kernel(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j])
    second = np.mean([kernel(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j])
    across = np.mean([kernel(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(first + second - 2 * across, rel=1e-9)


def test_draws_from_one_distribution_are_at_no_distance_and_others_are():
    generator = np.random.default_rng(1)
    alike = [kernel_distance(*generator.normal(size=(2, 400, 8))) for _ in range(20)]
    assert abs(np.mean(alike)) < 3 * np.std(alike) / math.sqrt(len(alike)) + 1e-3
    assert kernel_distance(generator.normal(size=(400, 8)), generator.normal(0.5, 1, size=(400, 8))) > 10 * np.std(
        alike
    )


@pytest.fixture(scope="module")
def scores():
    config = PretrainConfig(data="synthetic:n=240,size=40,seed=2", image_size=32)
    return VaeScores(prepare_setting(config, NullTracker()))


@pytest.fixture(scope="module")
def vae():
    """Untrained, but for the posterior's means, which are spread as those of a trained one are."""
    vae = ConvVae(build_encoder("test_efficientnet", 32, 0), latents=6)
    with torch.no_grad():
        vae.posterior.weight[:6].mul_(1500)
    return vae


def test_the_parts_sum_to_a_rate_and_the_factors_are_those_of_the_data(scores, vae):
    found = scores.of(vae, decodes=True)
    parts = sum(found[name] for name in ("mutual information", "total correlation", "dimension wise"))
    assert parts == pytest.approx(found["rate"], abs=1 + 0.1 * found["rate"])  # of one sample an image
    assert 0 <= found["active"] <= 6
    assert {"DCI disentanglement", "DCI completeness", "DCI informativeness"} <= set(found)
    assert all(0 <= value <= 1 for name, value in found.items() if name.startswith(("DCI", "strongest")))
    assert "strongest area" in found
    assert found["sample distance"] > 0  # of an untrained decoder


def test_one_image_a_lesion_is_read(scores):
    alone, factors = scores._clinical
    groups = scores.setting.dataset.groups(scores.rows)
    assert len(alone) == len(factors) == len(set(groups)) < len(groups)


def test_with_one_factor_nothing_is_said_of_disentanglement(scores, vae):
    """As of images without masks, whose age alone is known: a latent cannot be of another, and the score would be 0."""
    alone, factors = scores._clinical
    single = VaeScores(scores.setting)
    single.__dict__["_clinical"] = (alone, factors[["area"]])
    found = single.of(vae, decodes=False)
    assert "strongest area" in found
    assert not {name for name in found if name.startswith("DCI")}


def test_where_nothing_is_decoded_neither_rate_nor_samples_are_told(scores, vae):
    found = scores.of(vae, decodes=False)
    assert not {"rate", "total correlation", "sample distance"} & set(found)
    assert "DCI informativeness" in found


def test_the_same_vae_has_the_same_figures(scores, vae):
    torch.manual_seed(5)
    first = scores.of(vae, decodes=True)
    torch.manual_seed(6)
    assert scores.of(vae, decodes=True) == first


def test_a_few_images_have_no_scores_that_need_more(scores, vae):
    few = VaeScores(scores.setting)
    few.rows = few.rows[:1]
    assert set(few.of(vae, decodes=True)) == {
        "active", "rate", "mutual information", "total correlation", "dimension wise",
    }  # fmt: skip


def test_a_collapsed_posterior_has_no_code_to_read(scores):
    untrained = ConvVae(build_encoder("test_efficientnet", 32, 0), latents=6)  # its means are 0.001 apart
    found = scores.of(untrained, decodes=True)
    assert found["active"] == 0
    assert not [name for name in found if name.startswith(("DCI", "strongest"))]
