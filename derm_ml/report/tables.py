"""Tables of a comparison, one function each: what the report shows and writes as CSV."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd

from derm_ml.metrics import relative_change
from derm_ml.report.paper import PAPER
from derm_ml.results import ArmRun, Comparison, Place
from derm_ml.statistics.decisions import p_text
from derm_ml.verdict.answer import Answer, costs
from derm_ml.verdict.calls import Call, calls
from derm_ml.verdict.measures import ACCURACY, AUROC, ECE, ECE_COOLED, GAP, LOSS, PRIMARY, Measures, on, recall_of

ROWS = {
    "training loss": "train/loss",
    "validation loss": "val/loss",
    "training accuracy": "train/accuracy",
    "validation accuracy": "val/accuracy",
    "gap (loss)": "gap/loss",
    "gap (accuracy)": "gap/accuracy",
}
COVERAGES = (1.0, 0.9, 0.8, 0.5)


def arms_table(measures: Measures) -> pd.DataFrame:
    """Every primary measure of every arm at the first place, with its interval."""
    place = measures.comparison.places[0]
    rows = [
        {"arm": arm, **{measure.name: measures.text(measure, arm, place) for measure in PRIMARY}}
        for arm in measures.comparison.arms
    ]
    return pd.DataFrame(rows)


def calls_table(found: dict[str, list[Call]]) -> pd.DataFrame:
    """Every arm against ImageNet on every primary measure: difference, p, Holm's p, effect size, call."""
    return pd.DataFrame([_call_row(call) for row in found.values() for call in row])


def _call_row(call: Call) -> dict[str, object]:
    return {
        "arm": call.arm,
        "against": call.reference,
        "measure": call.measure.name,
        "difference": call.difference.text(),
        "call": call.word,
        "p": p_text(call.p),
        "p (Holm)": p_text(call.p_holm),
        "Hedges' g": "" if math.isnan(call.g) else f"{call.g:.2f}",
        "better in": f"{100 * call.share:.0f} % of pairs",
        "found with 80 % power": "" if math.isnan(call.detectable) else f"{call.detectable:.3f}",
        "why not shown": call.why,
    }


def paper_table(measures: Measures) -> pd.DataFrame:
    """First, last and relative change of each metric by arm, under the first place; the paper's beside them."""
    comparison = measures.comparison
    place = comparison.places[0]
    rows = []
    for arm in comparison.arms:
        runs = comparison.of(arm, place)
        for label, metric in ROWS.items():
            first, last = (measures.over_runs(runs, partial(_at, metric=metric, epoch=each)) for each in (0, -1))
            # A gap starts near zero: its relative change means nothing.
            change = measures.over_runs(runs, partial(_change, metric=metric))
            theirs = PAPER.get((arm, label))
            rows.append(
                {
                    "arm": arm,
                    "metric": label,
                    "first": first.text(),
                    "last": last.text(),
                    "change %": "" if label.startswith("gap") else change.text(1),
                    "paper": f"{theirs[0]:g} to {theirs[1]:g} ({theirs[2]:+.2f} %)" if theirs else "",
                }
            )
    return pd.DataFrame(rows)


def _at(run: ArmRun, metric: str, epoch: int) -> float:
    return float(run.history[metric][epoch])


def _change(run: ArmRun, metric: str) -> float:
    return 100 * relative_change(_at(run, metric, 0), _at(run, metric, -1))


