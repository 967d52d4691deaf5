"""The command line at its edges: a disk that does not answer, caches that cannot be written, odd terminals, pipes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from miniatures import write_image
from published import class_folders

COMMAND = [sys.executable, "-m", "derm_ml", "data", "check"]


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *words], env=os.environ | environment, capture_output=True, timeout=120, check=False
    )


def one_line(done: subprocess.CompletedProcess[bytes], *words: str) -> None:
    lines = done.stderr.decode().splitlines()
    assert (done.returncode, len(lines)) == (2, 1), done.stderr
    assert all(word in lines[0] for word in words), lines[0]


def test_sigterm_ends_a_check_whose_disk_does_not_answer(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import os, sys, time
        from derm_ml.data.collections import pictures
        def read_regular(path):
            print("reading", flush=True)
            os.read(os.pipe()[0], 1)  # nobody writes
        pictures.read_regular = read_regular
        from derm_ml.cli import main
        sys.argv[1:] = ["data", "check", sys.argv[1]]
        sys.exit(main())
        """
    )
    made = class_folders(tmp_path / "collection")
    cache = tmp_path / "cache"
    command = [sys.executable, "-c", program, str(made.root)]
    environment = os.environ | {"DERM_ML_CACHE": str(cache)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline()
            start = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 130
            assert time.monotonic() - start < 10
            assert process.stderr.read() == b"derm-ml: interrupted\n"
        finally:
            process.kill()
    assert [path.name for path in cache.glob("images/*") if not path.name.startswith(".lock")] == []


@pytest.mark.parametrize("place", ["file", "below_a_file", "proc"])
def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path, place: str) -> None:
    file = tmp_path / "file"
    file.write_text("here first")
    cache = {"file": file, "below_a_file": file / "cache", "proc": Path("/proc/derm_ml")}[place]
    one_line(run("synthetic:n=40,size=32", DERM_ML_CACHE=str(cache)), str(cache), "cannot be written", "DERM_ML_CACHE")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_cache_in_a_folder_that_is_read_only_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    one_line(run("synthetic:n=40,size=32", DERM_ML_CACHE=str(tmp_path / "c")), "cannot be written", "DERM_ML_CACHE")


@pytest.mark.parametrize(
    "words",
    [
        ("--label", "nosuch"),
        ("--group", "nosuch"),
        ("--image", "nosuch"),
        ("--split", "nosuch"),
        ("--classes", "nosuch"),
    ],
    ids=lambda words: words[0],
)
def test_what_is_not_there_is_one_line_that_names_it(tmp_path: Path, words: tuple[str, str]) -> None:
    made = class_folders(tmp_path / "collection")
    one_line(run(str(made.root), *words), f"{words[0].lstrip('-')}=nosuch")


@pytest.mark.parametrize("name", ["fifo.npz", "fifo.tar", "fifo.parquet", "fifo.h5", "fifo.csv", "fifo"])
def test_a_fifo_given_as_data_is_never_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    one_line(run(str(tmp_path / name)), name)


@pytest.mark.parametrize("environment", [{"LANG": "C", "LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}], ids=str)
def test_any_name_prints_on_any_terminal(tmp_path: Path, environment: dict[str, str]) -> None:
    root = tmp_path / "collection"
    made = class_folders(root)
    (root / "nevus").rename(root / "n\u00e6vus \u75c5")
    for name in (os.fsdecode(b"caf\xe9.jpg"), "new\nline.jpg", "\u75c5\u5909.jpg"):
        write_image(root / "n\u00e6vus \u75c5" / name, seed=1)
        (root / f"beside {name}.txt").write_text("no image")
    done = run(str(root), **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert f"{len(made.shots) + 1} images".encode() in done.stdout
    assert b"caf\\xe9.jpg" in done.stdout


def test_output_that_nobody_reads_to_the_end_is_no_fault(tmp_path: Path) -> None:
    made = class_folders(tmp_path / "collection")
    with subprocess.Popen(
        [*COMMAND, str(made.root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0
