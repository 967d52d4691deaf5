"""The diagnosis in tables of any shape: found, or asked for with the columns that may be it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from miniatures import CLASSES, Shot, csv, faults, plain

from derm_ml.data.source import Reading
from derm_ml.data.sources import open_source
from derm_ml.errors import UserError

# what the rows say beside image and patient: the columns, and the label that is right ("": it must be refused)
LABELLED: Mapping[str, tuple[Callable[[int], dict[str, object]], str, str]] = {
    "booleans": (lambda n: {name: name == CLASSES[n // 2 % 3] for name in CLASSES}, "", ""),
    "one column of yes and no": (lambda n: {"melanoma": ("yes", "no")[n // 2 % 2]}, "", "melanoma"),
    "shares": (lambda n: {name: (0.7, 0.2, 0.1)[(i + n // 2) % 3] for i, name in enumerate(CLASSES)}, "refused", ""),
    "a finer column": (
        lambda n: {"diagnosis": f"{CLASSES[n // 2 % 3]} {n // 6 % 2}", "label": CLASSES[n // 2 % 3]},
        "",
        "label",
    ),
    "two that differ": (lambda n: {"diagnosis": CLASSES[n // 2 % 3], "label": CLASSES[n // 2 % 2]}, "refused", "label"),
    "clinical and histology": (
        lambda n: {"clinical_diagnosis": CLASSES[n // 2 % 3], "histology": CLASSES[n // 4 % 3]},
        "refused",
        "histology",
    ),
    "an own word": (lambda n: {"befundung": CLASSES[n // 2 % 3], "size": 3 + n}, "refused", "befundung"),
    "two own words": (lambda n: {"befund_a": CLASSES[n // 2 % 3], "raum": ("x", "y")[n % 2]}, "refused", "befund_a"),
    "names and their numbers": (
        lambda n: {"diagnosis": CLASSES[n // 2 % 3], "diagnosis_code": n // 2 % 3},
        "",
        "diagnosis",
    ),
    "melanoma and a diagnosis": (
        lambda n: {"diagnosis": CLASSES[n // 2 % 3], "malignant": int(n // 2 % 3 > 0)},
        "",
        "diagnosis",
    ),
}


@pytest.mark.parametrize("how", LABELLED)
def test_the_label_is_found_or_asked_for(how: str, tmp_path: Path) -> None:
    cells, refused, column = LABELLED[how]
    made, rows = plain(tmp_path)
    rows = [{"image": row["image"], "patient": row["patient"], **cells(n)} for n, row in enumerate(rows)]
    made.text("labels.csv", csv(rows))
    for n, (name, shot) in enumerate(made.shots.items()):
        made.shots[name] = Shot(str(rows[n][column]) if column else shot.label, shot.group)
    if refused:
        with pytest.raises(UserError, match="label=") as raised:
            open_source(made.spec)
        assert "\n" not in str(raised.value)
        if not column:
            return
        assert all(name in str(raised.value) for name in cells(0) if name not in ("size",))
    source = open_source(made.spec, Reading(label=column if refused else ""))
    assert faults(source, made) == []


def test_rows_of_several_classes_are_refused_by_name(tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    wide = [
        {"image": r["image"], "patient": r["patient"], **{c: int(c == r["diagnosis"]) for c in CLASSES}}
        for r in rows * 3
    ]
    wide = wide[:24]
    wide[5].update(nevus=1, melanoma=1, bcc=1)
    made.text("labels.csv", csv(wide))
    try:
        source = open_source(made.spec)
    except UserError as error:
        assert "label=" in str(error)  # noqa: PT017
    else:
        assert dict(source.refused)["photos/img_005.jpg"].startswith("several classes")
        del made.shots["photos/img_005.jpg"]
        assert faults(source, made) == []


def test_a_list_without_a_header_is_asked_about(tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    made.text("labels.csv", csv(rows).partition("\n")[2])
    made.shots = {name: Shot(shot.label) for name, shot in made.shots.items()}
    with pytest.raises(UserError, match="column 2.*column 3.*label="):
        open_source(made.spec)
    assert faults(open_source(made.spec, Reading(label="column 2")), made) == []


@pytest.mark.parametrize("name", ["train.txt", "labels.csv"])
def test_a_list_with_blanks_between_is_never_read_without_labels(name: str, tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    made.text(name, "".join(f"photos/{row['image']} {n // 2 % 3}\n" for n, row in enumerate(rows)))
    with pytest.raises(UserError, match=name):
        open_source(made.spec)


def test_a_cell_too_many_is_refused_not_cut(tmp_path: Path) -> None:
    """A comma that nobody quoted moves all that follows: the patient would be `in situ`."""
    made, rows = plain(tmp_path)
    made.text("labels.csv", csv(rows).replace("img_002.jpg,melanoma", "img_002.jpg,melanoma, in situ"))
    with pytest.raises(UserError, match=r"labels.csv: row 4 has more cells"):
        open_source(made.spec)


def test_an_image_with_two_labels_is_refused_by_name(tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    made.text("labels.csv", csv([*rows, {**rows[3], "diagnosis": "other"}, rows[8]]))
    source = open_source(made.spec)
    assert "other labels" in dict(source.refused).pop("photos/img_003.jpg")
    del made.shots["photos/img_003.jpg"]
    assert faults(source, made) == []


@pytest.mark.parametrize("header", ["image", "file"])
def test_tables_that_disagree_are_not_read_as_if_they_agreed(header: str, tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    made.text("reader_a.csv", csv(rows))
    turned = [{header: r["image"], "diagnosis": rows[-1 - n]["diagnosis"]} for n, r in enumerate(rows)]
    made.text("reader_b.csv", csv(turned))
    try:
        source = open_source(made.spec)
    except UserError as error:
        assert "diagnosis" in str(error) or "other labels" in str(error)  # noqa: PT017
    else:
        agreed = [name for n, name in enumerate(made.shots) if rows[n]["diagnosis"] == turned[n]["diagnosis"]]
        assert sorted(source.records["image_id"]) == sorted(agreed)
