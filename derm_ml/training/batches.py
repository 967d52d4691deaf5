"""Batches of tensors that are already in memory: the features of a frozen encoder."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


class TensorBatches:
    """Batches of a tensor, in order or shuffled; yields (inputs, rows). The order is a function of the generator alone.

    Args:
        inputs: [n, ...] on one device. rows: [n] int64, their rows in the data set.
    """

    def __init__(self, inputs: Tensor, rows: Tensor, batch_size: int, generator: torch.Generator | None = None) -> None:
        self.inputs, self.rows, self.batch_size, self.generator = inputs, rows, batch_size, generator

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self.generator is None:  # in order: views, nothing is copied
            yield from zip(self.inputs.split(self.batch_size), self.rows.split(self.batch_size), strict=True)  # type: ignore[no-untyped-call]
            return
        order = torch.randperm(len(self.rows), generator=self.generator)
        for chosen in torch.split(order, self.batch_size):
            yield self.inputs[chosen], self.rows[chosen]
