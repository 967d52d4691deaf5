"""Evidence that two trainings were fed alike: a digest over what the trainer was really handed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor


class Witness:
    """SHA-256 over the head's first logits, then every batch's rows, in the order they are used.

    Two arms with one digest started from the same prediction and saw the same images in the same order (and, where
    `images` are watched, in the same augmentation). Adding weights or settings of the optimiser is the caller's.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def first_logits(self, logits: Tensor) -> None:
        """What the untrained head says: [b, k]."""
        self._hash.update(logits.detach().float().cpu().numpy().tobytes())

    def setting(self, text: str) -> None:
        """A part of the recipe that the arms must share."""
        self._hash.update(text.encode())

    def watch(
        self, batches: Iterable[tuple[Tensor, Tensor]], *, images: bool = False
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Hand the batches on.

        Args:
            images: the inputs are images [b, 3, s, s] that every arm sees: an 8 x 8 digest of them is taken as well.
        """
        for inputs, rows in batches:
            self._hash.update(rows.cpu().numpy().tobytes())
            if images:
                small = torch.nn.functional.adaptive_avg_pool2d(inputs.float(), 8)
                self._hash.update((small * 4096).round().to(torch.int16).cpu().numpy().tobytes())
            yield inputs, rows

    @property
    def digest(self) -> str:
        """Hex, of everything so far."""
        return self._hash.hexdigest()
