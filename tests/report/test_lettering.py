"""Class names as people write them, in every part of the report; the warnings of matplotlib are errors here."""

import csv
from dataclasses import replace

import pandas as pd
import pytest
from simulated import simulate

from derm_ml.pipelines.cells import Cells
from derm_ml.report import texts
from derm_ml.report.html import save_figures, write_report
from derm_ml.report.lettering import UNKNOWN, drawing, labels
from derm_ml.report.markdown import markdown

ODD = (
    "melanoma (in situ)", "naevus, blue & other", "lentigo/ephelis", "<script>alert(1)</script>", "50 % #1_{x}^2~",
    "$\\alpha$ and $", "two\nlines", "..", "_other", "黑色素瘤", "سرطان الجلد", "wart \U0001f9a0", "névus", "Nevus",
    "nevus", "a|b", "long " * 60, "nobreak" * 43, "loss", "macro", "all", "0",
)  # fmt: skip
ARMS = {"vae": (0.8, 0.02), "imagenet": (2.5, 0.3), "majority": (0.0, 0.0)}


@pytest.fixture(scope="module")
def comparison():
    return simulate(ARMS, splits=1, seeds=1, images=220, classes=ODD)


def test_the_report_holds_every_name(comparison, tmp_path):
    path, *_ = write_report(comparison, tmp_path)
    page = path.read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    for name in ("melanoma (in situ)", "黑色素瘤", "سرطان الجلد", "long " * 60, "$\\alpha$ and $"):
        assert name in page
    recall = pd.read_csv(tmp_path / "recall.csv", dtype=str, keep_default_na=False)
    assert tuple(recall["class"]) == ODD
    said = pd.read_csv(tmp_path / "predictions.csv.gz", dtype=str, keep_default_na=False)
    assert set(said["label"]) == set(ODD)
    assert [f"p({name})" for name in ODD] == list(said.columns[-len(ODD) :])
    with (tmp_path / "runs.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == 1 + len(comparison.runs)
    methods = (tmp_path / "methods.txt").read_text()
    assert "; naevus, blue & other; lentigo/ephelis; " in methods
    assert len(methods.splitlines()) == 1


def test_labels_of_figures_say_when_they_are_not_the_name():
    shown = dict(zip(ODD, labels(ODD), strict=True))
    assert shown["melanoma (in situ)"] == "melanoma (in situ)"
    assert shown["névus"] == "névus"
    assert shown["two\nlines"] == "two lines"
    assert shown["wart \U0001f9a0"].startswith(f"{1 + ODD.index('wart ' + chr(0x1F9A0))}: wart ")
    assert shown["long " * 60].endswith("\u2026")
    assert all(len(line) <= 30 for label in shown.values() for line in label.splitlines())
    assert len(set(shown.values())) == len(ODD)
    assert labels(["\ue000"]) == [f"1: {UNKNOWN}"], "a code point that no font has"


def test_a_dollar_is_a_dollar(tmp_path):
    from matplotlib import pyplot

    def draw():
        figure, axis = pyplot.subplots()
        axis.set_title("$\\nosuchcommand$")
        return figure

    assert save_figures({"money": draw}, tmp_path)["money"].stat().st_size > 1000
    with drawing():
        assert pyplot.rcParams["font.family"][0] == "DejaVu Sans"


def test_finished_runs_keep_their_metrics_names(comparison, tmp_path):
    cells = Cells(tmp_path, {}, resume=False)
    history = {f"val/recall/{name}": comparison.runs[0].history["val/loss"] + i for i, name in enumerate(ODD)}
    history |= {"val/recall/x.npy": history["val/recall/0"] + 9, "val/recall/x": history["val/recall/0"] + 8}
    cells.put("one", replace(comparison.runs[0], history=history))
    read = cells.get("one").history
    assert list(read) == list(history)
    assert all((read[name] == values).all() for name, values in history.items())


def test_a_cell_ends_no_table():
    table = markdown(pd.DataFrame({"arm": ["a|b", "two\nlines"], "x|y": [1, 2]}))
    assert table.splitlines() == ["| arm | x\\|y |", "| --- | --- |", "| a\\|b | 1 |", "| two lines | 2 |"]


def test_latex_takes_any_character():
    assert texts._escape("50 % \\ ~^ a_b {x} $&#") == (
        r"50 \% \textbackslash{} \textasciitilde{}\textasciicircum{} a\_b \{x\} \$\&\#"
    )
