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


class SideBySide(ClassificationObjective):
    """The sum of the mean log-losses of heads that share nothing but their inputs: each is trained as if alone.

    A head that diverged is left to itself: its loss is no part of the sum, and its weights stay what they became.

    Args:
        model: inputs to logits of every head, [b, k, heads].
        labels: as in ClassificationObjective.
    """

    def __call__(self, inputs: Tensor, rows: Tensor, epoch: float, generator: torch.Generator | None) -> Losses:
        """The loss, and its sum over the batch and the heads."""
        logits = self.model(inputs).float()
        labels = self.labels[rows, None].expand(-1, logits.shape[2])
        of_heads = functional.cross_entropy(logits, labels, reduction="none").sum(dim=0)
        loss = of_heads[of_heads.isfinite()].sum()
        return Losses(loss / len(rows), {"loss": loss.detach()})
