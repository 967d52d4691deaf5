"""Tables by the number of a patient: images carry it in a folder's name, or at the beginning of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from miniatures import CLASSES, Miniature, Shot, faults

from derm_ml.data.source import Reading
from derm_ml.data.sources import open_source
from derm_ml.errors import UserError


def by_patient(root: Path, written: str, image: str, column: str = "patient_no") -> Miniature:
    """Three photographs of each of twelve patients, a row a patient."""
    made, rows = Miniature(root), []
    for patient in range(1, 13):
        label = CLASSES[patient % 3]
        rows.append({column: written.format(patient), "diagnosis": label, "age": 40 + patient})
        for n in range(3):
            made.image(image.format(patient, n), Shot(label, str(patient), known={"age": 40.0 + patient}))
    made.table("patients.csv", list(rows[0]), rows)
    return made


@pytest.mark.parametrize(
    ("written", "image"),
    [
        ("{}", "{}/IMG_{}.jpg"), ("{}", "{:03d}/IMG_{}.jpg"), ("{:03d}", "{}/IMG_{}.jpg"), ("{}", "{:03d}/{}.jpg"),
        ("{}.0", "{:03d}/{}.jpg"), ("{}", "patient_{:03d}/IMG_{}.jpg"), ("P{}", "P{:03d}/{}.jpg"),
        ("{}", "images/{:03d}/visit 1/{}.jpg"), ("{}", "photos/{:03d}_{}.jpg"), ("{}", "photos/{}-{}.jpg"),
        ("P{:03d}", "photos/P{:03d}-{}.jpg"), ("{}", "pat{:03d}_img{}.jpg"), ("A-{}", "A-{} ({}).jpg"),
    ],
)  # fmt: skip
def test_images_that_carry_a_patients_number_get_the_patients_row(written: str, image: str, tmp_path: Path) -> None:
    made = by_patient(tmp_path, written, image)
    source = open_source(made.spec)
    assert faults(source, made) == []
    assert dict(source.choices)["group"] == "column patient_no (patient)"


def test_the_key_is_the_group_whatever_it_is_called(tmp_path: Path) -> None:
    made = by_patient(tmp_path, "{}", "{:04d}_{}.jpg", column="study_nr")
    source = open_source(made.spec)
    assert faults(source, made) == []
    assert "beginning of the image's name, numbers without leading zeros" in dict(source.choices)["images"]
    assert "study_nr" in dict(source.choices)["group"]


@pytest.mark.parametrize(("written", "file"), [("{}", "{:03d}"), ("{:03d}", "{}"), ("IMG_{}", "IMG_{:04d}")])
def test_a_number_a_photograph_needs_no_leading_zeros(written: str, file: str, tmp_path: Path) -> None:
    made, rows = Miniature(tmp_path), []
    for n in range(1, 31):
        rows.append({"nr": written.format(n), "diagnosis": CLASSES[n % 3]})
        made.image(f"photos/{file.format(n)}.jpg", Shot(CLASSES[n % 3]))
    made.table("table.csv", "nr,diagnosis", rows)
    assert faults(open_source(made.spec), made) == []


@pytest.mark.parametrize("image", ["{:03d}/{:02d}/IMG_{}.jpg", "photos/{:03d}_{:02d}_{}.jpg"])
def test_two_columns_are_the_key_of_a_lesion_of_a_patient(image: str, tmp_path: Path) -> None:
    made, rows = Miniature(tmp_path), []
    for patient in range(1, 13):
        for lesion in (1, 2):
            label = CLASSES[(patient + lesion) % 3]
            rows.append({"patient": patient, "lesion": lesion, "diagnosis": label})
            for n in range(2):
                made.image(image.format(patient, lesion, n), Shot(label, str(patient)))
    made.table("lesions.csv", "patient,lesion,diagnosis", rows)
    assert faults(open_source(made.spec), made) == []


def test_a_patients_rows_of_other_labels_are_no_ones(tmp_path: Path) -> None:
    made = by_patient(tmp_path, "{}", "{:03d}/{}.jpg")
    lines = (tmp_path / "patients.csv").read_text().splitlines()
    (tmp_path / "patients.csv").write_text("\n".join([*lines, "4,another,44", "5,bcc,45"]))
    refused = {name: reason for name, reason in open_source(made.spec).refused if name.endswith(".jpg")}
    assert set(refused) == {"004/0.jpg", "004/1.jpg", "004/2.jpg"}
    assert "rows of one patient_no have different labels" in refused["004/0.jpg"]


def test_7_and_007_are_two_where_both_are_there(tmp_path: Path) -> None:
    made = by_patient(tmp_path, "{}", "{:03d}/{}.jpg")
    made.image("7/0.jpg")
    made.image("07/0.jpg")
    with pytest.raises(UserError, match="hardly meet: 1 of 38 images have a row"):
        open_source(made.spec)


def test_photograph_7_need_not_be_of_patient_7(tmp_path: Path) -> None:
    """Running numbers of photographs in class folders, and a table of as many patients."""
    made, rows = Miniature(tmp_path), []
    for n in range(24):
        made.image(f"{CLASSES[n % 3]}/{n:03d}.jpg", Shot(CLASSES[n % 3]))
        rows.append({"patient_no": n, "age": 40 + n})
    made.table("patients.csv", "patient_no,age", rows)
    source = open_source(made.spec)
    assert faults(source, made) == []
    assert source.clinical is None
    named = open_source(made.spec, Reading(image="patient_no"))
    assert faults(named, made) == []
    assert named.clinical is not None


def test_two_columns_of_running_numbers_are_told_apart_by_the_user(tmp_path: Path) -> None:
    made, rows = Miniature(tmp_path), []
    for n in range(1, 13):
        rows.append({"case_no": 13 - n, "patient_no": n, "diagnosis": CLASSES[n % 3]})
        for k in range(3):
            made.image(f"{n:03d}/{k}.jpg", Shot(CLASSES[n % 3], str(n)))
    made.table("table.csv", "case_no,patient_no,diagnosis", rows)
    with pytest.raises(
        UserError, match="its columns case_no or patient_no: say which, with --image case_no or --image"
    ):
        open_source(made.spec)
    assert faults(open_source(made.spec, Reading(image="patient_no")), made) == []


def test_photographs_that_a_table_of_photographs_lacks_get_no_row_of_their_patient(tmp_path: Path) -> None:
    made, rows = Miniature(tmp_path), []
    for n in range(60):
        name = f"patient_{n // 5:02d}/IMG_{n:03d}.jpg"
        if n % 5 < 2:
            rows.append({"image": Path(name).name, "patient": f"p{n // 5:02d}", "diagnosis": CLASSES[n % 3]})
        made.image(name, Shot(CLASSES[n % 3], f"{n // 5}") if n % 5 < 2 else None)
    made.table("table.csv", "image,patient,diagnosis", rows)
    assert faults(open_source(made.spec), made) == []


def test_a_list_of_the_classes_groups_nothing(tmp_path: Path) -> None:
    made = Miniature(tmp_path)
    for n in range(24):
        made.image(f"{CLASSES[n % 3]}/{n:03d}.jpg", Shot(CLASSES[n % 3]))
    made.table("classes.csv", "class,icd,photographs", [{"class": c, "icd": "D22", "photographs": 8} for c in CLASSES])
    assert faults(open_source(made.spec), made) == []
