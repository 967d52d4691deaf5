"""What a search leaves behind: Optuna's own figures and a table of all trials, in one page and as files."""

from __future__ import annotations

import html
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.trial import TrialState

from derm_ml.search.study import Goal, Study, index_of, reason_of


def save_record(study: Study, epochs: int, folder: Path) -> list[Path]:
    """search.html (interactive, everything inside), a PNG of each figure, trials.csv; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    table = trials_table(study, epochs)
    table.to_csv(folder / "trials.csv", index=False)
    page: list[str] = []
    files = [folder / "search.html", folder / "trials.csv"]
    for title, interactive, still in _figures(study):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Optuna: that it cannot know which way a target is better
            figure = interactive()
        figure.update_layout(title=None, template="plotly_white", margin={"t": 30})
        first = not page
        body = figure.to_html(full_html=False, include_plotlyjs=first, config={"displaylogo": False})
        page.append(f"<h2>{html.escape(title)}</h2>\n{body}")
        files.append(_save_png(still, title, folder))
    (folder / "search.html").write_text(_page(study, table, page), encoding="utf-8")
    return files


def trials_table(study: Study, epochs: int) -> pd.DataFrame:
    """A row for every trial that was handed out: number, state, values, parameters, epochs, seconds, reason."""
    rows = []
    for trial in study.trials():
        reason = reason_of(trial)
        if trial.state == TrialState.FAIL and not reason:
            continue  # it was run again under another number
        values = trial.values or [float("nan")] * len(study.goals)
        reached = max(trial.intermediate_values, default=0)
        rows.append(
            {
                "trial": index_of(trial),
                "state": trial.state.name.lower(),
                **{goal.name: value for goal, value in zip(study.goals, values, strict=True)},
                **trial.params,
                "epochs": epochs if trial.state == TrialState.COMPLETE else reached,
                "seconds": round(trial.duration.total_seconds(), 1) if trial.duration else float("nan"),
                "reason": reason,
            }
        )
    return pd.DataFrame(rows).sort_values("trial") if rows else pd.DataFrame(columns=["trial", "state"])


def share_saved(table: pd.DataFrame, epochs: int) -> float:
    """The share of all epochs that pruning spared, 0 to 1: over trials that are complete or pruned."""
    ended = table[table["state"].isin(["complete", "pruned"])]
    return 1 - float(ended["epochs"].sum()) / (epochs * len(ended)) if len(ended) else 0.0


def _figures(study: Study) -> list[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """(title, plotly figure, matplotlib axes) of what can be drawn of this study."""
    plotly, stills, it = optuna.visualization, optuna.visualization.matplotlib, study.optuna
    complete = study.trials(TrialState.COMPLETE)
    params = sorted({name for trial in complete for name in trial.params})
    varied = [name for name in params if len({trial.params.get(name) for trial in complete}) > 1]
    found: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = []
    several = len(complete) > 3 and len(varied) > 1
    if not complete:
        return found
    if len(study.goals) > 1:
        names = [goal.name for goal in study.goals]
        options = {"target_names": names}
        name = "plot_pareto_front"
        found.append(("Pareto front", _drawing(plotly, name, it, options), _drawing(stills, name, it, options)))
    for index, goal in enumerate(study.goals):
        wanted = _target(goal, index, single=len(study.goals) == 1)
        drawn: list[tuple[str, str, bool, dict[str, Any]]] = [
            ("History", "plot_optimization_history", True, wanted),
            ("Importance", "plot_param_importances", several, _smaller_is_better(wanted, goal)),
            ("Contour", "plot_contour", several, wanted),
            ("Slice", "plot_slice", True, wanted),
        ]
        for title, name, possible, options in drawn:
            if possible:
                still = _drawing(stills, name, it, options)
                found.append((f"{title} of {goal.name}", _drawing(plotly, name, it, options), still))
    if any(trial.intermediate_values for trial in complete):
        name = "plot_intermediate_values"
        found.append(
            (f"{study.goals[0].name} by epoch", _drawing(plotly, name, it, {}), _drawing(stills, name, it, {}))
        )
    return found


def _drawing(module: Any, name: str, study: optuna.Study, options: dict[str, Any]) -> Callable[[], Any]:
    return lambda: getattr(module, name)(study, **options)


def _target(goal: Goal, index: int, *, single: bool) -> dict[str, Any]:
    if single:
        return {"target_name": goal.name}
    return {"target": lambda trial: trial.values[index], "target_name": goal.name}


def _smaller_is_better(options: dict[str, Any], goal: Goal) -> dict[str, Any]:
    """Optuna's importance takes a target of one's own to be better the smaller it is."""
    if "target" not in options or goal.direction == "minimize":
        return options
    return {**options, "target": lambda trial: -options["target"](trial)}


def _save_png(still: Callable[[], Any], title: str, folder: Path) -> Path:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with warnings.catch_warnings(), pyplot.style.context("default"):
        warnings.simplefilter("ignore")  # Optuna calls its matplotlib figures experimental
        axes = still()
        figure = (axes if hasattr(axes, "figure") else axes.ravel()[0]).figure
        figure.set_size_inches(9, 5.5)
        path = folder / (title.lower().replace(" ", "_") + ".png")
        figure.savefig(path, dpi=130, facecolor="white", bbox_inches="tight")
        pyplot.close(figure)
    return path


def _page(study: Study, table: pd.DataFrame, figures: list[str]) -> str:
    counts = study.counts()
    facts = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in study.facts.items())
    shown = table.to_html(index=False, float_format=lambda value: f"{value:.4g}", na_rep="", border=0)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Search {html.escape(study.name)}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }}
table {{ border-collapse: collapse; font-size: 0.85rem }} th, td {{ padding: 0.2rem 0.6rem; text-align: right }}
.facts th, .facts td {{ text-align: left }} tr:nth-child(even) {{ background: #f4f4f4 }}
.scroll {{ overflow-x: auto }}
</style></head><body>
<h1>Search {html.escape(study.name)}</h1>
<p>{counts.complete} trials complete, {counts.pruned} pruned, {counts.failed} failed. Chosen on validation images; test
images were not read.</p>
{"".join(figures)}
<h2>Trials</h2><div class="scroll">{shown}</div>
<h2>What was searched</h2><table class="facts">{facts}</table>
</body></html>
"""
