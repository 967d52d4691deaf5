"""Metrics against scikit-learn and naive loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from derm_ml.metrics import classification_metrics, ece, macro_auroc, overfitting_gap, relative_change
from derm_ml.statistics import over_groups, over_seeds


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    logits = rng.normal(size=(200, 4)) + 1.5 * np.eye(4)[labels]
    probabilities = np.exp(logits)
    return probabilities / probabilities.sum(axis=1, keepdims=True), labels


def test_against_scikit_learn(case):
    p, y = case
    ours = classification_metrics(p, y, ("a", "b", "c", "d"))
    assert ours["loss"] == pytest.approx(reference.log_loss(y, p))
    assert ours["accuracy"] == pytest.approx(reference.accuracy_score(y, p.argmax(1)))
    assert ours["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(y, p.argmax(1)))
    assert ours["auroc"] == pytest.approx(reference.roc_auc_score(y, p, multi_class="ovr", average="macro"))
    assert ours["recall/b"] == pytest.approx(reference.recall_score(y, p.argmax(1), average=None)[1])
    by_class = [-np.log(p[y == k, k]).mean() for k in range(4)]
    assert ours["loss_balanced"] == pytest.approx(np.mean(by_class))


def test_ece_against_a_naive_loop(case):
    p, y = case
    rows = sorted(range(len(y)), key=lambda i: p[i].max())
    total, size = 0.0, len(y)
    bounds = np.cumsum([0] + [size // 15 + (i < size % 15) for i in range(15)])
    for low, high in zip(bounds, bounds[1:], strict=False):
        part = rows[low:high]
        right = sum(p[i].argmax() == y[i] for i in part) / len(part)
        sure = sum(p[i].max() for i in part) / len(part)
        total += len(part) / size * abs(right - sure)
    assert ece(p, y) == pytest.approx(total)


@given(st.integers(0, 1000), st.floats(0.2, 5))
def test_auroc_is_invariant_to_monotone_maps(seed, power):
    rng = np.random.default_rng(seed)
    p, y = rng.uniform(0.01, 1, (40, 3)), rng.integers(0, 3, 40)
    assert macro_auroc(p**power, y) == pytest.approx(macro_auroc(p, y))


def test_a_positive_gap_means_overfitting():
    train = {"loss": 0.1, "loss_balanced": 0.2, "accuracy": 0.9, "balanced_accuracy": 0.8}
    val = {"loss": 0.4, "loss_balanced": 0.7, "accuracy": 0.7, "balanced_accuracy": 0.5}
    gap = overfitting_gap(train, val)
    assert gap["gap/loss"] == pytest.approx(0.3)
    assert gap["gap/accuracy"] == pytest.approx(0.2)
    assert gap["gap/loss_balanced"] == pytest.approx(0.5)
    assert gap["gap/accuracy_balanced"] == pytest.approx(0.3)


def test_the_papers_relative_change():
    assert 100 * relative_change(0.165, 0.110) == pytest.approx(-33.33, abs=0.01)
    assert np.isnan(relative_change(0.0, 1.0))


def test_interval_over_seeds_is_students():
    mean, low, high = over_seeds([1.0, 2.0, 3.0])
    assert (mean, low, high) == pytest.approx((2.0, 2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))
    assert np.isnan(over_seeds([1.0]).low)


def test_the_bootstrap_resamples_groups_not_images(case):
    p, y = case
    alone = over_groups(macro_auroc, [p], y, np.arange(200), draws=300)
    p20, y20 = np.repeat(p[:20], 10, axis=0), np.repeat(y[:20], 10)
    grouped = over_groups(macro_auroc, [p20], y20, np.repeat(np.arange(20), 10), draws=300)
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)
    same = over_groups(macro_auroc, [p], y, np.arange(200), minus=[p], draws=20)
    assert same == (0.0, 0.0, 0.0)
