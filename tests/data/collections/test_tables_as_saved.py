"""Tables as programs and people save them: read right, or refused with the parameter that settles it."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from miniatures import Miniature, Rows, Shot, csv, faults, plain, write_image

from derm_ml.data.collections.tables import read_table
from derm_ml.data.source import Reading
from derm_ml.data.sources import open_source
from derm_ml.errors import UserError

SAVED: Mapping[str, Callable[[Rows], str | bytes]] = {
    "Excel's sep=; line": lambda rows: "sep=;\n" + csv(rows, ";"),
    "a mark and CRLF": lambda rows: b"\xef\xbb\xbf" + csv(rows, ";", "\r\n").encode(),
    "CR alone": lambda rows: csv(rows, ",", "\r"),
    "UTF-16 with tabs": lambda rows: csv(rows, "\t", "\r\n").encode("utf-16"),
    "UTF-16 without a mark": lambda rows: csv(rows, "\t").encode("utf-16-le"),
    "empty columns at the end": lambda rows: csv(rows, ";", "\r\n", ";;;"),
    "empty rows at the end": lambda rows: csv(rows) + ",,\n" * 20,
    "blank lines at the end": lambda rows: csv(rows) + "\n\n\n",
    "a row of totals": lambda rows: csv(rows) + "total,,24\n",
    "blanks after the commas": lambda rows: csv(rows, ", "),
    "blanks around names and values": lambda rows: csv(rows, " ; "),
    "all cells quoted": lambda rows: csv([{f'"{k}"': f'"{v}"' for k, v in row.items()} for row in rows]),
    "a remark of several lines": lambda rows: csv([{**row, "remark": '"a; b,\nc ""d"""'} for row in rows]),
    "commas in quoted remarks": lambda rows: csv([{**row, "remark": '"one, two, three; four"'} for row in rows], ";"),
    "pandas' index": lambda rows: csv([{"": n, **row} for n, row in enumerate(rows)]),
    "a bar": lambda rows: csv(rows, "|"),
}


