"""What a study of latents says where data is sparse: few images, one latent, no labels, codes at their ceiling."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derm_ml.config import PretrainConfig
from derm_ml.models.backbones import build_encoder
from derm_ml.models.vae import ConvVae
from derm_ml.pipelines import latents
from derm_ml.pipelines.latents import study_latents
from derm_ml.pipelines.setup import Setting, prepare_setting
from derm_ml.report.latents import save_latents
from derm_ml.tracking.base import NullTracker


def setting_of(data) -> Setting:
    return prepare_setting(PretrainConfig(data=data, image_size=32), NullTracker())


def vae_of(latent_dim) -> ConvVae:
    return ConvVae(build_encoder("test_efficientnet", 32, 0), latents=latent_dim)


@pytest.fixture(scope="module")
def setting():
    return setting_of("synthetic:n=240,size=40,seed=2")


@pytest.fixture(scope="module")
def study(setting):
    return study_latents(vae_of(3), setting)


def test_associations_count_a_lesion_once(study, setting):
    dataset = setting.dataset
    lesions = len(set(dataset.groups(dataset.rows("val"))))
    assert lesions < study.images  # every third lesion was photographed twice
    assert set(study.associations["images"]) == {lesions}


def test_only_validation_and_training_images_are_read(monkeypatch, setting):
    seen = []
    encode = latents.encode_rows

    def noted(vae, setting, rows, name):
        seen.extend(rows)
        return encode(vae, setting, rows, name)

    monkeypatch.setattr(latents, "encode_rows", noted)
    assert study_latents(vae_of(3), setting, max_images=20).images == 20
    assert set(setting.dataset.table["split"].to_numpy()[seen]) == {"train", "val"}


def test_one_latent_is_studied_without_scores(setting, tmp_path):
    study = study_latents(vae_of(1), setting)
    assert study.scores == {}
    assert len(save_latents(study, tmp_path).figures) >= 3


def test_too_few_images_are_studied_without_scores(setting):
    study = study_latents(vae_of(3), setting, max_images=8)
    assert (study.images, study.scores, len(study.associations)) == (8, {}, 0)


def test_images_without_labels_agree_with_nobody(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for number in range(90):
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        rows.append((f"{number}.png", "", ["train", "val", "test"][number % 3]))
    table = pd.DataFrame(rows, columns=["path", "label", "split"])
    table.to_csv(tmp_path / "none.csv", index=False)
    study = study_latents(vae_of(3), setting_of(str(tmp_path / "none.csv")))
    assert np.isnan(study.agreement)
    extra = save_latents(study, tmp_path / "none")
    assert not any("class" in line for line in extra.sentences)
    table.loc[:29, "label"] = "a"
    table.to_csv(tmp_path / "some.csv", index=False)
    study = study_latents(vae_of(3), setting_of(str(tmp_path / "some.csv")))
    assert 0 <= study.agreement < 0.9
    assert study.by_chance == pytest.approx(1 / 3)  # ten of thirty training images have a label, all the same


def test_the_words_carry_intervals_and_say_when_information_is_at_its_ceiling(study, tmp_path):
    extra = save_latents(study, tmp_path)
    best = next(table for title, table in extra.tables.items() if "factor" in title)
    assert best["effect"].str.contains(" to ").all()
    assert not any("ceiling" in line for line in extra.sentences)
    parts = {**study.parts, "mutual_information": float(np.log(study.images))}
    full = save_latents(dataclasses.replace(study, parts=parts), tmp_path)
    assert any("upper bound" in line for line in full.sentences)
    assert {"low", "high"} <= set(pd.read_csv(tmp_path / "latent_associations.csv").columns)
