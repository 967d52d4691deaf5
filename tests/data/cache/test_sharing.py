"""A cache that users share: rights, damage, folders that cannot be written, and two processes at once."""

import json
import multiprocessing
import os
import stat
import time
from pathlib import Path

import numpy as np
import pytest
from counted import Counting, made
from filelock import FileLock

from derm_ml.data.cache import making, opening, remembered
from derm_ml.data.cache.place import cache_root
from derm_ml.errors import UserError

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
