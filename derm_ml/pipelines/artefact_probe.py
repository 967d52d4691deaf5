"""Do an encoder's features say what lies beside the lesion? A probe for artefacts planted at random."""

from __future__ import annotations

import numpy as np
import torch

from derm_ml.data.artefacts import ARTEFACTS, plant
from derm_ml.models.heads import Extractor
from derm_ml.pipelines.setup import Setting, features_only, place
from derm_ml.seeding import torch_generator

PROBED = 2048  # training images at most; validation images are all taken


def artefact_probe(extractor: Extractor, setting: Setting) -> dict[str, float]:
    """`artefact/hair` and so on: how well a linear probe tells images with the artefact from those without.

    Every artefact is planted on a random half of the images, each by itself, so that it is independent of the diagnosis
    and of the others. The probe (ridge-penalised logistic regression) is trained on training images; the AUROC is that
    on validation images: 0.5 where the features do not say it, 1 where they always do.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    dataset = setting.dataset
    rows = dataset.rows("train")
    rows = np.sort(rows[torch.randperm(len(rows), generator=torch_generator(0, "probed"))[:PROBED].numpy()])
    train = _planted(extractor, setting, rows, torch_generator(0, "planted", 0))
    val = _planted(extractor, setting, dataset.rows("val"), torch_generator(0, "planted", 1))
    found = {}
    for number, name in enumerate(ARTEFACTS):
        wanted, held_out = train[1][:, number], val[1][:, number]
        if min(len(np.unique(wanted)), len(np.unique(held_out))) < 2:
            continue  # too few images to have both kinds
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000)).fit(train[0], wanted)
        found[f"artefact/{name}"] = float(roc_auc_score(held_out, probe.decision_function(val[0])))
    return found


@torch.no_grad()
def _planted(
    extractor: Extractor, setting: Setting, rows: np.ndarray, generator: torch.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Features [n, d], and which artefacts each image was given, bool [n, artefacts]."""
    place(extractor, setting.device)
    features, given = [], []
    with features_only(extractor.encoder):
        for images, _ in setting.batches(rows):
            chosen = torch.rand(len(images), len(ARTEFACTS), generator=generator) < 0.5
            for draw, where in zip(ARTEFACTS.values(), chosen.T, strict=True):
                images = plant(images, draw, where, generator)
            with setting.precision.context():
                features.append(extractor(images).float().cpu().numpy())
            given.append(chosen.numpy())
    return np.concatenate(features), np.concatenate(given)
