"""Planted artefacts: features that show them and features that cannot; what they cost a diagnosis."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from derm_ml.data.artefacts import ARTEFACTS
from derm_ml.data.dataset import prepare
from derm_ml.models.heads import ErasedExtractor
from derm_ml.pipelines.artefact_probe import artefact_cost, artefact_probe
from derm_ml.pipelines.planted import artefact_erasure
from derm_ml.pipelines.setup import Setting
from derm_ml.training.trainer import Precision


class Features(nn.Module):
    """Any function of images as an extractor."""

    def __init__(self, function):
        super().__init__()
        self.encoder, self.function, self.width = nn.Identity(), function, 0

    def forward(self, images):
        return self.function(images)


@pytest.fixture(scope="module")
def setting():
    device = torch.device("cpu")
    return Setting(prepare("synthetic:n=400,size=40,seed=1", 32, 0), device, Precision(device))


def test_corners_tell_a_vignette_and_nothing_of_the_ink(setting):
    corners = Features(lambda images: images[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].flatten(1))
    found = artefact_probe(corners, setting)
    assert set(found) == {f"artefact/{name}" for name in ARTEFACTS}
    assert found["artefact/vignette"] > 0.95
    assert found["artefact/ink"] < 0.75


def test_features_of_nothing_tell_nothing_and_all_pixels_tell_more(setting):
    blind = artefact_probe(Features(lambda images: torch.zeros(len(images), 3)), setting)
    assert set(blind.values()) == {0.5}
    seen = artefact_probe(Features(lambda images: torch.nn.functional.avg_pool2d(images, 4).flatten(1)), setting)
    assert seen["artefact/vignette"] > 0.95
    assert seen["artefact/cast"] > 0.6


def test_the_same_every_time(setting):
    pixels = Features(lambda images: images.mean(dim=(2, 3)))
    assert artefact_probe(pixels, setting) == artefact_probe(pixels, setting)


def test_an_artefact_costs_what_its_pixels_told_of_the_diagnosis(setting):
    """Mean colours tell synthetic diagnoses: a cast on half of the images confuses them; no rim reaches the centre."""
    found = artefact_cost(Features(lambda images: images.mean(dim=(2, 3))), setting)
    assert set(found) == {f"artefact_cost/{name}" for name in ARTEFACTS}
    assert found["artefact_cost/cast"] > 0.04
    assert abs(found["artefact_cost/hair"]) < 0.02
    centre = artefact_cost(Features(lambda images: images[:, :, 14:18, 14:18].flatten(1)), setting)
    assert centre["artefact_cost/vignette"] == centre["artefact_cost/ruler"] == 0.0
    assert set(artefact_cost(Features(lambda images: torch.zeros(len(images), 3)), setting).values()) == {0.0}


def test_without_labels_no_diagnosis_is_asked_for(setting):
    bare = replace(setting.dataset, table=setting.dataset.table.assign(code=-1))
    assert artefact_cost(Features(lambda images: images.mean(dim=(2, 3))), replace(setting, dataset=bare)) == {}


def test_erased_features_no_longer_tell_artefacts_that_they_told(setting):
    pixels = Features(lambda images: torch.nn.functional.avg_pool2d(images, 4).flatten(1))
    before = artefact_probe(pixels, setting)
    after = artefact_probe(ErasedExtractor(pixels, artefact_erasure(pixels, setting)), setting)
    assert before["artefact/vignette"] > 0.95
    assert after["artefact/vignette"] < 0.65
    assert max(after.values()) < 0.65
