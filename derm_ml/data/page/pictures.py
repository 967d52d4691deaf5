"""Small pictures for the page, as data: addresses, never more bytes than a section may have."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from derm_ml.data.dataset import ImageDataset
from derm_ml.data.decoding import decode, decode_whole

SIDES = (96, 72, 48, 32)  # px: the largest at which a section's pictures fit its share of the page
QUALITY = 80  # JPEG
WHOLE = 4_000_000  # bytes: a refused file above this is not decoded for a thumbnail


class Pictures:
    """Thumbnails of a collection's images: from the training images where these are large enough, else the originals.

    Attributes:
        shown: how many the page holds.
    """

    def __init__(self, dataset: ImageDataset) -> None:
        self._dataset = dataset
        # What the listing refused may be a pipe or a device: it was not opened then, and is not now.
        self._unopened = {image_id for image_id, _ in dataset.source.refused} if dataset.source else set()
        self.shown = 0

    def load(self, ids: Sequence[str], share: int) -> dict[str, str]:
        """image_id to a `data:` address; those that cannot be decoded are left out.

        Args:
            share: bytes that all of them may have together.
        """
        ids = list(dict.fromkeys(ids))
        table = self._dataset.table
        found = table.index[table["image_id"].isin(set(ids))]
        rows = dict(zip(table["image_id"][found], found, strict=True))
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            made = dict(
                zip(ids, pool.map(lambda image_id: self._pixels(image_id, rows.get(image_id)), ids), strict=True)
            )
        pixels = {image_id: each for image_id, each in made.items() if each is not None}
        self.shown += len(pixels)
        for side in SIDES:
            addresses = {image_id: _address(each, side) for image_id, each in pixels.items()}
            if sum(map(len, addresses.values())) <= share:
                break
        return addresses

    def _pixels(self, image_id: str, row: int | None) -> np.ndarray | None:
        """uint8 [h, w, 3], about as large as the largest side or larger."""
        source = self._dataset.source
        if row is not None and (self._dataset.image_size >= SIDES[0] or source is None):
            return self._trained_on(row)
        if source is None or image_id in self._unopened:
            return None
        try:
            content = source.read(image_id)
            if row is not None:
                return decode(content, SIDES[0])[0]
            return decode_whole(content, SIDES[0]) if len(content) <= WHOLE else None
        except Exception:  # noqa: BLE001 (whatever a decoder raises: the file is named without its picture)
            return self._trained_on(row) if row is not None else None

    def _trained_on(self, row: int) -> np.ndarray:
        return np.asarray(self._dataset.images[np.array([row])][0])


def _address(pixels: np.ndarray, side: int) -> str:
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