def gap_table(measures: Measures, found: Answer) -> pd.DataFrame:
    """Every arm's gap under every protocol, beside what it must be read with; and what tuning costs or gains."""
    changes = costs(measures)
    rows = []
    for each in found.readings:
        moved = changes.get(each.arm, {}) if each.place.protocol == "tuned" else {}
        rows.append(
            {
                "protocol": each.place.protocol,
                "arm": each.arm,
                "gap (loss)": each.gap.text(),
                f"within {measures.comparison.gap_margin:g}": "yes" if each.near_zero else "not shown",
                "p of that": p_text(each.p_near_zero),
                "opens at epoch": each.opens or "never",
                "least validation loss at epoch": each.least_loss,
                "validation loss": measures.text(on(LOSS, "val"), each.arm, each.place),
                "test macro AUROC": measures.text(AUROC, each.arm, each.place),
                "tuned - identical: gap": f"{moved[GAP.name]:+.3f}" if moved else "",
                "accuracy": f"{moved[ACCURACY.name]:+.3f}" if moved else "",
                "AUROC": f"{moved[AUROC.name]:+.3f}" if moved else "",
            }
        )
    return pd.DataFrame(rows)


def design_table(measures: Measures) -> pd.DataFrame:
    """Every place (protocol, mode, label fraction) and arm: each measure, and AUROC's and the gap's difference."""
    rows = []
    for place in measures.comparison.places:
        for arm in measures.comparison.arms:
            row: dict[str, object] = {"protocol": place.protocol, "mode": place.mode}
            row |= {"labels %": f"{100 * place.fraction:g}", "arm": arm}
            row |= {each.name: measures.text(each, arm, place) for each in PRIMARY}
            if arm != "imagenet" and "imagenet" in measures.comparison.arms:
                for name, measure in (("AUROC", AUROC), ("gap", GAP)):
                    row[f"{name} - imagenet"] = measures.estimate(measure, arm, place, minus="imagenet").text()
            rows.append(row)
    return pd.DataFrame(rows).fillna("")


def calibration_table(measures: Measures) -> pd.DataFrame:
    """ECE as it is and with the temperature that validation images give, by arm at the first place."""
    place = measures.comparison.places[0]
    rows = []
    for arm in measures.comparison.arms:
        temperatures = measures.over_runs(measures.comparison.of(arm, place), measures.temperature)
        rows.append(
            {
                "arm": arm,
                "ECE": measures.text(ECE, arm, place),
                "ECE with temperature": measures.text(ECE_COOLED, arm, place),
                "temperature": f"{temperatures.mean:.2f}",
            }
        )
    return pd.DataFrame(rows)


def recall_table(measures: Measures) -> pd.DataFrame:
    """Recall of every class by arm at the first place; beside it the test images of the class (all splits)."""
    comparison = measures.comparison
    rows = []
    for code, name in enumerate(comparison.classes):
        row: dict[str, object] = {
            "class": name,
            "test images": sum(int((facts.test_labels == code).sum()) for facts in comparison.splits),
        }
        for arm in comparison.arms:
            row[arm] = measures.text(recall_of(code, name), arm, comparison.places[0], 2)
        rows.append(row)
    return pd.DataFrame(rows)


def selective(measures: Measures, arm: str, place: Place) -> tuple[np.ndarray, np.ndarray]:
    """Selective prediction: coverage [101] and the accuracy [101] of the most confident share of the test images.

    Confidence is the largest probability; mean over runs.
    """
    coverage = np.linspace(0.01, 1.0, 100)
    curves = []
    for run in measures.comparison.of(arm, place):
        labels = measures.facts(run.split).test_labels
        order = np.argsort(-run.test_probabilities.max(axis=1), kind="stable")
        correct = (run.test_probabilities.argmax(axis=1) == labels)[order]
        means = correct.cumsum() / np.arange(1, len(correct) + 1)
        curves.append(means[np.maximum(np.ceil(coverage * len(correct)).astype(int) - 1, 0)])
    return coverage, np.mean(curves, axis=0)


def selective_table(measures: Measures) -> pd.DataFrame:
    """Accuracy when only the most confident share of the test images is answered; the area under the risk curve."""
    rows = []
    for arm in measures.comparison.arms:
        if arm == "majority":  # it is as sure of one image as of another
            continue
        coverage, accuracy = selective(measures, arm, measures.comparison.places[0])
        shown = {f"accuracy at {100 * c:.0f} %": f"{np.interp(c, coverage, accuracy):.3f}" for c in COVERAGES}
        rows.append({"arm": arm, **shown, "area under risk": f"{float(np.mean(1 - accuracy)):.3f}"})
    return pd.DataFrame(rows)


