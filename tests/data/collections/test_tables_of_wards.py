"""Tables as wards, study databases and readers write them: never the wrong column for the diagnosis."""

from __future__ import annotations

from pathlib import Path

import pytest
from miniatures import CLASSES, Miniature, Shot, csv, faults, plain

from derm_ml.data.sources import open_source
from derm_ml.errors import UserError


@pytest.mark.parametrize(
    ("yes", "no"), [("yes", "no"), ("Ja", "Nein"), ("x", ""), ("Y", "N"), ("TRUE", "FALSE"), (1, 0)]
)
@pytest.mark.parametrize("more", [False, True], ids=["alone", "beside attributes"])
def test_one_column_a_class_may_say_yes_and_no(yes: object, no: object, more: bool, tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    for n, row in enumerate(rows):
        label = row.pop("diagnosis")
        row |= {each: yes if each == label else no for each in CLASSES}
        row |= {"ulcerated": (yes, no)[n % 2], "bleeding": (yes, no)[n % 3 == 0]} if more else {}
    made.table("table.csv", list(rows[0]), rows)
    made.said = [("label", "the column that is 1 of nevus, melanoma, bcc")]
    assert faults(open_source(made.spec), made) == []


@pytest.mark.parametrize("between", ["|", " ; ", ", ", " + ", "/"])
def test_several_diagnoses_in_a_cell_are_no_class(between: str, tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    rows[3]["diagnosis"] = f"nevus{between}bcc"
    rows[4]["diagnosis"] = f"bcc{between}bcc"
    made.table("table.csv", list(rows[0]), rows)
    lost = f"photos/{rows[3]['image']}"
    del made.shots[lost]
    source = open_source(made.spec)
    assert faults(source, made) == []
    assert dict(source.refused)[lost].startswith("several diagnoses at once: nevus")


def test_sexes_are_no_diagnoses(tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    written = [row | {"male": n % 2, "female": 1 - n % 2} for n, row in enumerate(rows)]
    made.table("table.csv", "image,patient,male,female", written)
    with pytest.raises(UserError, match="no column is called a label or a diagnosis, and these may be one: male"):
        open_source(made.spec)


def test_a_study_databases_columns_are_no_diagnoses(tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    written = [
        {"record_id": row["patient"], "redcap_repeat_instance": n % 2 + 1, "photo": row["image"],
         "dx_final": row["diagnosis"], "photo_complete": 2}
        for n, row in enumerate(rows)
    ]  # fmt: skip
    made.table("DATA_2024-05-01.csv", list(written[0]), written)
    assert faults(open_source(made.spec), made) == []


def test_a_title_in_cells_is_no_header(tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    made.text("list.csv", "Patients of 2024;;\n;;\n" + csv(rows, ";") + ";;\n")
    assert faults(open_source(made.spec), made) == []


@pytest.mark.parametrize("between", ["; ", ",", " | "])
def test_several_images_in_a_cell_are_an_image_each(between: str, tmp_path: Path) -> None:
    made, rows = Miniature(tmp_path), []
    for n in range(12):
        files = [f"{n * 31 + k:x}z.jpg" for k in range(3)]
        for file in files:
            made.image(f"photos/{file}", Shot(CLASSES[n % 3], f"p{n}"))
        rows.append({"patient": f"p{n}", "diagnosis": CLASSES[n % 3], "images": between.join(files)})
    made.table("table.csv", list(rows[0]), rows)
    assert faults(open_source(made.spec), made) == []


def test_an_address_names_the_image_that_was_downloaded_from_it(tmp_path: Path) -> None:
    """And the number of a patient is not that of an image."""
    made, rows = plain(tmp_path)
    written = [
        {"url": f"https://a.org/x/{r['image']}", "diagnosis": r["diagnosis"], "patient": r["patient"]} for r in rows
    ]
    made.table("table.csv", list(written[0]), written)
    assert faults(open_source(made.spec), made) == []
    made.table("table.csv", "diagnosis,patient", written)
    with pytest.raises(UserError, match="names none of the images"):
        open_source(made.spec)


@pytest.mark.parametrize(
    "name", ["{label}_{n:03d}.jpg", "{n:03d}_{label}.jpg", "patient{n}_{label}_1.jpg", "IMG-{label}{n}.JPG"]
)
def test_diagnoses_in_the_names_of_images_are_labels(name: str, tmp_path: Path) -> None:
    made = Miniature(tmp_path, said=[("label", "the words in the images' names")])
    for n in range(24):
        label = ("nevus", "melanoma", "basal cell carcinoma")[n % 3]
        made.image("all/" + name.format(label=label.replace(" ", "_"), n=n), Shot(label))
    assert faults(open_source(made.spec), made) == []


@pytest.mark.parametrize(
    "name", ["ISIC_{n:07d}.jpg", "{word}_{n:03d}.jpg", "{n:03d}_melanoma.jpg", "nevus_{word}{n}.jpg"]
)
def test_other_words_in_the_names_of_images_are_none(name: str, tmp_path: Path) -> None:
    made = Miniature(tmp_path)
    for n in range(24):
        made.image("all/" + name.format(word=("anna", "berta", "clara")[n % 3], n=n), Shot())
    assert faults(open_source(made.spec), made) == []
