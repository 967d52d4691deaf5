"""The copy network: what of a flattened picture a copy keeps, as one vector and as a map of vectors.

Trained by `tools/copy_network` on drawn pictures alone, so that a picture and its copies by processing (turned, cut,
enlarged, mirrored, with hair, behind a round field of view) have like vectors, and all others unlike ones: InfoNCE over
pictures and over the places of a picture (van den Oord, Li and Vinyals 2018, arXiv 1807.03748, eq. 4). Batch
normalisation is folded into the convolutions.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from derm_ml.data.duplicates.view import LEVELS, OUTSIDE, SIDE

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = Path(__file__).with_name("network.safetensors")
STRIDES = (4, 1, 2, 1, 1)
CELL = 8  # px of a place
PLACES = SIDE // CELL  # a side
VECTOR, PLACE = 128, 32  # numbers of a picture, and of a place
UNIT = 127
COVERED = 0.6  # of a place that must be inside the field of view


class CopyNetwork:
    """Five convolutions; the mean and the third power mean of their maps inside the field of view; one linear map."""

    def __init__(self, path: Path = WEIGHTS) -> None:
        import torch
        from safetensors.torch import load_file

        weights = {name: value.float() for name, value in load_file(path).items()}
        self._weights = {
            name: value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value
            for name, value in weights.items()
        }

    def describe(self, copies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of int8 [n, `SIDE`, `SIDE`], flattened copies with `OUTSIDE` where nothing is seen.

        Returns:
            float32 [n, `VECTOR`], one vector a picture, length 1; int8 [n, `PLACES`^2, `PLACE`], one a place, length
            `UNIT`, row by row from the top left, zeros outside the field of view.
        """
        import torch

        with torch.inference_mode():
            whole, places = self._run(torch.from_numpy(np.ascontiguousarray(copies)))
        return whole.numpy(), places.numpy()

    def _run(self, copies: Tensor) -> tuple[Tensor, Tensor]:
        import torch
        from torch.nn import functional

        inside = (copies != OUTSIDE).float()
        maps = torch.stack([copies.float() / LEVELS * inside, inside], dim=1)
        maps = maps.contiguous(memory_format=torch.channels_last)
        for number, stride in enumerate(STRIDES):
            weight, bias = self._weights[f"conv{number}.weight"], self._weights[f"conv{number}.bias"]
            maps = functional.conv2d(maps, weight, bias, stride, weight.shape[-1] // 2).relu_()
        covered = functional.avg_pool2d(inside[:, None], CELL)
        share = covered / covered.sum(dim=(2, 3), keepdim=True).clamp_min(1e-3)
        mean = (maps * share).sum(dim=(2, 3))
        cubes = ((maps.clamp_min(1e-4) ** 3 * share).sum(dim=(2, 3)) + 1e-6) ** (1 / 3)
        whole = functional.linear(
            torch.cat([mean, cubes], dim=1), self._weights["whole.weight"], self._weights["whole.bias"]
        )
        places = functional.conv2d(maps, self._weights["places.weight"], self._weights["places.bias"])
        places = functional.normalize(places, dim=1) * (covered > COVERED) * UNIT
        return functional.normalize(whole, dim=1), places.round().to(torch.int8).flatten(2).transpose(1, 2)
