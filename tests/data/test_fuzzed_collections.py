"""Any bytes as a table, any cells, any tree of folders: a source or one line for people, never anything else."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from fuzzing import tried
from hypothesis import example, given
from hypothesis import strategies as st
from miniatures import write_image

from derm_ml.data.collections.tables import UnreadableTable, read_table
from derm_ml.data.source import Source
from derm_ml.data.sources import open_source
from derm_ml.errors import UserError

QUICK, LONG = tried(40), tried(1000)

TOKENS = [
    b",", b";", b"\t", b"|", b'"', b"'", b"\n", b"\r", b"\r\n", b"\0", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b" ",
    b"sep=;\n", b"image", b"label", b"split", b"train", b"patient_id", b"a.jpg", b"nv", b"mel", b"1", b"0.5", b"\xe9",
    b"\x1a", b"#", b"\\", b"../..", b"nan", b"{'x': 1}", b"\xf0\x9f\x98\x80",
]  # fmt: skip
BYTES = st.lists(st.sampled_from(TOKENS) | st.binary(max_size=8), max_size=60).map(b"".join)
NAMES = [
    "a.jpg",
    "a",
    "b.jpg",
    "B.JPG",
    "sub/c.jpg",
    "./a.jpg",
    "/dev/zero",
    "../../x",
    "x" * 5000,
    ".",
    "..",
    "/",
    "~",
]
CELLS = st.sampled_from(
    [*NAMES, "", "nv", "mel", "train", "val", "0", "1", "1.0", "-1", "nan", "unknown", "{'nv': 1}", "{", "[]", "\u0301"]
) | st.text(max_size=6)
HEADERS = st.sampled_from(
    ["image", "image_id", "isic_id", "path", "label", "dx", "target", "diagnosis_1", "diagnosis_2", "MEL", "NV",
     "split", "patient_id", "lesion_id", "group", "age", "sex", "site", "mask", "index", "", "Unnamed: 0", " file",
     "label.1", "label again"]
) | st.text(max_size=5)  # fmt: skip
PARTS = st.sampled_from(
    ["nv", "mel", "train", "test", "images", "1", "2", "patient_1", "IMG", "...", "-", " ", "new\nline", "a,b",
     "cafe\u0301", "caf\u00e9", os.fsdecode(b"\xff\xfe"), "%s", "{}", "\u202e", "mask", "x" * 200, "a.jpg"]
) | st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=5)  # fmt: skip


def source_or_line(data: Path) -> None:
    for labelled in (True, False):
        try:
            found = open_source(str(data), labelled=labelled)
        except UserError:
            continue
        else:
            assert isinstance(found, Source)
            assert found.records["image_id"].is_unique
            assert all(name.isprintable() for name in found.records["image_id"])


def check_bytes(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("a.jpg", "b.jpg", "sub/c.jpg"):
            write_image(root / name)
        (root / "t.csv").write_bytes(content)
        try:
            frame = read_table(root / "t.csv", "t.csv").frame
            assert frame.columns.is_unique
            assert all(isinstance(cell, str) for cell in frame.to_numpy().ravel().tolist())
        except UnreadableTable as error:
            said = str(error)
        else:
            said = "read"
        assert len(said.splitlines()) == 1
        source_or_line(root)
        source_or_line(root / "t.csv")


def as_table(rows: list[list[str]], separator: str, encoding: str) -> bytes:
    lines = (separator.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows)
    return "\n".join(lines).encode(encoding, "replace")


TABLES = st.integers(1, 6).flatmap(
    lambda width: st.builds(
        lambda header, rows, separator, encoding: as_table([header, *rows], separator, encoding),
        st.lists(HEADERS, min_size=width, max_size=width),
        st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=8),
        st.sampled_from([",", ";", "\t", "|"]),
        st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"]),
    )
)
TREES = st.lists(st.lists(PARTS, min_size=1, max_size=4), min_size=1, max_size=10)


def check_tree(tree: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, parts in enumerate(tree):
            path = Path(folder).joinpath(*(part for part in parts if part not in (".", "..")))
            try:
                write_image(path.with_name(path.name + (".jpg", ".PNG", "", ".csv")[number % 4]))
            except (OSError, ValueError):
                continue  # a file where a folder is meant
        source_or_line(Path(folder))


@QUICK
@given(BYTES)
@example(b"sep=;\n\n")  # Excel's line, and nothing below it
@example(b"image\n;")  # a cell that lists nothing
@example(b"\xff\xfe\xff\xfe")  # the mark of UTF-16, twice
def test_any_bytes_as_a_table(content: bytes) -> None:
    check_bytes(content)


@QUICK
@given(TABLES)
def test_any_cells_and_headers(content: bytes) -> None:
    check_bytes(content)


@QUICK
@given(TREES)
def test_any_tree_of_folders(tree: list[list[str]]) -> None:
    check_tree(tree)


@pytest.mark.slow
@LONG
@given(BYTES | TABLES)
def test_many_tables(content: bytes) -> None:
    check_bytes(content)


@pytest.mark.slow
@LONG
@given(TREES)
def test_many_trees(tree: list[list[str]]) -> None:
    check_tree(tree)
