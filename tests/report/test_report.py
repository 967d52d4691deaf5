"""The report's numbers, not only its existence."""

import csv
import gzip
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from simulated import IDENTICAL, TUNED, simulate

from derm_ml.report import tables, texts
from derm_ml.report.html import Extra, told, write_report
from derm_ml.results import External, Place
from derm_ml.verdict.answer import answer
from derm_ml.verdict.measures import AUROC, Measures

GOOD, BAD = (2.5, 0.3), (0.8, 0.02)
ARMS = {"vae": BAD, "imagenet": GOOD, "random": (0.9, 0.1), "pixels": (1.0, 0.03), "majority": (0.0, 0.0)}


@pytest.fixture(scope="module")
def whole():
    places = (IDENTICAL, Place("identical", "frozen", 0.1), TUNED, Place("tuned", "frozen", 0.1))
    made = simulate(ARMS, splits=2, seeds=2, images=90, places=places, classes=("a", "<script>", "c"))
    external = External(
        location="elsewhere", fingerprint="e" * 64, labels=made.splits[0].test_labels,
        groups=made.splits[0].test_groups, left_out={"without a label": 3},
    )  # fmt: skip
    runs = tuple(replace(run, external_probabilities=run.test_probabilities[:, [0, 1, 2]]) for run in made.runs)
    return replace(made, runs=runs, external=external)


@pytest.fixture(scope="module")
def report(whole, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    (folder / "latent_map.png").write_bytes(b"\x89PNG")
    extra = Extra({"latent_map.png": "A map"}, {"Scores": pd.DataFrame({"a": [1]})}, ("16 of 64 latents are active.",))
    path, found, table = write_report(whole, folder, extra)
    return path, path.read_text(), found, table


def test_the_papers_table_by_hand():
    comparison = simulate({"vae": BAD, "imagenet": GOOD}, splits=3, seeds=2)
    runs = []
    for run in comparison.runs:
        val = np.array([1.0, 0.8, 0.5 + run.split / 100])
        runs.append(replace(run, history={**run.history, "val/loss": val}))
    table = tables.paper_table(Measures(replace(comparison, runs=tuple(runs)))).set_index(["arm", "metric"])
    row = table.loc[("vae", "validation loss")]
    assert row["first"].startswith("1.000")
    half = 4.302653 * 0.01 * np.sqrt(1 / 3 + 1 / 4)
    assert row["last"] == f"0.510 [{0.51 - half:.3f}, {0.51 + half:.3f}]"
    assert row["change %"].startswith("-49.0")
    assert row["paper"] == "0.165 to 0.11 (-33.33 %)"
    assert table.loc[("vae", "gap (loss)"), "change %"] == ""


def test_it_opens_with_the_answer_and_holds_everything(report, whole):
    path, text, found, table = report
    body = text[text.index("<main>") :]
    for line in found.lines:
        assert line.split(" (")[0].replace("'", "&#39;") in body[:6000]
    made = {each.name for each in path.parent.iterdir()}
    figures = {
        "forest", "curves", "gap_plane", "confusion", "differences", "reliability", "recalls", "selective", "fractions",
    }  # fmt: skip
    assert {f"{name}.png" for name in figures} <= made
    assert {
        f"{name}.csv" for name in ("arms", "differences", "gap", "design", "paper", "calibration", "recall")
    } <= made
    assert {"selective.csv", "audits.csv", "checklist.csv", "external.csv", "recipes.csv", "table.tex"} <= made
    assert text.count('<img src="data:image/png;base64,') == len(figures) + 1
    assert "16 of 64 latents are active." in text
    assert "3 left out, without a label" in text
    with (path.parent / "runs.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(whole.runs)
    with gzip.open(path.parent / "predictions.csv.gz", "rt") as file:
        assert len(list(csv.DictReader(file))) == 5 * 2 * 2 * 90
    assert "macro AUROC" in told(found, table, whole.averaged_over)


def test_nothing_is_fetched_and_names_are_escaped(report):
    text = report[1]
    assert "&lt;script&gt;" in text
    assert '<th scope="row"><script>' not in text
    page = re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    assert set(re.findall(r'(?:src|href)="(https?:[^"]*)"', page)) == {"https://arxiv.org/abs/2505.16773"}


def test_every_picture_has_words_and_every_table_heads(report):
    page = re.sub(r"<script>.*?</script>", "", report[1], flags=re.S)
    images = re.findall(r"<img [^>]*>", page)
    assert images
    assert all(re.search(r'alt="[^"]{5,}"', image) for image in images)
    assert page.count("<table") == page.count("<caption>")
    assert '<html lang="en">' in page
    ids = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= ids


def test_a_comparison_of_two_arms_is_a_report_too(tmp_path):
    small = simulate({"vae": BAD, "majority": (0.0, 0.0)}, splits=1, seeds=1, images=60)
    path, found, _ = write_report(small, tmp_path)
    assert "not answered" in found.lines[0]
    assert "differences.png" not in {each.name for each in path.parent.iterdir()}


def test_the_external_figures_are_apart(whole):
    table = tables.external_table(Measures(whole)).set_index("arm")
    assert table.loc["vae", "AUROC - imagenet"].endswith(("worse", "not shown"))
    assert "external" not in " ".join(answer(Measures(whole)).lines)


def test_latex_has_a_row_an_arm_and_is_escaped(whole):
    text = texts.latex_table(Measures(whole))
    assert text.count(r"\\") == 1 + len(ARMS)
    assert "%" not in text.split("\n", 1)[1].replace(r"\%", "")
    estimate = Measures(whole).text(AUROC, "vae", IDENTICAL)
    assert estimate in text


def test_the_methods_paragraph_says_what_was_done(whole):
    text = texts.methods(whole)
    for words in (
        "2 times with different seeds",
        "100, 10 %",
        "identical protocol",
        "tuned protocol",
        "Nadeau and Bengio",
    ):
        assert words in text
    assert "bootstrap" in texts.methods(replace(whole, splits=whole.splits[:1]))
    assert "concept erasure" not in text
    assert "hair, ink, rulers, vignettes and colour casts" in texts.methods(replace(whole, erase="artefacts"))