@pytest.mark.parametrize("how", SAVED)
def test_a_table_is_read_as_it_was_saved(how: str, tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    made.text("labels.csv", SAVED[how](rows))
    assert faults(open_source(made.spec), made) == []


@pytest.mark.parametrize("delimiter", list(",;\t|"))
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_cells_are_the_same_whether_any_is_quoted_or_none(delimiter: str, ending: str, tmp_path: Path) -> None:
    """Tables without quotes are read by another reader, which is the faster one."""
    rows = [["image", "dx", "note"], ["a.jpg", "nv", "NA"], ["b.jpg", "", "\u00e9 1.0"], ["c.jpg", "mel ", "x y"]]
    for name, cells in (("plain", rows), ("short", [*rows, ["d.jpg"]]), ("blank", [*rows, ["e.jpg", " nv", ""]])):
        for quote in ("", '"'):
            lines = [delimiter.join(f"{quote}{cell}{quote}" for cell in row) for row in cells]
            (tmp_path / f"{name}{quote}.csv").write_bytes((ending.join(lines) + ending * 2).encode())
        frames = [read_table(tmp_path / f"{name}{quote}.csv", name).frame for quote in ("", '"')]
        if name == "blank":  # inside quotes a blank belongs to the cell
            frames = [frame.map(str.strip) for frame in frames]
        assert frames[0].to_csv() == frames[1].to_csv()


def test_a_blank_line_shifts_no_cell(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(b"image,dx\r\ra.jpg,nv\r\r,mel\r")
    assert read_table(tmp_path / "table.csv", "").frame.to_numpy().tolist() == [["a.jpg", "nv"], ["", "mel"]]


NAMED: Mapping[str, tuple[Callable[[int], str], Callable[[str], object]]] = {
    "by path": ("img_{:03d}.jpg".format, lambda file: f"photos/{file}"),
    "by a path of another machine": ("img_{:03d}.jpg".format, lambda file: f"/home/anna/study/photos/{file}"),
    "by a path of Windows": ("img_{:03d}.jpg".format, lambda file: f"C:\\data\\{file}"),
    "without suffix": ("img_{:03d}.png".format, lambda file: file[:-4]),
    "in capitals": ("img_{:03d}.JPG".format, lambda file: file.lower()),
    "by another suffix": ("img_{:03d}.png".format, lambda file: file.replace("png", "jpg")),
    "by whole numbers": ("{}.jpg".format, lambda file: file[:-4]),
    "with dots": ("img.{:03d}.v2.jpg".format, lambda file: file[:-4]),
    "in Greek": ("φωτογραφία {}.jpg".format, lambda file: file),
    "decomposed on disk": (
        lambda n: unicodedata.normalize("NFD", f"Läsion {n}.jpg"),
        lambda f: unicodedata.normalize("NFC", f),
    ),
    "with brackets and commas": ("img (1), {}.jpg".format, lambda file: f'"{file}"'),
}


@pytest.mark.parametrize("how", NAMED)
def test_images_are_found_however_they_are_named(how: str, tmp_path: Path) -> None:
    file, named = NAMED[how]
    made, rows = plain(tmp_path, file)
    made.text("labels.csv", csv([{**row, "image": named(str(row["image"]))} for row in rows]))
    assert faults(open_source(made.spec), made) == []


def test_ages_that_name_files_too_are_not_the_images(tmp_path: Path) -> None:
    made, rows = plain(tmp_path, "{}.jpg".format)
    made.text(
        "labels.csv",
        csv(
            [
                {"age": n // 2 + 1, "id": n, **{k: v for k, v in row.items() if k != "image"}}
                for n, row in enumerate(rows)
            ]
        ),
    )
    made.said = [("images", "column id")]
    assert faults(open_source(made.spec), made) == []


def test_zeros_that_excel_dropped_never_read_without_labels(tmp_path: Path) -> None:
    made, rows = plain(tmp_path, "{:06d}.jpg".format)
    made.text("labels.csv", csv([{**row, "image": n} for n, row in enumerate(rows)]))
    try:
        source = open_source(made.spec)
    except UserError as error:
        assert "labels.csv" in str(error)  # noqa: PT017
    else:
        assert faults(source, made) == []


@pytest.mark.parametrize("word", ["nan", "None", "NA", "unknown", "-", "", "  "])
def test_text_for_a_missing_group_is_no_group(word: str, tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    for n in range(0, 24, 2):
        rows[n]["patient"] = word
        name = f"photos/img_{n:03d}.jpg"
        made.shots[name] = Shot(made.shots[name].label, "")
    made.text("labels.csv", csv(rows))
    assert faults(open_source(made.spec), made) == []


def test_a_lesion_stands_in_for_a_missing_patient(tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    rows = [
        {**row, "lesion_id": n // 2, "patient": "" if n in (4, 10, 11) else row["patient"]}
        for n, row in enumerate(rows)
    ]
    made.text("labels.csv", csv(rows))
    assert faults(open_source(made.spec), made) == []


@pytest.mark.parametrize(
    "column", ["case", "Case ID", "case_number", "subject_id", "anon_patient_id", "MRN", "lesion ID"]
)
def test_columns_of_groups_by_other_names(column: str, tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    made.text(
        "labels.csv", csv([{"image": r["image"], "diagnosis": r["diagnosis"], column: r["patient"]} for r in rows])
    )
    made.said = [("group", column)]
    assert faults(open_source(made.spec), made) == []


def test_split_words_in_other_cases(tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    words = [("Train ", "train"), (" TEST", "test"), ("Validation", "val"), ("training", "train")]
    made.text("labels.csv", csv([{**row, "Split": words[n // 2 % 4][0]} for n, row in enumerate(rows)]))
    for n, (name, shot) in enumerate(made.shots.items()):
        made.shots[name] = Shot(shot.label, shot.group, words[n // 2 % 4][1])
    assert faults(open_source(made.spec), made) == []


def test_numbers_of_folds_are_no_split(tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    made.text("labels.csv", csv([{**row, "fold": n // 2 % 5} for n, row in enumerate(rows)]))
    assert faults(open_source(made.spec), made) == []


@pytest.mark.parametrize("where", ["below", "beside", "absolute"])
def test_a_table_by_itself_finds_its_images(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, rows = plain(tmp_path / "study", folder="")
    prefix = {"below": "study/", "beside": "../study/", "absolute": f"{made.root}/"}[where]
    rows = [{**row, "image": f"{prefix}{row['image']}"} for row in rows]
    other = Miniature({"below": tmp_path}.get(where, tmp_path / "tables"))
    other.opened = other.text("labels.csv", csv(rows))
    other.shots = {str(row["image"]): shot for row, shot in zip(rows, made.shots.values(), strict=True)}
    monkeypatch.setattr(os, "scandir", lambda path: pytest.fail(f"{path} was searched, and every path was told"))
    assert faults(open_source(other.spec), other) == []


def test_names_that_are_no_utf8_do_not_end_the_reading(tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    write_image(Path(os.fsdecode(os.fsencode(made.root / "photos") + b"/L\xe4sion.jpg")))
    made.text("labels.csv", csv([*rows, {"image": "Läsion.jpg", "diagnosis": "nevus", "patient": "p99"}]), "latin-1")
    source = open_source(made.spec)
    read = set(source.records["image_id"])
    assert set(made.shots) <= read
    assert all(name.isprintable() for name in read | {name for name, _ in source.refused})


@pytest.mark.parametrize("name", ["labels.xlsx", "labels.json"])
def test_a_table_of_a_kind_that_is_not_read_is_said(name: str, tmp_path: Path) -> None:
    made, _ = plain(tmp_path, folder="")
    made.text(name, b"PK\x03\x04" + bytes(99) if name.endswith("xlsx") else b'[{"image": "img_000.jpg"}]')
    with pytest.raises(UserError, match=name):
        open_source(made.spec)
    assert set(open_source(made.spec, Reading(label="none")).records["image_id"]) == set(made.shots)


@pytest.mark.parametrize("title", ["Export of 3 May 2024\n", "Clinic;Export;;\n;;;\n"])
def test_a_title_above_the_header_never_reads_without_labels(title: str, tmp_path: Path) -> None:
    made, rows = plain(tmp_path, folder="")
    made.text("labels.csv", title + csv(rows, ";"))
    try:
        source = open_source(made.spec)
    except UserError as error:
        assert "labels.csv" in str(error)  # noqa: PT017
    else:
        assert faults(source, made) == []
