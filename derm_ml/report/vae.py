"""Figures of a VAE: reconstructions under their originals, samples, latent traversals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from derm_ml.results import VaeSnapshot

GAP = 4  # white pixels between images


def save_figures(snapshot: VaeSnapshot, folder: Path) -> list[Path]:
    """Three PNGs, the epoch in their names so that MLflow lists them in order."""
    grids = {
        "reconstructions": np.stack([snapshot.originals, snapshot.reconstructions]),
        "samples": snapshot.samples.reshape(4, -1, *snapshot.samples.shape[1:]),
        "traversals": snapshot.traversals,
    }
    paths = []
    for name, images in grids.items():
        path = folder / f"{name}_epoch_{snapshot.epoch:04d}.png"
        picture = Image.fromarray(grid(images))
        factor = max(1, 96 // images.shape[2])
        picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.LANCZOS).save(path)
        paths.append(path)
    return paths


def grid(images: np.ndarray) -> np.ndarray:
    """uint8 [rows, columns, h, w, 3] on white, uint8 [H, W, 3]."""
    padded = np.pad(images, ((0, 0), (0, 0), (GAP, 0), (GAP, 0), (0, 0)), constant_values=255)
    return np.concatenate([np.concatenate(list(row), axis=1) for row in padded], axis=0)
