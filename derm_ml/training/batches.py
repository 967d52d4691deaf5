"""Batches of tensors that are already in memory: the features of a frozen encoder."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


class TensorBatches:
    """Shuffled batches of a tensor; yields (inputs, rows). The order is a function of the generator alone.

    Args:
        inputs: [n, ...] on the device. rows: [n] int64, their rows in the data set.
    """

    def __init__(self, inputs: Tensor, rows: Tensor, batch_size: int, generator: torch.Generator | None = None) -> None:
        self.inputs, self.rows, self.batch_size, self.generator = inputs, rows, batch_size, generator

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        count = len(self.rows)
        order = torch.arange(count) if self.generator is None else torch.randperm(count, generator=self.generator)
        for chosen in torch.split(order.to(self.rows.device), self.batch_size):
            yield self.inputs[chosen], self.rows[chosen]
