"""The report: one HTML file with everything inside, and the figures and tables beside it."""

from __future__ import annotations

import base64
from pathlib import Path

from derm_ml import __version__
from derm_ml.report.comparison import paper_table, test_intervals, test_table, verdict
from derm_ml.report.figures import save_comparison_figures
from derm_ml.report.paper import PAPER_GAP
from derm_ml.results import Comparison


def write_report(comparison: Comparison, folder: Path) -> Path:
    """Write report.html, its three figures as PNG and its two tables as CSV; returns the HTML's path."""
    from jinja2 import Environment, PackageLoader

    folder.mkdir(parents=True, exist_ok=True)
    intervals = test_intervals(comparison)
    tables = {"paper_table": paper_table(comparison), "test_table": test_table(comparison, intervals)}
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    figures = {
        path.stem: "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
        for path in save_comparison_figures(comparison, intervals, folder)
    }
    environment = Environment(loader=PackageLoader("derm_ml.report", "."), autoescape=True)
    text = environment.get_template("template.html").render(
        comparison=comparison,
        verdict=verdict(comparison),
        tables={name: table.to_dict("split") for name, table in tables.items()},
        figures=figures,
        paper_gap=PAPER_GAP,
        version=__version__,
        seeds=[run.seed for run in comparison.of(comparison.arms[0])],
    )
    report = folder / "report.html"
    report.write_text(text, encoding="utf-8")
    return report
