"""Second opinions, legends and folders of results."""

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
