"""MedMNIST's files by path: splits, names, grey pictures, and what is refused in one line."""

from pathlib import Path

import numpy as np
import pytest

from derm_ml.data.containers import open_container
from derm_ml.data.containers.npz import medmnist_source
from derm_ml.errors import UserError


def arrays(side=28, count=4, grey=False, labels=True):
    rng = np.random.default_rng(0)
    shape = (count, side, side) if grey else (count, side, side, 3)
    made = {f"{split}_images": rng.integers(0, 256, shape, dtype=np.uint8) for split in ("train", "val", "test")}
    if labels:
        made |= {f"{split}_labels": np.arange(count)[:, None] % 3 for split in ("train", "val", "test")}
    return made


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("name", ["dermamnist_corrected_28.npz", "dermamnist_extended_224.npz"])
def test_stored_and_compressed_files_are_read_alike(tmp_path: Path, save, name):
    made = arrays()
    save(tmp_path / name, **made)
    source = open_container(str(tmp_path / name))
    assert source is not None
    assert source.kind == "dermamnist"
    assert source.records["split"].value_counts().to_dict() == {"train": 4, "val": 4, "test": 4}
    assert source.records["label"][1] == "basal cell carcinoma"
    np.testing.assert_array_equal(source.read("val_00002"), made["val_images"][2])


def test_a_stored_file_is_mapped_and_not_loaded(tmp_path: Path, monkeypatch):
    np.savez(tmp_path / "x.npz", **arrays())
    monkeypatch.setattr("zipfile.ZipFile.open", None)
    assert len(medmnist_source(tmp_path / "x.npz").records) == 12


def test_grey_pictures_become_rgb_and_other_sets_have_their_own_names(tmp_path: Path):
    np.savez(tmp_path / "octmnist_64.npz", **arrays(64, grey=True))
    source = medmnist_source(tmp_path / "octmnist_64.npz")
    assert source.read("train_00000").shape == (64, 64, 3)
    assert source.records["label"][0] == "choroidal neovascularization"
    np.savez(tmp_path / "mine.npz", **arrays(labels=False))
    assert set(medmnist_source(tmp_path / "mine.npz").records["label"]) == {""}


def broken(path: Path, fault: str) -> None:
    made = arrays()
    if fault == "missing":
        del made["val_images"]
    elif fault == "several":
        made["train_labels"] = np.zeros((4, 14), int)
    elif fault == "regression":
        made["train_labels"] = np.array([0.5, 1, 2, 3])
    elif fault == "float":
        made["test_images"] = made["test_images"] / 255
    elif fault == "small":
        made = arrays(8)
    elif fault == "volumes":
        made |= {f"{split}_images": np.zeros((4, 28, 28, 28), np.uint8) for split in ("train", "val", "test")}
    elif fault == "count":
        made["val_labels"] = np.zeros(3, int)
    elif fault == "objects":
        made["train_labels"] = np.array([{}, {}, {}, {}], dtype=object)
    np.savez(path, **made)
    content = path.read_bytes()
    if fault == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif fault == "text":
        path.write_text("no zip")
    elif fault == "overwritten":
        path.write_bytes(b"x" * 4000 + content[4000:])


FAULTS = {
    "missing": "no val_images",
    "several": "several labels an image",
    "regression": "whole numbers",
    "float": "float64",
    "small": "16 px at least",
    "volumes": "pictures are uint8",
    "count": "there are 4 images",
    "objects": "Python objects",
    "cut": "damaged or cut",
    "text": "damaged or cut",
    "overwritten": "damaged or cut",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_used_is_one_line(tmp_path: Path, fault):
    broken(tmp_path / "dermamnist.npz", fault)
    with pytest.raises(UserError, match=FAULTS[fault]):
        open_container(str(tmp_path / "dermamnist.npz"))


def test_a_compressed_member_that_does_not_match_its_checksum_is_one_line(tmp_path: Path):
    np.savez_compressed(tmp_path / "d.npz", **arrays())
    content = bytearray((tmp_path / "d.npz").read_bytes())
    content[3000] ^= 255
    (tmp_path / "d.npz").write_bytes(content)
    with pytest.raises(UserError, match="damaged or cut"):
        medmnist_source(tmp_path / "d.npz")
