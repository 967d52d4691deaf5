"""Rates and a power curve out of the lines that verdict_rates.py wrote.

python benchmarks/verdict_table.py rates.jsonl --figure docs/figures/verdict_power.png
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint


def share(hits: np.ndarray) -> tuple[float, float, float]:
    """A rate with its exact (Clopper-Pearson) 95 % interval."""
    low, high = proportion_confint(int(hits.sum()), len(hits), method="beta")
    return float(hits.mean()), float(low), float(high)


def text(rate: tuple[float, float, float]) -> str:
    """`4.5 % [2.1, 8.3]`."""
    return "{:.1f} % [{:.1f}, {:.1f}]".format(*(100 * each for each in rate))


def rates(lines: pd.DataFrame) -> pd.DataFrame:
    """A/A: how often anything is called, and each measure's own rates."""
    rows = []
    for (data, splits), part in lines[lines["noise"] == 0].groupby(["data", "splits"]):
        called = part.assign(called=part["word"] != "not shown")
        whole = called.groupby("comparison")["called"].any().to_numpy()
        row = {"data": data, "splits": splits, "comparisons": len(whole), "any measure called": text(share(whole))}
        for measure, own in called.groupby("measure", sort=False):
            row[f"{measure}: p < 0.05"] = text(share((own["p"] < 0.05).to_numpy()))
        rows.append(row)
    return pd.DataFrame(rows)


def power(lines: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Planted differences: how often they are called with the right sign, how often the interval holds them."""
    rows = []
    own = lines[lines["measure"] == measure]
    for (data, splits, noise), part in own.groupby(["data", "splits", "noise"]):
        truth = own[(own["data"] == data) & (own["noise"] == noise) & (own["splits"] == own["splits"].max())][
            "difference"
        ]
        size = truth.mean()
        right = (part["word"] != "not shown") & (np.sign(part["difference"]) == np.sign(size))
        rows.append(
            {
                "data": data,
                "splits": splits,
                "noise": noise,
                "true difference": f"{size:.4f} (se {truth.std(ddof=1) / len(truth) ** 0.5:.4f})",
                "size": abs(size),
                "called": text(share(right.to_numpy())),
                "rate": right.mean(),
                "interval holds it": text(share(((part["low"] <= size) & (size <= part["high"])).to_numpy())),
            }
        )
    return pd.DataFrame(rows)


def figure(table: pd.DataFrame, measure: str, path: Path) -> None:
    """Power against the planted size, a line a number of splits."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    planted = {data for data, part in table.groupby("data") if (part["noise"] > 0).any()}
    table = table[table["data"].isin(planted)]
    drawn, axis = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    styles = zip(
        table.groupby(["data", "splits"]),
        ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#7F7F7F", "black"),
        strict=False,
    )
    for ((data, splits), part), colour in styles:
        part = part.sort_values("size")
        axis.plot(
            part["size"], 100 * part["rate"], "o-", color=colour, label=f"{data}, {splits} split{'s' * (splits > 1)}"
        )
    axis.axhline(5, color="black", linewidth=0.7, linestyle=":")
    axis.set_xlabel(f"planted difference in {measure}")
    axis.set_ylabel("called, after Holm over six measures (%)")
    axis.set_ylim(0, 101)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.25)
    axis.legend(frameon=False)
    drawn.savefig(path, dpi=130, facecolor="white")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", type=Path, nargs="+")
    parser.add_argument("--measure", default="macro AUROC")
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    lines = pd.concat([pd.read_json(path, lines=True) for path in given.lines], ignore_index=True)
    print(rates(lines).T.to_string(header=False), end="\n\n")
    table = power(lines, given.measure)
    print(table.drop(columns=["size", "rate"]).to_string(index=False))
    if given.figure:
        figure(table, given.measure, given.figure)


if __name__ == "__main__":
    main()
