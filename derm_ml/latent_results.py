"""What a study of latents hands to the report: plain arrays and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True, kw_only=True)
class LatentStudy:
    """Of one VAE on the validation images of its split. Images are uint8 [.., h, w, 3]."""

    images: int
    active: int  # latents whose mean varies over images (variance above 0.01)
    rates: np.ndarray  # [z], mean KL of each latent, in nats
    parts: Mapping[str, float]  # of the rate, in nats: mutual information, total correlation, dimension-wise
    associations: pd.DataFrame  # of one image a lesion: see derm_ml.disentanglement.associations
    scores: Mapping[str, float]  # MIG, SAP, DCI ...: where the true factors are known, else empty
    walked: tuple[tuple[str, int, str, float], ...]  # (factor, latent, kind, effect) of every traversal
    walks: np.ndarray  # [traversals, steps, h, w, 3]
    steps: tuple[float, ...]  # the values that the latent takes, in prior standard deviations
    positions: np.ndarray  # [m, 2], t-SNE of the means
    classes: tuple[str, ...]  # of the data, in the order of their codes
    labels: np.ndarray  # [m], class names of the mapped images
    thumbnails: np.ndarray  # [m, h, w, 3]
    queries: np.ndarray  # [q, h, w, 3], validation images
    query_labels: tuple[str, ...]
    neighbours: np.ndarray  # [q, k, h, w, 3], the nearest training images
    neighbour_labels: tuple[tuple[str, ...], ...]
    agreement: float  # share of the five nearest training images with the image's class, over labelled images; or nan
    by_chance: float  # the same for training images drawn at random
