"""Tables that are none, or are odd, beside class folders and given by themselves: read right, or one line; bounded."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from published import class_folders

from derm_ml.cli import main

SEVERAL = b"image,label\na.jpg,nv\nb.jpg,mel\n"
MEMORY = 3 * 2**30  # bytes of address space, most of it libraries

CONTENTS: dict[str, tuple[bytes | Callable[[], bytes], str]] = {
    "empty": (b"", "empty"),
    "only_newlines": (lambda: b"\n" * 5_000_000, "empty"),
    "latin_1": ("image;label\nname;caf\xe9\n".encode("latin-1"), ""),
    "utf_16": ("image,label\nname,caf\xe9\n".encode("utf-16"), ""),
    "utf_16_cut": (b"\xff\xfea", "damaged utf-16 text"),
    "mark_alone": (b"\xff\xfe", "empty"),
    "binary": (lambda: bytes(range(256)) * 20, "binary"),
    "header_alone": (b"image,label\n", ""),
    "one_huge_line": (lambda: b"x" * 50_000_000, "first line is longer"),
    "one_huge_cell": (lambda: b"image,label\n" + b"x" * 50_000_000 + b",nv\n", ""),
    "only_commas": (lambda: b"," * 30_000_000, "first line is longer"),
    "only_quotes": (lambda: b'"' * 10_000_001, "first line is longer"),
    "many_quotes": (lambda: b'"' * 600_001 + b"\n1\n", "not a table"),
    "ten_thousand_columns": (
        lambda: ",".join(f"c{n}x" for n in range(10_000)).encode() + b"\n" + b",".join([b"1"] * 10_000) + b"\n",
        "10,000 columns",
    ),
    "too_many_columns": (lambda: b"," * 500_000 + b"\n" + b"," * 500_000 + b"\n", "500,001 columns"),
    "unbalanced_quote": (b'image,label\n"a.jpg,nv\nb.jpg,mel\n', "EOF inside string"),
    "unbalanced_quote_in_the_header": (b'"image,label\na.jpg,nv\n', "EOF inside string"),
    "nul": (b"image,label\na\0.jpg,nv\nb.jpg,mel\n", "binary"),
    "carriage_returns": (SEVERAL.replace(b"\n", b"\r"), ""),
    "odd_separator": (b"sep=\1\nimage\1label\n", ""),
    "quote_for_separator": (b'sep="\nimage"label\na"b\n', ""),
}  # fmt: skip


def sparse(size: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(size)

    return make


PLACES: dict[str, tuple[Callable[[Path], None], str]] = {
    "fifo": (os.mkfifo, "a FIFO, not a regular file"),
    "endless": (lambda path: path.symlink_to("/dev/zero"), "a device, not a regular file"),
    "folder": (Path.mkdir, "an empty folder, not a file"),
    "loop": (lambda path: path.symlink_to(path.name), "a link to nothing"),
    "sparse_5_gb": (sparse(5 * 2**30), "too large: 5,368,709,120 bytes"),
    "sparse_1_gb": (sparse(2**30), "binary"),
}
KINDS = [*CONTENTS, *PLACES]
LARGE = {"endless", "sparse_1_gb", "sparse_5_gb", "one_huge_cell", "only_quotes"}  # in a process of bounded memory


def plant(kind: str, path: Path) -> str:
    """Put it there; the reason it is refused for, "" where it is a table."""
    if kind in PLACES:
        PLACES[kind][0](path)
        return PLACES[kind][1]
    content, reason = CONTENTS[kind]
    path.write_bytes(content if isinstance(content, bytes) else content())
    return reason


def check(kind: str, data: Path, capfd: pytest.CaptureFixture[str]) -> tuple[int, str, list[str]]:
    """Exit code, output and lines of errors of the command, in bounded time and, of large files, memory."""
    if kind not in LARGE:
        capfd.readouterr()
        start = time.monotonic()
        code = main(["data", "check", str(data)])
        assert time.monotonic() - start < 30
        said = capfd.readouterr()
        return code, said.out, said.err.splitlines()
    done = subprocess.run(
        [sys.executable, "-m", "derm_ml", "data", "check", str(data)],
        capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr.splitlines()


@pytest.mark.parametrize("kind", KINDS)
def test_beside_class_folders_it_costs_nothing(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = class_folders(tmp_path / "collection")
    reason = plant(kind, made.root / "labels.csv")
    (made.root / "._labels.csv").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    code, said, errors = check(kind, made.root, capfd)
    assert (code, errors) == (0, [])
    assert f"{len(made.shots)} images" in said
    assert "._labels" not in said
    told = [line for line in said.splitlines() if "labels.csv" in line]
    assert len(told) == 1
    assert (reason or "tables left alone") in told[0]


@pytest.mark.parametrize("kind", KINDS)
def test_given_by_itself_it_is_one_line(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made = class_folders(tmp_path / "collection")
    path = made.root / "labels.csv"
    reason = plant(kind, path)
    code, said, errors = check(kind, path, capfd)
    assert (code, said, len(errors)) == (2, "", 1)
    assert errors[0].startswith(f"derm-ml: data={path}: ")
    if kind in CONTENTS:
        assert (reason or "names none of the images") in errors[0]
