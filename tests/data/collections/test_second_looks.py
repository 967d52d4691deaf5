"""Second opinions, legends, splits and patients under other names, and what is said of what was not read."""

from __future__ import annotations

from pathlib import Path

import pytest
from miniatures import CLASSES, Miniature, csv, plain

from derm_ml.data.sources import open_source
from derm_ml.errors import UserError


def test_a_second_opinion_that_differs_is_asked_about(tmp_path: Path) -> None:
    """`diagnosis` and `diagnosis_2` contradict each other."""
    made, rows = plain(tmp_path)
    made.text("labels.csv", csv([{**row, "diagnosis_2": CLASSES[n % 3]} for n, row in enumerate(rows)]))
    with pytest.raises(UserError, match="diagnosis_2"):
        open_source(made.spec)


def test_numbers_with_a_legend_beside_them_get_their_names(tmp_path: Path) -> None:
    """Classes are 0, 1 and 2, and classes.csv says what they are."""
    made, rows = plain(tmp_path)
    made.text("labels.csv", csv([{**row, "diagnosis": CLASSES.index(str(row["diagnosis"]))} for row in rows]))
    made.text("classes.csv", "id,name\n0,nevus\n1,melanoma\n2,bcc\n")
    assert set(open_source(made.spec).records["label"]) == set(CLASSES)


def test_a_folder_of_results_is_no_class(tmp_path: Path) -> None:
    """One picture in `results` beside classes of many is none of them."""
    made = Miniature(tmp_path)
    for n in range(24):
        made.image(f"{CLASSES[n % 3]}/{n}.jpg")
    made.image("results/plot.png")
    assert set(open_source(made.spec).records["label"]) <= {*CLASSES, ""}


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("Datensatz", ("Training", "Validierung", "Prüfung")),
        ("cohort", ("derivation", "validation", "holdout")),
        ("anything", ("train", "val", "test")),
    ],
)
def test_a_split_is_known_by_its_words(tmp_path: Path, column: str, words: tuple[str, str, str]) -> None:
    made, rows = plain(tmp_path)
    made.text("labels.csv", csv([{**row, column: words[n // 3 % 3]} for n, row in enumerate(rows)]))
    assert set(open_source(made.spec).records["split"]) == {"train", "val", "test"}


def test_a_column_that_may_be_a_split_is_named(tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    made.text("labels.csv", csv([{**row, "fold": n % 5} for n, row in enumerate(rows)]))
    source = open_source(made.spec)
    assert set(source.records["split"]) == {""}
    assert any("column fold" in warning and "may be a split" in warning for warning in source.warnings)


@pytest.mark.parametrize(
    "column", ["N° patient", "PatientName", "codice_paziente", "Proband", "患者番号", "Hospital No"]
)
def test_patients_are_known_in_other_words(tmp_path: Path, column: str) -> None:
    made, rows = plain(tmp_path)
    bare = [{name: value for name, value in row.items() if "patient" not in name} for row in rows]
    made.text("labels.csv", csv([{**row, column: f"Q{n // 2}"} for n, row in enumerate(bare)]))
    assert open_source(made.spec).records["group"].nunique() == len(rows) / 2


def test_what_was_not_read_is_named_and_what_may_be_the_patient_is_asked(tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    bare = [{name: value for name, value in row.items() if "patient" not in name} for row in rows]
    told = [
        {**row, "diagnosis": CLASSES[n // 2 % 3], "dossier": f"Q{n // 2}", "note": "x"} for n, row in enumerate(bare)
    ]
    made.text("labels.csv", csv(told))
    source = open_source(made.spec)
    assert dict(source.choices)["not read"] == "columns dossier, note"
    assert any("group=dossier" in warning for warning in source.warnings)


def test_few_second_photographs_are_read_too(tmp_path: Path) -> None:
    made = Miniature(tmp_path)
    rows = []
    for n in range(16):
        made.image(f"p{n}_1.jpg")
        second = n % 4 == 0
        if second:
            made.image(f"p{n}_2.jpg")
        rows.append({"patient_id": n, "dx": CLASSES[n % 3], "photo1": f"p{n}_1.jpg", "photo2": f"p{n}_2.jpg" * second})
    made.text("t.csv", csv(rows))
    assert len(open_source(made.spec).records) == 20


def test_two_columns_of_one_name_that_differ_are_refused(tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    lines = ["image,diagnosis,diagnosis"]
    lines += [f"{next(iter(row.values()))},{row['diagnosis']},{CLASSES[n % 2]}" for n, row in enumerate(rows)]
    made.text("labels.csv", "\n".join(lines))
    with pytest.raises(UserError, match="two columns are called diagnosis"):
        open_source(made.spec)


def test_other_encodings_than_latin_1_are_said(tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    told = csv([{**row, "diagnosis": ["меланома", "невус"][n % 2]} for n, row in enumerate(rows)])
    made.text("labels.csv", told.encode("cp1251"))
    assert any("not UTF-8" in warning for warning in open_source(made.spec).warnings)


def test_whole_numbers_are_one_class_however_they_are_written(tmp_path: Path) -> None:
    made, rows = plain(tmp_path)
    made.text("labels.csv", csv([{**row, "diagnosis": ["1", "1.0", "0"][n % 3]} for n, row in enumerate(rows)]))
    assert set(open_source(made.spec).records["label"]) == {"0", "1"}
