import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from derm_ml.data.files import UnreadableFile, read_regular


def test_the_whole_content_of_a_file_and_of_a_link_to_it(tmp_path: Path) -> None:
    content = os.urandom(100_000)
    (tmp_path / "a.jpg").write_bytes(content)
    (tmp_path / "b.jpg").symlink_to("a.jpg")
    (tmp_path / "empty.jpg").write_bytes(b"")
    name = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    Path(os.fsdecode(name)).write_bytes(content)
    assert read_regular(tmp_path / "a.jpg") == read_regular(tmp_path / "b.jpg") == read_regular(name) == content
    assert read_regular(tmp_path / "empty.jpg") == b""


def test_a_file_that_says_it_is_empty_and_is_not_is_read_whole() -> None:
    assert len(read_regular("/proc/cpuinfo")) > 16


@pytest.mark.parametrize("through_a_link", [False, True])
def test_what_is_no_regular_file_is_named_at_once(tmp_path: Path, through_a_link: bool) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "folder.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket.jpg"))
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    start = time.monotonic()
    for name, reason in {"fifo": "FIFO", "folder": "directory", "socket": "socket", "device": "device"}.items():
        path = tmp_path / f"{name}.jpg"
        if through_a_link:
            (tmp_path / f"link_{name}.jpg").symlink_to(path)
            path = tmp_path / f"link_{name}.jpg"
        with pytest.raises(UnreadableFile, match=f"^not a regular file: a .*{reason}"):
            read_regular(path)
    assert time.monotonic() - start < 5


def test_what_is_not_there_says_why(tmp_path: Path) -> None:
    (tmp_path / "nowhere.jpg").symlink_to("gone.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    for name, reason in {
        "gone.jpg": "no such file",
        "nowhere.jpg": "leads nowhere",
        "loop.jpg": "back to itself",
        "n" * 300 + ".jpg": "File name too long",
        "nul\0.jpg": "null",
    }.items():
        with pytest.raises(UnreadableFile, match=reason):
            read_regular(tmp_path / name)


def test_size_is_bounded_before_and_while_reading(tmp_path: Path) -> None:
    with (tmp_path / "sparse.jpg").open("wb") as file:
        file.truncate(3 * 2**30)
    with pytest.raises(UnreadableFile, match=r"too large: 3,221,225,472 bytes, more than 1,073,741,824"):
        read_regular(tmp_path / "sparse.jpg")
    with pytest.raises(UnreadableFile, match="it grew"):  # it says 0 bytes
        read_regular("/proc/cpuinfo", limit=16)


def test_sigterm_ends_a_pool_that_reads_odd_files_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    script = """
import signal, sys, time
from concurrent.futures import ThreadPoolExecutor
from derm_ml.data.files import UnreadableFile, read_regular
def stop(*_): raise KeyboardInterrupt
signal.signal(signal.SIGTERM, stop)
def one(path):
    try:
        read_regular(path)
    except UnreadableFile:
        time.sleep(0.001)
with ThreadPoolExecutor(4) as pool:
    print("ready", flush=True)
    while True:
        list(pool.map(one, [sys.argv[1]] * 64))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "fifo.jpg")], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=20)[1]
    assert b"KeyboardInterrupt" in said
    assert time.monotonic() - start < 5
