"""The report: one HTML file with everything inside, and every figure (PNG) and table (CSV) beside it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from derm_ml import __version__
from derm_ml.report import figures, reading, tables, texts
from derm_ml.report.alternatives import ALT
from derm_ml.report.interactive import curves_fragment, library
from derm_ml.report.lettering import drawing
from derm_ml.report.paper import PAPER_GAP
from derm_ml.results import Comparison
from derm_ml.verdict.answer import Answer, answer
from derm_ml.verdict.measures import Measures


@dataclass(frozen=True)
class Extra:
    """Figures and tables of other parts (the latents), already written into the report's folder."""

    figures: Mapping[str, str] = field(default_factory=dict)  # file name -> alternative text
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)  # title -> table
    sentences: tuple[str, ...] = ()


def write_report(
    comparison: Comparison, folder: Path, latents: Extra | None = None
) -> tuple[Path, Answer, pd.DataFrame]:
    """Write report.html and what it shows as PNG and CSV; returns the HTML's path, the answer, the table of arms."""
    from jinja2 import Environment, PackageLoader

    folder.mkdir(parents=True, exist_ok=True)
    measures = Measures(comparison)
    found = answer(measures)
    made = _tables(measures, found)
    for name, table in made.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    tables.runs_table(measures).to_csv(folder / "runs.csv", index=False)
    tables.curves_table(comparison).to_csv(folder / "curves.csv", index=False)
    tables.predictions_table(comparison).to_csv(folder / "predictions.csv.gz", index=False)
    pictures = {name: _embedded(path) for name, path in save_figures(_figures(measures, found), folder).items()}
    latex = texts.latex_table(measures)
    (folder / "table.tex").write_text(latex, encoding="utf-8")
    paragraph = texts.methods(comparison)
    (folder / "methods.txt").write_text(paragraph + "\n", encoding="utf-8")
    extra = latents or Extra()
    environment = Environment(loader=PackageLoader("derm_ml.report", "."), autoescape=True)
    text = environment.get_template("template.html").render(
        comparison=comparison,
        answer=found,
        tables={name: table.to_dict("split") for name, table in made.items()},
        figures=pictures,
        alt=ALT,
        latents=[(name, _embedded(folder / name), words) for name, words in extra.figures.items()],
        latent_tables={title: table.to_dict("split") for title, table in extra.tables.items()},
        latent_sentences=extra.sentences,
        methods=paragraph,
        latex=latex,
        paper_gap=PAPER_GAP,
        version=__version__,
        place=comparison.places[0],
        fragment=curves_fragment(measures),
        plotly=library(),
    )
    report = folder / "report.html"
    report.write_text(text, encoding="utf-8")
    return report, found, made["arms"]


def _tables(measures: Measures, found: Answer) -> dict[str, pd.DataFrame]:
    """By file name, in the report's order; empty ones are left out."""
    comparison = measures.comparison
    made = {
        "arms": tables.arms_table(measures),
        "differences": tables.calls_table(found.calls),
        "gap": tables.gap_table(measures, found),
        "design": tables.design_table(measures),
        "paper": tables.paper_table(measures),
        "calibration": tables.calibration_table(measures),
        "recall": tables.recall_table(measures),
        "selective": tables.selective_table(measures),
        "recipes": tables.recipe_table(comparison),
        "audits": pd.DataFrame([(a.name, "yes" if a.holds else "NO", a.sentence) for a in found.audits]).set_axis(
            ["check", "holds", "found"], axis=1
        ),
        "checklist": texts.checklist(comparison, found),
    }
    if comparison.external:
        made["external"] = tables.external_table(measures)
    return {name: table for name, table in made.items() if len(table)}


def _figures(measures: Measures, found: Answer) -> dict[str, Callable[[], Any]]:
    """By file name; drawn one at a time."""
    made: dict[str, Callable[[], Any]] = {
        "forest": lambda: figures.forest(measures),
        "curves": lambda: figures.curves(measures),
        "gap_plane": lambda: reading.gap_plane(measures, found),
        "confusion": lambda: figures.confusion(measures),
    }
    if found.calls:
        made["differences"] = lambda: figures.differences(measures, found)
    if set(measures.comparison.arms) - {"majority"}:
        made["reliability"] = lambda: reading.reliability(measures)
        made["recalls"] = lambda: reading.recalls(measures)
        made["selective"] = lambda: reading.selective_curves(measures)
    if len({place.fraction for place in measures.comparison.places}) > 1:
        made["fractions"] = lambda: figures.fractions(measures)
    return made


def save_figures(made: Mapping[str, Callable[[], Any]], folder: Path) -> dict[str, Path]:
    """Draw each figure and write it as NAME.png; returns where they are."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    saved = {}
    with drawing():
        for name, draw in made.items():
            figure = draw()
            saved[name] = folder / f"{name}.png"
            figure.savefig(saved[name], dpi=130, bbox_inches="tight", facecolor="white")
            pyplot.close(figure)
    return saved


def _embedded(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def told(found: Answer, arms: pd.DataFrame, averaged_over: str) -> str:
    """For a terminal: one line an arm, then the answers and what stands against them."""
    columns = ["arm", "macro AUROC", "accuracy", "log-loss", "gap (loss)"]
    over = f"macro AUROC over {averaged_over}"
    return "\n".join([arms[columns].to_string(index=False), over, "", *found.lines, *found.warnings])
