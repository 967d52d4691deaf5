"""Figures of a VAE: reconstructions under their originals, samples, latent traversals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from derm_ml.results import VaeSnapshot

GAP = 4  # white pixels between images
INCHES = 0.85  # side of an image


def save_figures(snapshot: VaeSnapshot, folder: Path) -> list[Path]:
    """Three PNGs, the epoch in their names so that MLflow lists them in order."""
    samples = snapshot.samples.reshape(4, -1, *snapshot.samples.shape[1:])
    pairs = np.stack([snapshot.originals, snapshot.reconstructions])
    latents = [
        f"latent {latent}, {rate:.2f} nats" for latent, rate in zip(snapshot.traversed, snapshot.rates, strict=True)
    ]
    values = [f"{value:+.1f}" for value in snapshot.steps]
    return [
        _save(pairs, folder, "reconstructions", snapshot.epoch, "Validation images, epoch", ["image", "decoded"]),
        _save(samples, folder, "samples", snapshot.epoch, "Decoded draws from the prior, epoch"),
        _save(
            snapshot.traversals,
            folder,
            "traversals",
            snapshot.epoch,
            "One latent moved (prior standard deviations), the most informative first, epoch",
            latents,
            values,
        ),
    ]


def _save(
    images: np.ndarray,
    folder: Path,
    name: str,
    epoch: int,
    title: str,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
) -> Path:
    """A labelled grid of uint8 [rows, columns, h, w, 3] as `name`_epoch_NNNN.png."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    side = images.shape[2] + GAP
    size = (images.shape[1] * INCHES + (1.6 if rows else 0), images.shape[0] * INCHES + 0.5)
    figure, axis = pyplot.subplots(figsize=size, layout="constrained")
    axis.imshow(grid(images), interpolation="lanczos")
    axis.set_yticks([side * (i + 0.5) for i in range(len(rows))], list(rows))
    axis.set_xticks([side * (i + 0.5) for i in range(len(columns))], list(columns))
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_title(f"{title} {epoch}", loc="left", fontsize=10)
    path = folder / f"{name}_epoch_{epoch:04d}.png"
    figure.savefig(path, dpi=130, facecolor="white", bbox_inches="tight")
    pyplot.close(figure)
    return path


def grid(images: np.ndarray) -> np.ndarray:
    """uint8 [rows, columns, h, w, 3] on white, uint8 [H, W, 3]."""
    padded = np.pad(images, ((0, 0), (0, 0), (GAP, 0), (GAP, 0), (0, 0)), constant_values=255)
    return np.concatenate([np.concatenate(list(row), axis=1) for row in padded], axis=0)
