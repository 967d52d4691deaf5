"""One worker of a search: takes a trial, trains it in a nested run, says how it went, until none is left."""

from __future__ import annotations

import math
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import optuna
import torch
from optuna.exceptions import StorageInternalError, TrialPruned, UpdateFinishedTrialError
from optuna.trial import TrialState

from derm_ml.errors import UserError
from derm_ml.progress import Progress, note_line, progress
from derm_ml.search.samplers import SeededSampler, pruner
from derm_ml.search.space import Params, Range, suggest
from derm_ml.search.storage import NothingWaits
from derm_ml.search.study import ERROR, INTERRUPTED, Goal, Study, index_of, is_again, reason_of
from derm_ml.tracking.base import Tracker
from derm_ml.training.trainer import NonFiniteLoss

KEPT = 3  # checkpoints of finished trials, the best ones, that stay on this machine's disk
POLL = 3.0  # seconds between looks at a study whose last trials others are running
FAILURES = (NonFiniteLoss, torch.OutOfMemoryError)  # of a trial's own parameters: the search goes on
Watch = Callable[[int, Mapping[str, float]], None]


class Task(Protocol):
    """What is searched: one training with given parameters.

    Attributes:
        entry: the entry point, pretrain or finetune.
        goals: metrics of a training's end. space: the parameters that are tried. epochs: of a whole training.
    """

    entry: str
    goals: tuple[Goal, ...]
    space: Mapping[str, Range]
    epochs: int

    def train(self, params: Params, run: Tracker, folder: Path, watch: Watch, again: bool) -> Mapping[str, float]:
        """Train in the nested run `run`; returns the metrics at the end.

        Args:
            folder: for its checkpoint. again: go on from that. watch: is told every epoch's metrics, and may raise.
        """

    def keep(self, run: Tracker, folder: Path) -> None:
        """Log what the model just trained can be made of again: it is the best so far."""

    def register(self, params: Params, metrics: Mapping[str, float], run: Tracker, folder: Path) -> str:
        """Register the model that `keep` logged in `run`; returns its URI, empty where there is nothing to register."""


