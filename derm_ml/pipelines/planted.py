"""Features of images with artefacts planted on them, and features without what tells the artefacts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from derm_ml.data.artefacts import ARTEFACTS, plant
from derm_ml.models.erasure import Erasure, PairedErasure
from derm_ml.models.heads import Extractor
from derm_ml.pipelines.setup import Setting, features_only, place
from derm_ml.progress import progress
from derm_ml.seeding import torch_generator

IMAGES = 8192  # training images at most
PLANTED = 28_000  # images with artefacts, within the bounds of DRAWS
DRAWS = (4, 32)  # of every image: few images are drawn on more often


def artefact_erasure(extractor: Extractor, setting: Setting) -> Erasure:
    """Takes out of features what tells a linear classifier of planted artefacts; fitted on training images.

    No label is read. Every artefact is planted on a random half of the images, each by itself, several times.
    """
    rows = sample_rows(setting.dataset.rows("train"), IMAGES)
    plain = torch.from_numpy(features_of(extractor, setting, rows))
    erasure = PairedErasure(plain.shape[1], len(ARTEFACTS))
    draws = int(np.clip(-(-PLANTED // len(rows)), *DRAWS))
    with progress("Erasing artefacts", draws, "draws") as bar:
        for draw in range(draws):
            features, given = planted(extractor, setting, rows, torch_generator(0, "erased", draw))
            erasure.add(plain, torch.from_numpy(features), torch.from_numpy(given))
            bar.advance()
    return erasure.fit()


def planted(
    extractor: Extractor, setting: Setting, rows: np.ndarray, generator: torch.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Features [n, d], and which artefacts each image was given, bool [n, artefacts]: each for half of them."""
    given = []

    def alter(images: Tensor) -> Tensor:
        chosen = torch.rand(len(images), len(ARTEFACTS), generator=generator) < 0.5
        for artefact, where in zip(ARTEFACTS.values(), chosen.T, strict=True):
            images = plant(images, artefact, where, generator)
        given.append(chosen.numpy())
        return images

    features = features_of(extractor, setting, rows, alter)
    return features, np.concatenate(given)


@torch.no_grad()
def features_of(
    extractor: Extractor,
    setting: Setting,
    rows: np.ndarray,
    alter: Callable[[Tensor], Tensor] = lambda images: images,
) -> np.ndarray:
    """Features [n, d] of images, altered or as they are."""
    place(extractor, setting.device)
    features = []
    with features_only(extractor.encoder):
        for images, _ in setting.batches(rows):
            with setting.precision.context():
                features.append(extractor(alter(images)).float().cpu().numpy())
    return np.concatenate(features)


def sample_rows(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows, always the same, in order."""
    return np.sort(rows[torch.randperm(len(rows), generator=torch_generator(0, "probed"))[:most].numpy()])
