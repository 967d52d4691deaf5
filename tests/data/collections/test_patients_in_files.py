"""Patients that DICOM files name, where no table or folder does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from file_makers import dicom
from miniatures import CLASSES, Miniature, Shot, faults

from derm_ml.data.source import Reading
from derm_ml.data.sources import open_source

pytest.importorskip("pydicom")


def photographs(root: Path, patient: str, suffix: str = ".dcm") -> Miniature:
    """Two DICOM files of each of twelve patients, in class folders."""
    made = Miniature(root)
    for n in range(24):
        name, pixels = f"{CLASSES[n // 2 % 3]}/{n:03d}{suffix}", np.full((32, 40, 3), n, np.uint8)
        named = {"PatientID": patient.format(n // 2)} if patient else {}
        made.text(name, dicom(pixels, "RGB", **named))
        made.shots[name] = Shot(CLASSES[n // 2 % 3], str(n // 2) if "{" in patient else "")
    return made


@pytest.mark.parametrize("suffix", [".dcm", ""])
def test_the_patient_of_dicom_files_is_the_group(suffix: str, tmp_path: Path) -> None:
    made = photographs(tmp_path, "P-{}", suffix)
    made.said = [("group", "PatientID of the DICOM files (12 patients, of 24 images)")]
    assert faults(open_source(made.spec), made) == []
    assert set(open_source(made.spec, Reading(group="none")).records["group"]) == {""}


@pytest.mark.parametrize("patient", ["", " ", "unknown", "ANON"])
def test_a_patient_that_is_nobody_groups_nothing(patient: str, tmp_path: Path) -> None:
    made = photographs(tmp_path, patient)
    assert faults(open_source(made.spec), made) == []


def test_a_tables_patient_goes_before_the_files(tmp_path: Path) -> None:
    made = photographs(tmp_path, "P-{}")
    rows = [{"image": Path(name).stem, "patient": n // 4} for n, name in enumerate(made.shots)]
    made.table("table.csv", "image,patient", rows)
    assert dict(open_source(made.spec).choices)["group"] == "column patient"


def test_a_damaged_header_is_nobodys(tmp_path: Path) -> None:
    made = photographs(tmp_path, "P-{}")
    whole = (tmp_path / "nevus" / "000.dcm").read_bytes()
    for n, content in enumerate((whole[:140], whole[:200], whole[:132] + b"\xff" * 80, b"", b"\0" * 500)):
        made.text(f"nevus/odd_{n}.dcm", content)
        made.shots[f"nevus/odd_{n}.dcm"] = Shot("nevus")
    assert faults(open_source(made.spec), made) == []