@dataclass
class Worker:
    """Works on a study until its budget is spent and every trial has ended.

    Args:
        run: the MLflow run of the search, which the trials are nested in. run_id: this process's own run.
        folder: the search's own, for checkpoints on this machine.
        alive: raises when this worker should stop (its parent process has gone).
    """

    study: Study
    task: Task
    run: Tracker
    run_id: str
    folder: Path
    seed: int
    alive: Callable[[], None] = lambda: None
    _trial: int | None = field(default=None, init=False)
    _stopped_by: BaseException | None = field(default=None, init=False)
    _taken_over: bool = field(default=False, init=False)
    _given_up: set[int] = field(default_factory=set, init=False)

    def work(self, budget: int, deadline: float) -> None:
        """Trial after trial.

        Raises:
            KeyboardInterrupt and whatever stops a trial but its own parameters: the trial is handed out again.
        """
        study = self.study.optuna
        study.sampler, study.pruner = SeededSampler(self.seed), pruner()
        shown = self.study.counts().spent
        with progress("Search", budget - shown, "trials") as bar:
            while True:
                self.alive()
                counts = self.study.counts()
                bar.advance(counts.spent - shown)
                shown = counts.spent
                over = time.time() >= deadline
                if not counts.running and (over or counts.spent >= budget):
                    return
                if over:
                    optuna.storages.fail_stale_trials(study)
                else:
                    self.study.hand_out(budget)
                if over or not self._one(bar):
                    time.sleep(POLL)

    def _one(self, bar: Progress) -> bool:
        """Run one trial; False when none waits."""
        self._trial, self._taken_over = None, False
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                # a trial that goes on reports epochs that it had reported
                warnings.filterwarnings("ignore", message="The reported value is ignored", category=UserWarning)
                self.study.optuna.optimize(lambda trial: self._objective(trial, bar), n_trials=1, catch=FAILURES)
        except NothingWaits:
            return False
        except BaseException:
            if not self._taken_over:
                self.study.storage.patient = False
                with suppress(StorageInternalError):  # without the database the trial is stale soon, and run again
                    if self._trial is not None:
                        self.study.run_again(self._trial)
                if self._stopped_by:
                    raise self._stopped_by from None
                raise
        self._give_up_killed()
        self._clean()
        self._log_best()
        return True

    def _objective(self, trial: optuna.Trial, bar: Progress) -> float | tuple[float, ...]:
        self._trial = trial.number
        frozen = self.study.trials()[trial.number]
        index, again = index_of(frozen), is_again(frozen)
        params = suggest(trial, self.task.space)
        said = f"trial {index}: " + ", ".join(f"{key} {value:.4g}" for key, value in params.items())
        bar.note(said)
        tags = {"trial.number": str(index), "search.study": self.study.name, "search.worker": self.run_id}
        ending: Exception | None = None
        values: tuple[float, ...] = ()
        with self.run.child(trial_name(index), tags, resume=again) as child:
            try:
                began = time.monotonic()
                metrics = self._train(trial, params, child, self.folder / trial_name(index), again=again)
                values = tuple(float(metrics[goal.metric]) for goal in self.task.goals)
                if not all(map(math.isfinite, values)):
                    raise NonFiniteLoss(f"the goal is not finite: {values}")
                trial.set_user_attr("metrics", {key: value for key, value in metrics.items() if math.isfinite(value)})
                if self._is_best(values[0]):
                    self.task.keep(child, self.folder / trial_name(index))
                child.set_tags({"trial.state": "complete"})
                shown = ", ".join(
                    f"{goal.name} {value:.4f}" for goal, value in zip(self.task.goals, values, strict=True)
                )
                print(f"{said}: {shown}, {time.monotonic() - began:.0f} s", flush=True)
            except TrialPruned as reason:
                child.set_tags({"trial.state": "pruned", "trial.pruned": str(reason)})
                print(f"{said}: pruned {reason}", flush=True)
                ending = reason
            except FAILURES as error:
                child.set_tags({"trial.state": "failed"})
                trial.set_user_attr(ERROR, f"{type(error).__name__}: {error}")
                print(f"{said}: failed, {error}", flush=True)
                raise
            except UpdateFinishedTrialError as error:  # another worker closes the nested run, for good
                note_line(f"{said}: this worker was not heard for long, and another one has taken the trial over")
                ending, self._taken_over = error, True
            except BaseException as error:
                self._stopped_by, self.study.storage.patient = error, False
                with suppress(StorageInternalError):
                    trial.set_user_attr(INTERRUPTED, True)
                raise
        if ending:
            raise ending
        return values if len(values) > 1 else values[0]

    def _train(
        self, trial: optuna.Trial, params: Params, child: Tracker, folder: Path, *, again: bool
    ) -> Mapping[str, float]:
        goals = self.task.goals

        def watch(epoch: int, metrics: Mapping[str, float]) -> None:
            self.alive()
            if len(goals) == 1 and goals[0].metric in metrics:  # Optuna prunes for one goal only
                trial.report(metrics[goals[0].metric], epoch)
                if epoch < self.task.epochs and trial.should_prune():
                    raise TrialPruned(f"after epoch {epoch}")

        return self.task.train(params, child, folder, watch, again and (folder / "last.safetensors").is_file())

    def _is_best(self, value: float) -> bool:
        best = self.study.best()
        larger = self.task.goals[0].direction == "maximize"
        return not best or (value > best[0].values[0] if larger else value < best[0].values[0])

    def _log_best(self) -> None:
        counts, best = self.study.counts(), self.study.best()
        row: dict[str, float] = {
            "search/spent": counts.spent,
            "search/pruned": counts.pruned,
            "search/failed": counts.failed,
        }
        if best:
            row |= {f"best/{goal.name}": value for goal, value in zip(self.task.goals, best[0].values, strict=True)}
            row |= {f"best/{name}": float(value) for name, value in best[0].params.items()}
        self.run.log_metrics(row, step=counts.spent)
        self.run.flush()

    def _give_up_killed(self) -> None:
        """Close the nested runs of trials that killed their workers too often: those could not."""
        for trial in self.study.trials(TrialState.FAIL):
            reason = reason_of(trial)
            if reason and not trial.user_attrs.get(ERROR) and trial.number not in self._given_up:
                self._given_up.add(trial.number)
                with suppress(UserError), self.run.child(trial_name(index_of(trial)), resume=True) as child:
                    child.set_tags({"trial.state": "failed"})
                    raise UserError(reason)

    def _clean(self) -> None:
        """Keep the checkpoints of the best trials, and of those that run or will run again."""
        kept = {index_of(trial) for trial in self.study.best(KEPT)}
        kept |= {index_of(trial) for trial in self.study.trials(TrialState.RUNNING, TrialState.WAITING)}
        for folder in self.folder.glob("trial-*"):
            if folder.name not in {trial_name(number) for number in kept}:
                shutil.rmtree(folder, ignore_errors=True)


def trial_name(index: int) -> str:
    """Of the nested run, and of the checkpoint's folder on this machine."""
    return f"trial-{index:04d}"
