"""What a trainer asks of an objective: a batch to a loss and sums of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Losses:
    """`loss` is what is minimised (a scalar); `sums` are sums over the batch's images, divided once at the end."""

    loss: Tensor
    sums: Mapping[str, Tensor]


class Objective(Protocol):
    """A task: it owns the model and knows what its loss is. The loop knows neither."""

    @property
    def model(self) -> nn.Module: ...

    def __call__(self, inputs: Tensor, rows: Tensor, epoch: float, generator: torch.Generator | None) -> Losses:
        """Loss of a batch.

        Args:
            inputs: what the model takes, [b, ...].
            rows: which rows of the data set the batch is, [b].
            epoch: how far training is, in epochs (a fraction within one): schedules of the objective.
            generator: the noise stream; None means none (evaluation takes the posterior's mean).
        """
        ...
