"""Cross-entropy, the classifier's loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from derm_ml.objectives.base import Losses


class ClassificationObjective:
    """Mean log-loss of a batch, in nats.

    Args:
        model: inputs to logits [b, k].
        labels: class codes of every row of the data set, [rows] int64, on the model's device.
    """

    def __init__(self, model: nn.Module, labels: Tensor) -> None:
        self._model, self.labels = model, labels

    @property
    def model(self) -> nn.Module:
        """The classifier."""
        return self._model

    def __call__(self, inputs: Tensor, rows: Tensor, epoch: float, generator: torch.Generator | None) -> Losses:
        """The loss and its sum over the batch."""
        loss = functional.cross_entropy(self.model(inputs).float(), self.labels[rows], reduction="sum")
        return Losses(loss / len(rows), {"loss": loss.detach()})
