"""The cache: one pass, found by content under any name, never half-written, shared between users."""

import io
import json
import multiprocessing
import os
import shutil
import stat
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from PIL import Image

from derm_ml.data.cache import making, opening, remembered
from derm_ml.data.cache import open_cache as open_cache_
from derm_ml.data.cache.arrays import Rows
from derm_ml.data.cache.place import cache_root
from derm_ml.data.decoding import RefusedImage
from derm_ml.data.source import COLUMNS, Source
from derm_ml.errors import UserError


def photograph(seed: int, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


class Counting:
    """A folder as a source, whose reads are counted."""

    def __init__(self, root: Path) -> None:
        self.root, self.reads = root, Counter()

    def __call__(self, image_id: str) -> bytes:
        self.reads[image_id] += 1
        return (self.root / image_id).read_bytes()

    def source(self) -> Source:
        names = sorted(path.name for path in self.root.iterdir())
        records = pd.DataFrame([(name, "", "", "") for name in names], columns=COLUMNS, dtype=str)
        return Source("folder", str(self.root), records, self, path=lambda name: self.root / name)

    def open(self, size: int = 32):
        self.reads.clear()
        return open_cache_(self.source(), size)


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DERM_ML_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Counting:
    root = tmp_path / "pictures"
    root.mkdir()
    for number in range(50):
        (root / f"{number:03d}.png").write_bytes(photograph(number))
    (root / "bad.png").write_bytes(b"no picture")
    (root / "copy.png").write_bytes(photograph(7))
    (root / "grey.png").write_bytes(photograph(99, "L"))
    return Counting(root)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock a minute ahead: files that were just written are no longer within the tick of their last change."""
    now = remembered.time.time_ns
    monkeypatch.setattr(remembered.time, "time_ns", lambda: now() + 60_000_000_000)


def made(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "images").iterdir() if not path.name.startswith("."))


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
    before = made(cache_root())
    moved = Counting(tmp_path / "elsewhere")
    moved.root.mkdir()
    for path in folder.root.iterdir():
        shutil.copy(path, moved.root / f"new_{path.name}")
    second = moved.open()
    assert made(cache_root()) == before
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
        told = dict(open_cache_(source, 32).refused)
        assert told["001.png"] == "a thumbnail"
        assert told["002.png"] == "cannot be read: Permission denied"
        assert told["003.png"] == "cannot be read (KeyError: 'member')"
        assert told["004.png"] == "a FIFO"


def test_a_decoder_that_fails_oddly_is_that_images_refusal(folder: Counting, monkeypatch):
    real = making.decode_image

    def odd(content, sizes):
        if content == photograph(5):
            raise ZeroDivisionError("in a decoder")
        return real(content, sizes)

    monkeypatch.setattr(making, "decode_image", odd)
    assert dict(folder.open().refused)["005.png"] == "cannot be decoded (ZeroDivisionError: in a decoder)"


DAMAGES = {
    "report.json": [b"", b"{", b"[]", json.dumps({"images": 3, "refused": 0, "near": 0}).encode()],
    "images.npy": [b"", b"\x93NUMPY"],
    "contents.npy": [b""],
    "faults.parquet": [b"PAR1"],
}


@pytest.mark.parametrize(("name", "content"), [(name, each) for name, all_ in DAMAGES.items() for each in all_])
def test_a_damaged_cache_is_made_anew(folder: Counting, fresh: Path, later, name, content):
    first = np.array(folder.open().images)  # a copy: a map of a file that is cut crashes
    (only,) = made(fresh)
    (fresh / "images" / only / name).write_bytes(content)
    np.testing.assert_array_equal(folder.open().images, first)
    assert made(fresh) == [only]
    assert not list((fresh / "images").glob(".building-*"))


def test_a_cut_cache_is_made_anew(folder: Counting, fresh: Path):
    folder.open()
    (only,) = made(fresh)
    with (fresh / "images" / only / "images.npy").open("r+b") as file:
        file.truncate(5000)
    assert len(np.array(folder.open().images)) == 51


def test_a_damaged_cache_that_may_not_be_replaced_is_left_and_an_own_one_made(folder: Counting, fresh, monkeypatch):
    folder.open()
    (only,) = made(fresh)
    (fresh / "images" / only / "report.json").write_text("")
    rename = Path.rename

    def others(self, target):
        if self.name == only:
            raise PermissionError(1, "Operation not permitted")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", others)
    assert len(folder.open().images) == 51
    assert made(fresh) == [only, f"{only}-{os.getuid()}"]
    folder.open()
    assert max(folder.reads.values()) == 1, "hashed, and found"


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_the_cache_has_the_rights_of_the_umask(folder: Counting, fresh: Path, umask):
    before = os.umask(umask)
    try:
        folder.open()
    finally:
        os.umask(before)
    for path in [fresh, fresh / "images", *(fresh / "images").glob("32px-*")]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o777 & ~umask
    for path in (fresh / "images").glob("32px-*/*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_in_a_groups_folder_the_group_may_write(folder: Counting, fresh: Path):
    fresh.mkdir()
    fresh.chmod(0o2775)
    folder.open()
    for path in [fresh / "images", *(fresh / "images").glob("32px-*")]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o2775


def test_a_shared_cache_that_cannot_be_written_is_read(folder: Counting, fresh: Path, monkeypatch):
    folder.open()
    monkeypatch.setattr(opening, "writable", None)
    monkeypatch.setattr(remembered, "make_folder", lambda path: (_ for _ in ()).throw(PermissionError()))
    assert len(folder.open().images) == 51


def test_a_file_in_the_caches_place_is_one_line_before_anything_is_decoded(folder: Counting, fresh: Path, monkeypatch):
    fresh.write_text("")
    monkeypatch.setattr(making, "decode_image", None)
    with pytest.raises(UserError, match=r"cache.*cannot be written.*DERM_ML_CACHE") as caught:
        folder.open()
    assert "\n" not in str(caught.value)


def test_no_home_directory_is_one_line(monkeypatch):
    monkeypatch.delenv("DERM_ML_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def lost(*_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", lost)
    with pytest.raises(UserError, match="DERM_ML_CACHE"):
        cache_root()


def test_what_killed_processes_left_goes_and_what_is_in_use_stays(folder: Counting, fresh: Path):
    images = fresh / "images"
    for name in ("killed", "busy", "ancient", "young"):
        (images / f".building-{name}").mkdir(parents=True)
    os.utime(images / ".building-ancient", (0, 0))
    (images / ".lock-killed").touch()
    with FileLock(images / ".lock-busy"):
        folder.open()
    assert sorted(path.name for path in images.glob(".building-*")) == [".building-busy", ".building-young"]


def _open(root: str, cache: str, queue) -> None:  # type: ignore[no-untyped-def]
    os.environ["DERM_ML_CACHE"] = cache
    folder = Counting(Path(root))
    found = folder.open(64)
    queue.put((len(found.images), sum(folder.reads.values())))


def test_the_second_of_two_processes_waits_and_decodes_nothing(folder: Counting, fresh: Path, capfd):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    source = folder.source()
    name = opening.lock_name(source, 64)
    with opening.alone(fresh / "images", name):
        process = context.Process(target=_open, args=(str(folder.root), str(fresh), queue))
        process.start()
        waiting = ""
        for _ in range(600):
            waiting += capfd.readouterr().err
            if "waiting for it" in waiting:
                break
            time.sleep(0.1)
        assert "another process is decoding these images" in waiting
    assert queue.get(timeout=60)[0] == 51
    process.join()


def test_rows_are_a_npy_file_of_those_that_came(tmp_path: Path):
    rows = Rows(tmp_path / "x.npy", np.int32, (2,), 10**6)
    for number in range(3):
        rows.append(np.array([number, 1], np.int32))
    with pytest.raises(ValueError, match="a row of"):
        rows.append(np.zeros(3, np.int32))
    rows.finish()
    assert np.load(tmp_path / "x.npy", mmap_mode="r").tolist() == [[0, 1], [1, 1], [2, 1]]
    assert (tmp_path / "x.npy").stat().st_size == 128 + 24
