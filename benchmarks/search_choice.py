"""Which sampler and which pruner find the most with a given budget: many simulated searches on a recorded table.

    .venv/bin/pip install -e '.[bench]'
    .venv/bin/python benchmarks/search_choice.py benchmarks/search_table.jsonl

Between the grid's points the probe's AUROC at each epoch is interpolated linearly in log beta and log lr (the best
value that any search can find is then the grid's best). The budget is epochs of training: a pruned trial leaves more
of it to the others. A search's result is the final value of the best trial that ran to its end, as a regret: the
grid's best less that. Medians and quartiles over repeated searches, each with another seed.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
from scipy.interpolate import RegularGridInterpolator

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.simplefilter("ignore")

SAMPLERS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "Sobol": lambda seed: optuna.samplers.QMCSampler(seed=seed, scramble=True),
    "TPE": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True),
    "GP": lambda seed: optuna.samplers.GPSampler(seed=seed),
    "CMA-ES": lambda seed: optuna.samplers.CmaEsSampler(seed=seed),
}
PRUNERS: dict[str, Callable[[], optuna.pruners.BasePruner]] = {
    "none": optuna.pruners.NopPruner,
    "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=5),
    "Hyperband": lambda: optuna.pruners.HyperbandPruner(min_resource=1, max_resource=3, reduction_factor=3),
    "Wilcoxon": lambda: optuna.pruners.WilcoxonPruner(p_threshold=0.1),
}


class Table:
    """The recorded outcomes as a function of (beta, lr)."""

    def __init__(self, path: Path) -> None:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        seeds: dict[tuple[float, float], list[float]] = {}
        for row in rows:
            seeds.setdefault((row["beta"], row["lr"]), []).append(row["epochs"][-1]["probe/auroc"])
        self.repeated = {point: values for point, values in seeds.items() if len(values) > 1}
        grid = [row for row in rows if (row["beta"], row["lr"]) not in self.repeated]
        self.betas, self.lrs = sorted({row["beta"] for row in grid}), sorted({row["lr"] for row in grid})
        self.epochs = max(len(row["epochs"]) for row in grid)
        values = np.full((len(self.betas), len(self.lrs), self.epochs), np.nan)
        for row in grid:
            for epoch in row["epochs"]:
                place = self.betas.index(row["beta"]), self.lrs.index(row["lr"]), int(epoch["epoch"]) - 1
                values[place] = epoch["probe/auroc"]
        missing = int(np.isnan(values[..., -1]).sum())
        assert not missing, f"{missing} points are missing or diverged"
        self.values, self.best = values, float(values[..., -1].max())
        self._at = RegularGridInterpolator((np.log(self.betas), np.log(self.lrs)), values)

    def curve(self, beta: float, lr: float) -> np.ndarray:
        """The probe's AUROC after each epoch."""
        low, high = np.log(self.betas[0]), np.log(self.betas[-1])
        point = np.clip(np.log(beta), low, high), np.clip(np.log(lr), np.log(self.lrs[0]), np.log(self.lrs[-1]))
        return np.asarray(self._at(point)).reshape(-1)


def simulate(table: Table, sampler: str, pruner: str, trials: int, seed: int) -> tuple[float, int]:
    """One search with the epochs of `trials` whole trainings; returns its regret and how many trials it began."""
    study = optuna.create_study(direction="maximize", sampler=SAMPLERS[sampler](seed), pruner=PRUNERS[pruner]())
    budget, best = trials * table.epochs, -np.inf
    while budget >= table.epochs:
        trial = study.ask()
        beta = trial.suggest_float("beta", table.betas[0], table.betas[-1], log=True)
        lr = trial.suggest_float("lr", table.lrs[0], table.lrs[-1], log=True)
        curve = table.curve(beta, lr)
        for epoch, value in enumerate(curve, start=1):
            budget -= 1
            trial.report(float(value), epoch)
            if epoch < table.epochs and trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, float(value))
            best = max(best, float(value))
    return table.best - best, len(study.trials)


def draw(table: Table, path: Path) -> None:
    """The final AUROC of every point of the grid, and the points with several seeds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(7.5, 5.5), layout="constrained")
    final = table.values[..., -1]
    colours = axis.imshow(final.T, origin="lower", cmap="viridis", aspect="auto")
    for (i, j), value in np.ndenumerate(final):
        axis.text(i, j, f"{value:.3f}"[1:], ha="center", va="center", color="black" if value > 0.8 else "white")
    axis.set_xticks(range(len(table.betas)), [f"{beta:.2g}" for beta in table.betas])
    axis.set_yticks(range(len(table.lrs)), [f"{lr:.1e}" for lr in table.lrs])
    axis.set(xlabel="beta", ylabel="learning rate", title="Macro AUROC of the frozen probe, validation")
    figure.colorbar(colours)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--trials", default="10,20,40", help="budgets, in whole trainings")
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--figure", type=Path, help="a PNG of the table")
    arguments = parser.parse_args()
    table = Table(arguments.table)
    final = table.values[..., -1]
    place = np.unravel_index(final.argmax(), final.shape)
    print(
        f"{final.size} points, final AUROC {final.min():.4f} to {table.best:.4f} (median {np.median(final):.4f});",
        end=" ",
    )
    print(f"best at beta {table.betas[place[0]]:.3g}, lr {table.lrs[place[1]]:.3g}")
    for epoch in range(table.epochs - 1):
        ranks = [np.argsort(np.argsort(each.ravel())) for each in (table.values[..., epoch], final)]
        print(f"rank correlation of epoch {epoch + 1} with the last: {np.corrcoef(*ranks)[0, 1]:.2f}")
    for (beta, lr), found in table.repeated.items():
        mean, noise = np.mean(found), np.std(found, ddof=1)
        print(f"over {len(found)} seeds at beta {beta:.4g}, lr {lr:.4g}: AUROC {mean:.4f}, sd {noise:.4f}")
    if arguments.figure:
        draw(table, arguments.figure)
    for trials in map(int, arguments.trials.split(",")):
        print(
            f"\nbudget {trials} trainings of {table.epochs} epochs, {arguments.repeats} searches: regret, AUROC x 1000"
        )
        print(f"{'sampler':18} {'pruner':10} {'median':>7} {'quartiles':>15} {'trials begun':>13}")
        for sampler in SAMPLERS:
            for pruner in PRUNERS if sampler in ("random", "TPE", "GP") else ["none"]:
                found = [simulate(table, sampler, pruner, trials, seed) for seed in range(arguments.repeats)]
                regrets, begun = np.array(found).T
                low, middle, high = np.percentile(1000 * regrets, [25, 50, 75])
                print(
                    f"{sampler:18} {pruner:10} {middle:7.2f} {low:7.2f} {high:7.2f} {np.median(begun):13.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
