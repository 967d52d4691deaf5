"""Metrics against scikit-learn and naive loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from derm_ml.metrics import (
    classification_metrics,
    ece,
    fit_temperature,
    macro_auroc,
    overfitting_gap,
    relative_change,
    with_temperature,
)


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
    for b in range(15):  # an image belongs to the bin that the middle of its own share of the mass lies in
        part = [row for place, row in enumerate(rows) if b <= 15 * (place + 0.5) / size < b + 1]
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


def test_the_temperature_that_was_put_in_is_found():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(20000, 3)) * 2
    cold = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(3, p=row) for row in cold])
    hot = with_temperature(cold, 1 / 2.5)
    assert fit_temperature(hot, labels) == pytest.approx(2.5, rel=0.05)
    assert with_temperature(hot, 2.5) == pytest.approx(cold, abs=1e-4)  # probabilities below 1e-12 are clipped
