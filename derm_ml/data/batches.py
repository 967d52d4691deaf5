"""Batches of images out of the memory-mapped cache, the next one read while the last is used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from derm_ml.data.augmentation import Augmentation


class ImageBatches:
    """Yields (images float [v b, 3, s, s] in [0, 1], channels last, on the device; rows int64 [b]).

    Each batch has v views of its rows, one after the other: 1, unless asked for more.

    Args:
        images: uint8 [n, s, s, 3]. rows: which of them.
        order: shuffles the rows when given; the order is a function of it alone.
        augmentation: what the images are put through, on the device.
    """

    def __init__(
        self,
        images: np.ndarray,
        rows: np.ndarray,
        batch_size: int,
        device: torch.device,
        *,
        order: torch.Generator | None = None,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.images, self.rows, self.batch_size, self.device = images, rows, batch_size, device
        self.order, self.augmentation = order, augmentation

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        count = len(self.rows)
        order = np.arange(count) if self.order is None else torch.randperm(count, generator=self.order).numpy()
        chunks = [self.rows[order[i : i + self.batch_size]] for i in range(0, count, self.batch_size)]
        if len(chunks) > 1 and len(chunks[-1]) == 1 and self.order is not None:
            chunks[-2:] = [np.concatenate(chunks[-2:])]  # batch norm cannot train on one image
        with ThreadPoolExecutor(1) as reader:
            waiting = reader.submit(self._read, chunks[0]) if chunks else None
            for number, chunk in enumerate(chunks):
                assert waiting is not None
                pixels = waiting.result()
                if number + 1 < len(chunks):
                    waiting = reader.submit(self._read, chunks[number + 1])
                images = pixels.to(self.device, non_blocking=True).permute(0, 3, 1, 2).float().div_(255.0)
                if self.augmentation:
                    images = self.augmentation(images)
                yield images, torch.from_numpy(chunk).to(self.device, non_blocking=True)

    def _read(self, rows: np.ndarray) -> Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(self.images[rows]))
        return pixels.pin_memory() if self.device.type == "cuda" else pixels
