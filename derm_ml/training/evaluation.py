"""Evaluation: eval mode, no gradient, no augmentation; sums and counts gathered, divided once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from derm_ml.metrics import classification_metrics, overfitting_gap
from derm_ml.objectives.elbo import ElboObjective, active_units
from derm_ml.progress import Progress
from derm_ml.training.trainer import Precision

Batches = Iterable[tuple[Tensor, Tensor]]


@torch.no_grad()
def gather(model: nn.Module, batches: Batches, precision: Precision, progress: Progress | None = None) -> Tensor:
    """The model's output for every input, in the order of the batches: float32 [n, d] on the device."""
    model.eval()
    outputs = []
    for inputs, rows in batches:
        with precision.context():
            outputs.append(model(inputs).float())
        if progress:
            progress.advance(len(rows))
    return torch.cat(outputs)


def probabilities(model: nn.Module, batches: Batches, precision: Precision) -> np.ndarray:
    """Class probabilities [n, k], float64."""
    return gather(model, batches, precision).double().softmax(dim=1).cpu().numpy()


def evaluate_classifier(
    train: tuple[np.ndarray, np.ndarray], val: tuple[np.ndarray, np.ndarray], classes: tuple[str, ...]
) -> dict[str, float]:
    """Metrics of both splits and the overfitting gap, from (probabilities [n, k], labels [n]) of each."""
    measured = {"train": classification_metrics(*train, classes), "val": classification_metrics(*val, classes)}
    named = {f"{split}/{name}": value for split, metrics in measured.items() for name, value in metrics.items()}
    return named | overfitting_gap(measured["train"], measured["val"])


@torch.no_grad()
def evaluate_elbo(objective: ElboObjective, batches: Batches, precision: Precision) -> tuple[dict[str, float], Tensor]:
    """Mean distortion, rate, elbo and loss (at full beta) in nats an image, and the posterior means [n, z].

    z is one draw from each posterior, out of one fixed stream: the same noise at every epoch and on both sides.
    """
    model = objective.model.eval()
    noise = torch.Generator().manual_seed(0)
    sums: dict[str, Tensor] = {}
    means, count = [], 0
    for inputs, rows in batches:
        with precision.context():
            posterior = model.encode(inputs)
            losses = objective.of_posterior(inputs, posterior, float("inf"), noise)
        means.append(posterior.mean.float().cpu())
        count += len(rows)
        for name, value in losses.sums.items():
            sums[name] = sums.get(name, torch.zeros_like(value)) + value
    return {name: float(value) / count for name, value in sums.items()}, torch.cat(means)


def elbo_metrics(train: Mapping[str, float], val: Mapping[str, float], val_means: Tensor) -> dict[str, float]:
    """Both splits' parts of the ELBO, the gap of the loss, and the active units on validation."""
    named = {f"train/{key}": value for key, value in train.items()} | {f"val/{key}": v for key, v in val.items()}
    return named | {"gap/loss": val["loss"] - train["loss"], "active_units": float(active_units(val_means))}
