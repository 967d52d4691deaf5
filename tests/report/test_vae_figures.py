"""Figures of a VAE."""

import numpy as np
import pytest

from derm_ml.report.vae import grid, save_figures
from derm_ml.results import VaeSnapshot


def test_vae_figures(tmp_path):
    pixels = np.zeros((10, 32, 32, 3), np.uint8)
    walks = np.zeros((6, 9, 32, 32, 3), np.uint8)
    snapshot = VaeSnapshot(
        epoch=12, originals=pixels, reconstructions=pixels, samples=np.zeros((40, 32, 32, 3), np.uint8),
        traversals=walks, traversed=(5, 4, 3, 2, 1, 0), rates=(6, 5, 4, 3, 2, 1), steps=tuple(range(-4, 5)),
    )  # fmt: skip
    names = [path.name for path in save_figures(snapshot, tmp_path)]
    assert names[0] == "reconstructions_epoch_0012.png"
    assert grid(walks).shape == (6 * 36, 9 * 36, 3)
    assert pytest.approx(255) == grid(walks)[0].mean()
