"""Metrics of weighted images, many weightings at once: what a bootstrap asks for.

With all weights 1 each function is its namesake in `derm_ml.metrics` (a test holds them together).
Shapes: probabilities [n, k], labels [n], weights [draws, n]; returns [draws].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from derm_ml.metrics import BINS, sample_losses

Weighted = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def log_loss(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """In nats."""
    return np.asarray(weights @ sample_losses(probabilities, labels) / weights.sum(axis=1))


def accuracy(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Share of the weight whose most probable class is right."""
    return np.asarray(weights @ _correct(probabilities, labels) / weights.sum(axis=1))


def recall(code: int) -> Weighted:
    """Accuracy within one class; nan where it has no weight."""

    def of_class(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
        members = labels == code
        total = weights[:, members].sum(axis=1)
        right = weights[:, members] @ _correct(probabilities, labels)[members]
        return np.asarray(np.divide(right, total, out=np.full(len(total), np.nan), where=total > 0))

    return of_class


def balanced_accuracy(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean recall of the classes that have weight."""
    recalls = [recall(code)(probabilities, labels, weights) for code in np.unique(labels)]
    return np.asarray(np.nanmean(recalls, axis=0))


def macro_auroc(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """One class against the rest, ties count one half; mean over the classes that have both with weight."""
    areas = []
    for code in range(probabilities.shape[1]):
        positive = labels == code
        if not positive.any() or positive.all():
            continue
        scores = probabilities[:, code]
        order = np.argsort(scores, kind="stable")
        starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))  # of each run of equal scores
        ups = np.add.reduceat((weights * positive)[:, order], starts, axis=1)
        downs = np.add.reduceat((weights * ~positive)[:, order], starts, axis=1)
        below = np.cumsum(downs, axis=1) - downs / 2
        pairs = ups.sum(axis=1) * downs.sum(axis=1)
        areas.append(np.divide((ups * below).sum(axis=1), pairs, out=np.full(len(pairs), np.nan), where=pairs > 0))
    told = np.isfinite(areas).sum(axis=0) if areas else np.zeros(len(weights))
    return np.asarray(np.divide(np.nansum(areas, axis=0), told, out=np.full(len(weights), np.nan), where=told > 0))


def ece(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Expected calibration error of the top label over bins of equal weight."""
    confidence = probabilities.max(axis=1)
    order = np.argsort(confidence, kind="stable")
    weights = weights[:, order]
    excess = weights * (_correct(probabilities, labels) - confidence)[order]
    total = weights.sum(axis=1, keepdims=True)
    bins = np.minimum(BINS * (weights.cumsum(axis=1) - weights / 2) / total, BINS - 0.5).astype(np.int64)
    sums = [np.abs(np.where(bins == each, excess, 0.0).sum(axis=1)) for each in range(BINS)]
    return np.asarray(np.sum(sums, axis=0) / total[:, 0])


def _correct(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.asarray(probabilities.argmax(axis=1) == labels, dtype=np.float64)
