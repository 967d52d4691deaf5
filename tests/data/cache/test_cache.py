"""The cache: each file is read once, contents are found under any name, and faults stay with their contents."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from counted import Counting, made, photograph

from derm_ml.data.cache import making, open_cache, opening
from derm_ml.data.cache.arrays import Rows
from derm_ml.data.decoding import RefusedImage


def test_a_cold_run_reads_each_file_once_and_a_few_twice(folder: Counting):
    cache = folder.open()
    assert max(folder.reads.values()) <= 2
    assert sum(folder.reads.values()) <= 53 + opening.TRIED
    assert len(cache.images) == len(cache.rows) == len(cache.sizes) == len(cache.descriptors) == 51
    assert cache.sizes.tolist() == [[56, 40]] * 51
    assert cache.digests["copy.png"] == cache.digests["007.png"]
    assert dict(cache.refused).keys() == {"bad.png"}
    assert [name for name, _ in cache.mended] == ["grey.png"]
    for name in ("000.png", "049.png", "grey.png"):
        pixels = making.decode_image(photograph(99, "L") if name == "grey.png" else photograph(int(name[:3])), (32,))
        np.testing.assert_array_equal(cache.images[cache.rows[cache.digests[name]]], pixels.squares[0])


def test_a_warm_run_reads_nothing(folder: Counting, later):
    first = folder.open()
    again = folder.open()
    assert not folder.reads
    assert again.digests == first.digests
    assert again.refused == first.refused
    np.testing.assert_array_equal(again.images, first.images)


def test_another_size_reads_each_content_once(folder: Counting, later):
    folder.open()
    other = folder.open(48)
    assert set(folder.reads.values()) == {1}
    assert len(folder.reads) == 52, "of two copies one"
    assert other.digests["copy.png"] == other.digests["007.png"]


def test_files_that_changed_within_the_tick_before_they_were_read_are_read_again(folder: Counting):
    folder.open()
    folder.open()
    assert len(folder.reads) == 53


def test_a_changed_byte_is_noticed_although_size_and_time_are_the_same(folder: Counting, later):
    first = folder.open()
    path = folder.root / "003.png"
    before, content = path.stat(), bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert folder.open().digests["003.png"] != first.digests["003.png"]


def test_a_moved_collection_finds_its_cache_and_its_faults_under_their_new_names(folder: Counting, tmp_path: Path):
    first = folder.open()
    before = made()
    moved = Counting(tmp_path / "elsewhere")
    moved.root.mkdir()
    for path in folder.root.iterdir():
        shutil.copy(path, moved.root / f"new_{path.name}")
    second = moved.open()
    assert made() == before
    assert set(moved.reads.values()) == {1}, "hashed, and not decoded again"
    assert second.refused == [(f"new_{name}", reason) for name, reason in first.refused]
    assert second.mended == [(f"new_{name}", reason) for name, reason in first.mended]


def test_whatever_a_read_raises_is_that_images_refusal(folder: Counting):
    errors = {
        "001.png": RefusedImage("a thumbnail"),
        "002.png": PermissionError(13, "Permission denied"),
        "003.png": KeyError("member"),
        "004.png": OSError("a FIFO"),
    }

    def read(image_id: str) -> bytes:
        if image_id in errors:
            raise errors[image_id]
        return folder(image_id)

    source = replace(folder.source(), read=read)
    for _ in range(2):
        told = dict(open_cache(source, 32).refused)
        assert told["001.png"] == "a thumbnail"
        assert told["002.png"] == "cannot be read: Permission denied"
        assert told["003.png"] == "cannot be read (KeyError: 'member')"
        assert told["004.png"] == "a FIFO"


def test_a_decoder_that_fails_oddly_is_that_images_refusal(folder: Counting, monkeypatch):
    real = making.decode_image

    def odd(content, sizes, whole):
        if content == photograph(5):
            raise ZeroDivisionError("in a decoder")
        return real(content, sizes)

    monkeypatch.setattr(making, "decode_image", odd)
    assert dict(folder.open().refused)["005.png"] == "cannot be decoded (ZeroDivisionError: in a decoder)"


def test_rows_are_a_npy_file_of_those_that_came(tmp_path: Path):
    rows = Rows(tmp_path / "x.npy", np.int32, (2,), 10**6)
    for number in range(3):
        rows.append(np.array([number, 1], np.int32))
    with pytest.raises(ValueError, match="a row of"):
        rows.append(np.zeros(3, np.int32))
    rows.finish()
    assert np.load(tmp_path / "x.npy", mmap_mode="r").tolist() == [[0, 1], [1, 1], [2, 1]]
    assert (tmp_path / "x.npy").stat().st_size == 128 + 24
