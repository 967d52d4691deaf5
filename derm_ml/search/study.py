"""A study: which search it is, what it may spend, and which trials are left to run."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import optuna
from optuna.trial import FrozenTrial, TrialState

from derm_ml.errors import UserError
from derm_ml.search.space import Range
from derm_ml.search.storage import KILLS, PatientStorage, exclusively

INDEX = "index"  # the attribute under which a trial keeps its number however often it is run again
AGAIN = "failed_trial"  # Optuna's own attribute of a trial that is run again
ERROR = "error"  # the attribute of a trial that failed by itself: why
INTERRUPTED = "interrupted"  # of one that was stopped with its worker, and is run again


class Goal(NamedTuple):
    """What a search makes large or small: one of the metrics of a training's end."""

    metric: str
    direction: str  # maximize or minimize

    @property
    def name(self) -> str:
        """As people call it: `auroc`, `gap`."""
        return self.metric.rpartition("/")[2]


class Counts(NamedTuple):
    """Trials by what became of them; those that were killed and run again are counted once."""

    complete: int
    pruned: int
    failed: int
    running: int
    waiting: int

    @property
    def spent(self) -> int:
        """Trials that have ended, however."""
        return self.complete + self.pruned + self.failed


@dataclass(frozen=True)
class Study:
    """An Optuna study, with what makes it this search and no other.

    Attributes:
        facts: data, architecture, goals and settings: values found under other facts cannot be compared.
    """

    optuna: optuna.Study
    storage: PatientStorage
    goals: Sequence[Goal]
    facts: Mapping[str, str]

    @property
    def name(self) -> str:
        """The name by which workers find it."""
        return str(self.optuna.study_name)

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """In the order of their numbers."""
        found = self.optuna.get_trials(deepcopy=False, states=states or None)
        return sorted(found, key=lambda trial: trial.number)

    def counts(self) -> Counts:
        """Failed are those that failed by themselves, or killed their workers too often."""
        trials = self.trials()
        by_state = {state: sum(trial.state == state for trial in trials) for state in TrialState}
        failed = sum(trial.state == TrialState.FAIL and reason_of(trial) != "" for trial in trials)
        complete, pruned = by_state[TrialState.COMPLETE], by_state[TrialState.PRUNED]
        return Counts(complete, pruned, failed, by_state[TrialState.RUNNING], by_state[TrialState.WAITING])

    def hand_out(self, budget: int) -> None:
        """Make one trial for whoever takes it, where the budget has one left and none waits.

        One process at a time, so that all workers together never run more than the budget.
        """
        with exclusively(self.storage):
            counts = self.counts()
            if not counts.waiting and counts.spent + counts.running < budget:
                handed_out = sum(not is_again(trial) for trial in self.trials())
                self.optuna.enqueue_trial({}, user_attrs={INDEX: handed_out})

    def run_again(self, number: int) -> None:
        """Hand out once more, with its parameters, a trial that ended through no fault of its own."""
        trial = self.trials()[number]
        if trial.state == TrialState.FAIL:
            attributes = {AGAIN: trial.number, **trial.system_attrs}
            again = optuna.create_trial(
                state=TrialState.WAITING,
                params=trial.params,
                distributions=trial.distributions,
                user_attrs={key: value for key, value in trial.user_attrs.items() if key != INTERRUPTED},
                system_attrs=attributes,
                intermediate_values=trial.intermediate_values,
            )
            self.optuna.add_trial(again)

    def deadline(self, hours: float) -> float:
        """The time (UTC epoch) after which no trial starts; workers that join later have the same one."""
        if not hours:
            return float("inf")
        with exclusively(self.storage):
            stored = self.optuna.user_attrs.get("deadline", 0.0)
            if self.counts().running == 0 or stored < time.time():
                stored = time.time() + hours * 3600
                self.optuna.set_user_attr("deadline", stored)
            return float(stored)

    def best(self, count: int = 1) -> list[FrozenTrial]:
        """The best complete trials by the first goal; the first of them is on the Pareto front where there are two."""
        sign = -1 if self.goals[0].direction == "maximize" else 1
        return sorted(self.trials(TrialState.COMPLETE), key=lambda trial: (sign * trial.values[0], trial.number))[
            :count
        ]


def reason_of(trial: FrozenTrial) -> str:
    """Why a failed trial is not run again; empty for one that is."""
    if trial.state != TrialState.FAIL or trial.user_attrs.get(INTERRUPTED):
        return ""
    if len(trial.system_attrs.get("retry_history", [])) >= KILLS:
        return f"killed {KILLS + 1} times: the process ended before it could say why (out of memory?)"
    return str(trial.user_attrs.get(ERROR, ""))


def index_of(trial: FrozenTrial) -> int:
    """0, 1, 2 ... in the order in which trials were handed out; the same when it is run again (`number` is not)."""
    return int(trial.user_attrs.get(INDEX, trial.number))


def is_again(trial: FrozenTrial) -> bool:
    """Whether it was begun before, under another number, and killed or stopped."""
    return AGAIN in trial.system_attrs


def open_study(
    storage: PatientStorage,
    name: str,
    prefix: str,
    facts: Mapping[str, str],
    goals: Sequence[Goal],
    space: Mapping[str, Range],
) -> Study:
    """The study of this name, made where there is none; without a name, the one of these facts.

    Args:
        prefix: what the name begins with that is made of the facts.

    Raises:
        UserError: the study of this name is another search, or this search has another name.
    """
    everything = {**facts, "goals": ",".join(goal.metric for goal in goals)}
    identity = hashlib.sha256(json.dumps(sorted(everything.items())).encode()).hexdigest()
    ranges = {key: str(each) for key, each in sorted(space.items())}
    name = name or f"{prefix}-{identity[:10]}"
    with exclusively(storage):
        for other in storage.get_all_studies():
            attributes = other.user_attrs
            if other.study_name == name and "identity" not in attributes:
                raise UserError(f"study={name} was not made by this project: give another name")
            if other.study_name == name and attributes["facts"] != everything:
                raise UserError(
                    f"study={name} is another search ({_changes(attributes['facts'], everything)}): "
                    "give what it was started with, or another study"
                )
            if other.study_name == name and attributes["space"] != ranges:
                raise UserError(
                    f"study={name} has another space ({_changes(attributes['space'], ranges)}): "
                    "give the same, or another study"
                )
            same = attributes.get("identity") == identity and attributes.get("space") == ranges
            if other.study_name != name and same:
                raise UserError(
                    f"study={name}: this very search is there already, as study={other.study_name}: go on with that, "
                    "or give another seed for an independent one"
                )
        directions: list[Any] = [goal.direction for goal in goals]
        study = optuna.create_study(storage=storage, study_name=name, directions=directions, load_if_exists=True)
        if "identity" not in study.user_attrs:
            for key, value in {"facts": everything, "space": ranges, "identity": identity}.items():
                study.set_user_attr(key, value)
    return Study(study, storage, tuple(goals), everything)


def _changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    keys = sorted(key for key in {*was, *now} if was.get(key) != now.get(key))
    parts = [f"{key} was {_short(was.get(key))}, now {_short(now.get(key))}" for key in keys]
    return "; ".join(parts[:3]) + (f" and {len(parts) - 3} more" if len(parts) > 3 else "")


def _short(value: Any) -> str:
    text = "not there" if value is None else str(value)
    return text if len(text) <= 24 else text[:12] + "..."
