"""What a pretraining sees: shares of the training images, another collection's, and never validation or test images."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from derm_ml.config import PretrainConfig
from derm_ml.data.dataset import prepare
from derm_ml.data.synthetic import draw
from derm_ml.errors import UserError
from derm_ml.pipelines import pretrain
from derm_ml.pipelines.arms import EncoderFiles, check_unseen
from derm_ml.pipelines.external import check_external
from derm_ml.pipelines.images import training_images
from derm_ml.pipelines.setup import Setting
from derm_ml.tracking.base import NullTracker, RecordingTracker
from derm_ml.training.trainer import Precision

DATA = "synthetic:n=160,size=40,seed=1"
SMALL = {"image_size": 32, "backbone": "test_efficientnet", "latent_dim": 4, "epochs": 1, "kl_warmup": 0}


@pytest.fixture(scope="module")
def setting():
    device = torch.device("cpu")
    return Setting(prepare(DATA, 32, 0), device, Precision(device))


def chosen(setting, tracker=None, **given):
    return training_images(PretrainConfig(data=DATA, image_size=32, **given), setting, tracker or NullTracker())


def test_shares_are_nested_whole_groups_of_training_images(setting):
    dataset = setting.dataset
    shares = [set(chosen(setting, image_fraction=share).rows.tolist()) for share in (0.1, 0.3, 1.0)]
    assert shares[0] < shares[1] < shares[2] == set(dataset.rows("train").tolist())
    for rows in shares:
        groups = set(dataset.groups(np.array(sorted(rows))))
        assert {row for row in dataset.rows("train") if dataset.groups(np.array([row]))[0] in groups} == rows
    counts = [len(set(dataset.groups(np.array(sorted(rows))))) for rows in shares]
    assert counts[0] == round(0.1 * counts[2])


def test_another_collection_joins_and_its_images_are_its_own(setting):
    tracker = RecordingTracker()
    found = chosen(setting, tracker, extra="synthetic:n=60,size=40,seed=2")
    extra = prepare("synthetic:n=60,size=40,seed=2", 32, None)
    assert found.own == len(setting.dataset.rows("train"))
    assert len(found.rows) == found.own + len(extra.images)
    assert np.array_equal(found.images[found.rows[found.own :]], extra.images[np.arange(len(extra.images))])
    mixed = found.rows[[0, found.own, 1]]
    expected = [setting.dataset.images[mixed[[0]]], extra.images[np.array([0])], setting.dataset.images[mixed[[2]]]]
    assert np.array_equal(found.images[mixed], np.concatenate(expected))
    tags = dict(pair for kind, value in tracker.calls if kind == "tags" for pair in value.items())
    assert tags["extra.images"] == str(len(extra.images))


def test_the_datas_own_images_and_near_copies_of_held_out_ones_stay_out(setting, tmp_path):
    dataset = setting.dataset
    for split in ("train", "test"):
        for row in dataset.rows(split)[:4]:
            pixels = dataset.images[np.array([row])][0].astype(int)
            Image.fromarray(np.clip(pixels + 6, 0, 255).astype(np.uint8)).save(tmp_path / f"{split}{row}.png")
    tracker = RecordingTracker()
    found = chosen(setting, tracker, extra=str(tmp_path))
    tags = dict(pair for kind, value in tracker.calls if kind == "tags" for pair in value.items())
    assert tags["extra.left_out"] == '{"near copies of validation or test images": 4}'
    assert len(found.rows) == found.own + 4
    with pytest.raises(UserError, match="no image is left to train on: .* also in the data itself"):
        chosen(setting, extra=DATA)


def test_it_is_trained_on_and_told(setting, tmp_path):
    tracker = RecordingTracker()
    given = {**SMALL, "data": DATA, "image_fraction": 0.5, "extra": "synthetic:n=60,size=40,seed=2"}
    pretrain.run(PretrainConfig(**given), tracker, lambda snapshot: None, tmp_path)
    (record,) = [value for kind, value in tracker.calls if kind == "encoder"]
    extra = prepare("synthetic:n=60,size=40,seed=2", 32, None)
    assert record.facts["data.extra"] == prepare("synthetic:n=60,size=40,seed=2", 32, None, labelled=False).fingerprint
    own = chosen(setting, image_fraction=0.5).own
    assert f"on {own:,}\ntraining images of `synthetic` and {len(extra.images)} images of another" in record.card
    assert "precision fp32," in record.card  # auto, resolved
    assert "as the encoder of a variational autoencoder beside InfoNCE between two views on" in record.card
    encoder = EncoderFiles(record.weights, dict(record.facts), "models:/x/1")
    for seen in (extra, setting.dataset):
        with pytest.raises(UserError, match="not external"):
            check_external(seen, [encoder])
    with pytest.raises(UserError, match="with images of this data"):
        check_unseen(encoder, SimpleNamespace(dataset=extra))
    check_external(prepare("synthetic:n=60,size=40,seed=3", 32, None), [encoder])


def test_of_another_collection_every_image_joins_and_no_label_is_read(setting, tmp_path):
    """Loose images beside folders, the same image under two names of classes, a CSV without labels."""
    pictures = [draw(900 + number, 0, 40, 7) for number in range(5)]
    (tmp_path / "any" / "deep").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    for place, picture in zip(["a.png", "b.png", "any/deep/c.png", "any/d.png", "other/e.png"], pictures, strict=True):
        Image.fromarray(picture).save(tmp_path / place)
    Image.fromarray(pictures[3]).save(tmp_path / "other" / "the_same.png")
    tracker = RecordingTracker()
    found = chosen(setting, tracker, extra=str(tmp_path))
    tags = dict(pair for kind, value in tracker.calls if kind == "tags" for pair in value.items())
    assert len(found.rows) == found.own + 5
    assert tags["extra.left_out"] == '{"refused (data/extra_report.json)": 1}'  # an exact copy
    facts = {"data.extra": found.extra, "data.extra.sample": found.sample}
    encoder = EncoderFiles(tmp_path / "none", facts, "models:/x/1")
    as_classes = prepare(str(tmp_path), 32, None)  # fewer images, with labels: another fingerprint
    assert as_classes.fingerprint != found.extra
    with pytest.raises(UserError, match="with images of this data beside its own"):
        check_unseen(encoder, SimpleNamespace(dataset=as_classes))
    with pytest.raises(UserError, match="not external"):
        check_external(as_classes, [encoder])
    check_unseen(encoder, setting)
    (tmp_path / "list.csv").write_text("path\na.png\nany/d.png\n")
    assert len(chosen(setting, extra=str(tmp_path / "list.csv")).rows) == found.own + 2
