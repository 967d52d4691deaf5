"""What lies beside the lesion: do an encoder's features say it, and what does it cost the diagnosis?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from derm_ml.data.artefacts import ARTEFACTS, Artefact, plant
from derm_ml.metrics import macro_auroc
from derm_ml.models.heads import Extractor
from derm_ml.pipelines.planted import features_of, planted, sample_rows
from derm_ml.pipelines.setup import Setting
from derm_ml.results import COST, TOLD
from derm_ml.seeding import torch_generator

PROBED = 2048  # training images at most; validation images are all taken


def artefact_figures(extractor: Extractor, setting: Setting) -> dict[str, float]:
    """`artefact/hair` and so on of `artefact_probe`, `artefact_cost/hair` and so on of `artefact_cost`."""
    return artefact_probe(extractor, setting) | artefact_cost(extractor, setting)


def artefact_probe(extractor: Extractor, setting: Setting) -> dict[str, float]:
    """How well a linear probe tells images with the artefact from those without.

    Every artefact is planted on a random half of the images, each by itself, so that it is independent of the diagnosis
    and of the others. The probe (ridge-penalised logistic regression) is trained on training images; the AUROC is that
    on validation images: 0.5 where the features do not say it, 1 where they always do.
    """
    from sklearn.metrics import roc_auc_score

    dataset = setting.dataset
    train = planted(extractor, setting, sample_rows(dataset.rows("train"), PROBED), torch_generator(0, "planted", 0))
    val = planted(extractor, setting, dataset.rows("val"), torch_generator(0, "planted", 1))
    found = {}
    for number, name in enumerate(ARTEFACTS):
        wanted, held_out = train[1][:, number], val[1][:, number]
        if min(len(np.unique(wanted)), len(np.unique(held_out))) < 2:
            continue  # too few images to have both kinds
        probe = _probe().fit(train[0], wanted)
        found[f"{TOLD}{name}"] = float(roc_auc_score(held_out, probe.decision_function(val[0])))
    return found


def artefact_cost(extractor: Extractor, setting: Setting) -> dict[str, float]:
    """The macro AUROC that a diagnosis loses by the artefact.

    A probe for the diagnosis is trained on training images as they are. Its macro AUROC on validation images as they
    are, minus that on the same images with the artefact planted on a random half, whatever their diagnosis: 0 where it
    does no harm. (On every image it would move all scores alike, which an AUROC does not see.) Nothing without labels
    of two classes.
    """
    dataset = setting.dataset
    train, val = sample_rows(dataset.rows("train", labelled=True), PROBED), dataset.rows("val", labelled=True)
    codes = {"train": dataset.codes(train), "val": dataset.codes(val)}
    if min(len(np.unique(each)) for each in codes.values()) < 2:
        return {}
    probe = _probe().fit(features_of(extractor, setting, train), codes["train"])
    told = np.searchsorted(probe.classes_, codes["val"])
    told = np.where(np.isin(codes["val"], probe.classes_), told, -1)  # a class that was not learnt has no column

    def auroc(alter: Callable[[Tensor], Tensor] = lambda images: images) -> float:
        return macro_auroc(probe.predict_proba(features_of(extractor, setting, val, alter)), told)

    clean, found = auroc(), {}
    for number, (name, artefact) in enumerate(ARTEFACTS.items()):
        generator = torch_generator(0, "planted alone", number)
        found[f"{COST}{name}"] = clean - auroc(partial(_on_half, artefact=artefact, generator=generator))
    return found


def _on_half(images: Tensor, artefact: Artefact, generator: torch.Generator) -> Tensor:
    return plant(images, artefact, torch.rand(len(images), generator=generator) < 0.5, generator)


def _probe() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
