"""Metrics of class probabilities: pure functions, arrays to floats. Definitions are the report's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

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


def ece(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error of the top label over bins of equal mass, in [0, 1].

    Nguyen and O'Connor, arXiv 1508.05154 (equal-mass bins); sum over bins of share * |accuracy - confidence|.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return float(sum(len(part) * abs(correct[part].mean() - confidence[part].mean()) for part in parts) / len(labels))


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
