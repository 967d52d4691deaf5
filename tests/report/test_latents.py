"""A study of latents, from a VAE to its figures and words."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derm_ml.models.backbones import build_encoder
from derm_ml.models.vae import ConvVae
from derm_ml.pipelines.latents import study_latents
from derm_ml.pipelines.setup import Setting, prepare_setting
from derm_ml.report.latents import save_latents
from derm_ml.tracking.base import NullTracker


def setting_of(data) -> Setting:
    from derm_ml.config import PretrainConfig

    return prepare_setting(PretrainConfig(data=data, image_size=32), NullTracker())


@pytest.fixture(scope="module")
def studied():
    setting = setting_of("synthetic:n=240,size=40,seed=2")
    return study_latents(ConvVae(build_encoder("test_efficientnet", 32, 0), latents=6), setting), setting


def test_what_it_holds(studied):
    study, setting = studied
    val = len(setting.dataset.rows("val"))
    assert study.images == val
    assert study.rates.shape == (6,)
    assert set(study.scores) == {
        "MIG", "SAP", "DCI disentanglement", "DCI completeness", "DCI informativeness",
    }  # fmt: skip
    assert set(study.associations["factor"]) <= {
        "area", "asymmetry", "border", "colours", "texture", "hair", "vascular",
    }  # fmt: skip
    assert study.walks.shape == (6, 9, 32, 32, 3)
    assert len({latent for _, latent, _, _ in study.walked}) <= 6
    assert study.neighbours.shape[1:] == (5, 32, 32, 3)
    assert 0 <= study.by_chance <= 1
    assert study.agreement > study.by_chance - 0.1
    assert (
        len(study.query_labels) == len(set(study.query_labels[:4])) + len(study.query_labels) - 4
    )  # a class each first


def test_neighbours_of_an_image_that_is_in_training_would_be_itself(studied):
    from derm_ml.pipelines.latents import _nearest

    z = np.random.default_rng(0).normal(size=(50, 6))
    assert (_nearest(z[:5], z)[:, 0] == np.arange(5)).all()


def test_the_figures_and_tables(studied, tmp_path):
    extra = save_latents(studied[0], tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "latent_traversals.png", "latent_map.png", "latent_neighbours.png", "latent_associations.png",
        "latent_associations.csv", "latent_scores.csv",
    }  # fmt: skip
    for name in extra.figures:
        assert np.asarray(Image.open(tmp_path / name).convert("L")).std() > 5
    assert any("latents are active" in line for line in extra.sentences)
    scores = pd.read_csv(tmp_path / "latent_scores.csv").set_index("score")["value"]
    assert "DCI completeness" in scores.index


def test_without_clinical_factors_it_says_so(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(40):
        folder = tmp_path / "data" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    study = study_latents(
        ConvVae(build_encoder("test_efficientnet", 32, 0), latents=4), setting_of(str(tmp_path / "data"))
    )
    extra = save_latents(study, tmp_path / "out")
    assert "latent_associations.png" not in extra.figures
    assert "no masks, ages" in extra.sentences[-1]
