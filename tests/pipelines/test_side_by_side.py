"""Heads that are trained side by side against the same heads trained one at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from derm_ml.config import HeadConfig
from derm_ml.pipelines.features import HeadTraining, Recipe, SplitFeatures, side_by_side
from derm_ml.pipelines.protocols import candidates

CLASSES = ("a", "b", "c")
CONFIG = HeadConfig(epochs=4, batch_size=32)


@pytest.fixture(scope="module")
def pair():
    rng = torch.Generator().manual_seed(0)
    features = torch.randn(300, 24, generator=rng)
    labels = (features[:, :3] + 0.7 * torch.randn(300, 3, generator=rng)).argmax(1).numpy()
    rows = torch.arange(300) * 2  # of a data set that has other images, too
    whole = SplitFeatures(features, labels, rows)
    return whole.take(np.arange(200)), whole.take(np.arange(200, 300))


def alone(pair, recipe, seed):
    config = replace(CONFIG, lr=recipe.lr, weight_decay=recipe.weight_decay)
    training = HeadTraining(*pair, CLASSES, config, seed)
    for _ in range(config.epochs):
        training.step()
    return training.evaluate()["val/loss"]


def test_side_by_side_is_one_at_a_time(pair):
    recipes = candidates(CONFIG)
    together = side_by_side(*pair, len(CLASSES), CONFIG, recipes, seed=3)
    assert together == pytest.approx([alone(pair, each, 3) for each in recipes], rel=1e-5)
    assert len({round(value, 4) for value in together}) > len(recipes) / 2  # the recipes matter
    other = side_by_side(*pair, len(CLASSES), CONFIG, recipes, seed=4)
    assert not np.allclose(together, other, rtol=1e-6)  # and so do the batches


def test_one_that_diverges_takes_no_other_with_it(pair):
    sound = Recipe(1e-3, 0.1)
    both = side_by_side(*pair, len(CLASSES), CONFIG, [sound, Recipe(1e38, 0.0)], seed=3)
    assert both[0] == pytest.approx(alone(pair, sound, 3), rel=1e-5)
    assert np.isnan(both[1])