def recipe_table(comparison: Comparison) -> pd.DataFrame:
    """What the tuned protocol chose, by arm, split and place."""
    seen: dict[tuple[object, ...], dict[str, object]] = {}
    for run in comparison.runs:
        if run.place.protocol == "tuned" and run.arm not in ("majority", "champion"):
            key = (run.place, run.arm, run.split)
            row: dict[str, object] = {
                "mode": run.place.mode,
                "labels %": f"{100 * run.place.fraction:g}",
                "arm": run.arm,
            }
            row |= {"split": run.split, "learning rate": f"{run.lr:g}", "weight decay": f"{run.weight_decay:g}"}
            seen.setdefault(key, row | {"at an edge": "yes" if run.edge else ""})
    return pd.DataFrame(list(seen.values()))


def external_table(measures: Measures) -> pd.DataFrame:
    """Every arm on the external collection, and the calls against ImageNet there."""
    comparison = measures.comparison
    place = comparison.places[0]
    wanted = [on(measure, "external") for measure in PRIMARY if measure is not GAP]
    rows = []
    for arm in comparison.arms:
        row: dict[str, object] = {"arm": arm}
        row |= {each.name: measures.text(each, arm, place) for each in wanted}
        if arm != "imagenet" and "imagenet" in comparison.arms:
            found = calls(measures, arm, "imagenet", place, images="external")
            main = next(call for call in found if call.measure.name == AUROC.name)
            row["AUROC - imagenet"] = f"{main.difference.text()}: {main.word}"
        rows.append(row)
    return pd.DataFrame(rows).fillna("")


def runs_table(measures: Measures) -> pd.DataFrame:
    """Every run: where it stands, its recipe, its figures, its feed's digest."""
    rows = []
    for run in measures.comparison.runs:
        row: dict[str, object] = {"arm": run.arm, **run.place._asdict(), "split": run.split, "seed": run.seed}
        row |= {"lr": run.lr, "weight_decay": run.weight_decay, "seconds": round(run.seconds, 2)}
        row |= {name: float(values[-1]) for name, values in run.history.items()}
        row |= {f"test/{measure.name}": measures.value(run, measure) for measure in PRIMARY if measure is not GAP}
        rows.append(row | {"fed": run.feed, "encoder": run.origin})
    return pd.DataFrame(rows)


def curves_table(comparison: Comparison) -> pd.DataFrame:
    """Every run's history, a row an epoch."""
    parts = []
    for run in comparison.runs:
        table = pd.DataFrame({name: values for name, values in run.history.items() if "recall" not in name})
        table.insert(0, "epoch", np.arange(1, len(table) + 1))
        where = {"seed": run.seed, "split": run.split, **run.place._asdict(), "arm": run.arm}
        for name, value in where.items():
            table.insert(0, name, str(value))
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def predictions_table(comparison: Comparison) -> pd.DataFrame:
    """What every run at the first place said of every test image."""
    parts = []
    for run in comparison.runs:
        if run.place != comparison.places[0] or run.arm == "champion":
            continue
        facts = next(each for each in comparison.splits if each.seed == run.split)
        table = pd.DataFrame(run.test_probabilities, columns=[f"p({name})" for name in comparison.classes]).round(6)
        table.insert(0, "label", [comparison.classes[code] for code in facts.test_labels])
        table.insert(0, "group", facts.test_groups)
        table.insert(0, "image", facts.test_ids)
        for name, value in (("seed", str(run.seed)), ("split", str(run.split)), ("arm", run.arm)):
            table.insert(0, name, value)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)
