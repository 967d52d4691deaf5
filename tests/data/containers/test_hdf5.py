"""HDF5 as ISIC 2024 has it, as an array of pictures, and as a list of encoded ones."""

import io
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from derm_ml.data.containers import open_container
from derm_ml.data.containers.hdf5 import hdf5_images
from derm_ml.errors import UserError


def jpeg(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_key_an_image_as_in_isic_2024(tmp_path: Path):
    with h5py.File(tmp_path / "train-image.hdf5", "w") as file:
        for number in range(5):
            file[f"ISIC_{number}"] = np.void(jpeg(number))
        file["ISIC_5"] = np.frombuffer(jpeg(5), np.uint8)
        file["ISIC_6"] = np.float64(3)
    ids, read = hdf5_images(tmp_path / "train-image.hdf5")
    assert ids == [f"ISIC_{number}" for number in range(7)]
    assert [read(f"ISIC_{number}") for number in range(6)] == [jpeg(number) for number in range(6)]
    with pytest.raises(OSError, match="float64"):
        read("ISIC_6")
    with pytest.raises(OSError, match="cannot be read"):
        read("ISIC_9")


@pytest.mark.parametrize("shape", [(4, 32, 32, 3), (4, 32, 32)])
def test_an_array_of_pictures_with_labels(tmp_path: Path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["images"] = pixels
        file["labels"] = np.array([[b"nv"], [b"mel"], [b"nv"], [b"mel"]])
    source = open_container(str(tmp_path / "x.h5"))
    assert source is not None
    assert source.records["label"].tolist() == ["nv", "mel", "nv", "mel"]
    found = source.read("0000002")
    assert found.shape == (32, 32, 3)
    np.testing.assert_array_equal(found[..., 0], pixels[2] if len(shape) == 3 else pixels[2, ..., 0])
    assert set(open_container(str(tmp_path / "x.h5"), labelled=False).records["label"]) == {""}


def test_a_list_of_encoded_images(tmp_path: Path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        made = file.create_dataset("jpegs", (3,), dtype=h5py.vlen_dtype(np.uint8))
        for number in range(3):
            made[number] = np.frombuffer(jpeg(number), np.uint8)
    ids, read = hdf5_images(tmp_path / "x.h5")
    assert [read(each) for each in ids] == [jpeg(number) for number in range(3)]


def test_images_in_groups(tmp_path: Path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["nv/1"], file["mel/2"] = np.void(jpeg(1)), np.void(jpeg(2))
    ids, read = hdf5_images(tmp_path / "x.h5")
    assert sorted(ids) == ["mel/2", "nv/1"]
    assert read("mel/2") == jpeg(2)


def test_what_is_no_collection_is_one_line(tmp_path: Path, monkeypatch):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["weights"] = np.zeros((3, 3))
    with pytest.raises(UserError, match=r"no images .* weights \(3, 3\)"):
        hdf5_images(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="damaged or cut"):
        hdf5_images(path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r"pip install 'derm-ml\[formats\]'"):
        hdf5_images(path)
