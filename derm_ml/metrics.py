"""Metrics of class probabilities: pure functions, arrays to floats. Definitions are the report's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

BINS = 15  # of the calibration error, equal mass
FLOOR = 1e-12  # probabilities are clipped here before the logarithm: at most 27.6 nats an image


def sample_losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """-log p(label) of every image, in nats; probabilities [n, k], labels [n]."""
    return np.asarray(-np.log(probabilities[np.arange(len(labels)), labels].clip(FLOOR, 1.0)))


def class_means(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The mean of `values` within every class that is present."""
    return np.array([values[labels == label].mean() for label in np.unique(labels)])


def macro_auroc(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """One class against the rest, mean over the classes that have both; nan when none has. In [0, 1]."""
    from scipy.stats import rankdata

    areas = []
    for code in range(probabilities.shape[1]):
        positive = labels == code
        p, n = int(positive.sum()), int((~positive).sum())
        if p and n:  # Mann-Whitney's U over p n; ties count one half
            ranks = rankdata(probabilities[:, code])
            areas.append((ranks[positive].sum() - p * (p + 1) / 2) / (p * n))
    return float(np.mean(areas)) if areas else float("nan")


def ece(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error of the top label over 15 bins of equal mass, in [0, 1].

    Nguyen and O'Connor, arXiv 1508.05154 (equal-mass bins); sum over bins of share * |accuracy - confidence|.
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(confidence, kind="stable")
    excess = ((probabilities.argmax(axis=1) == labels) - confidence)[order]
    bins = (BINS * (np.arange(len(order)) + 0.5) / len(order)).astype(np.int64)
    return float(np.abs(np.bincount(bins, weights=excess, minlength=BINS)).sum() / len(labels))


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that minimises the log-loss of these images, between 0.05 and 20.

    Guo et al., On Calibration of Modern Neural Networks, arXiv 1706.04599, section 4.2. Fit it on validation images.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return float(sample_losses(with_temperature(probabilities, float(np.exp(log_temperature))), labels).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded").x))


def with_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Softmax of the logits divided by the temperature, from their probabilities [n, k]."""
    logits = np.log(probabilities.clip(FLOOR, 1.0)) / temperature
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def classification_metrics(probabilities: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> dict[str, float]:
    """loss, accuracy (each plain and `_balanced`: the mean over classes), auroc, ece, recall/<class>."""
    losses = sample_losses(probabilities, labels)
    correct = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    named = {
        "loss": float(losses.mean()),
        "loss_balanced": float(class_means(losses, labels).mean()),
        "accuracy": float(correct.mean()),
        "balanced_accuracy": float(class_means(correct, labels).mean()),
        "auroc": macro_auroc(probabilities, labels),
        "ece": ece(probabilities, labels),
    }
    present = np.unique(labels)
    recalls = dict(zip(present, class_means(correct, labels), strict=True))
    return named | {f"recall/{classes[code]}": float(value) for code, value in recalls.items()}


def overfitting_gap(train: Mapping[str, float], val: Mapping[str, float]) -> dict[str, float]:
    """gap/loss = val - train, gap/accuracy = train - val, plain and class-balanced: positive means overfitting."""
    return {
        "gap/loss": val["loss"] - train["loss"],
        "gap/loss_balanced": val["loss_balanced"] - train["loss_balanced"],
        "gap/accuracy": train["accuracy"] - val["accuracy"],
        "gap/accuracy_balanced": train["balanced_accuracy"] - val["balanced_accuracy"],
    }


def relative_change(first: float, last: float) -> float:
    """(last - first) / first, the paper's table's; nan when first is 0."""
    return (last - first) / first if first else float("nan")
