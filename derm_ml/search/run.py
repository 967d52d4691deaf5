"""A search from its study to its registered encoder; any number of processes share it, and any may be the last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from optuna.exceptions import StorageInternalError

from derm_ml.config import SearchConfig
from derm_ml.errors import UserError
from derm_ml.pipelines.setup import Setting
from derm_ml.progress import note_line
from derm_ml.search.local import start_workers
from derm_ml.search.record import save_record, share_saved, trials_table
from derm_ml.search.storage import exclusively, open_storage, studies_uri
from derm_ml.search.study import Counts, Study, index_of, open_study
from derm_ml.search.worker import Task, Worker, trial_name
from derm_ml.tracking.base import Tracker

# Fields that say where and how long, not what: the same search on another machine may differ in them.
MACHINE = ("data", "backbone", "device", "precision", "experiment", "split_seed", "resume", "space", "objective")
BUDGET = ("trials", "hours", "study", "workers")


class Found(NamedTuple):
    """What a search found so far."""

    study: Study
    counts: Counts
    best: Mapping[str, float]  # goals and parameters of the best trial; empty where none is complete
    trial: int
    encoder: str  # URI of the registered encoder, or empty
    saved: float  # share of the epochs that pruning spared
    front: tuple[int, ...]  # with two goals, the trials that no other beats in both


def facts_of(config: SearchConfig, setting: Setting, backbone: str, searched: Mapping[str, object]) -> dict[str, str]:
    """What values of a study must share to be comparable: data, split, architecture, and every setting not searched."""
    own = [item.name for item in fields(config) if item.name not in (*MACHINE, *BUDGET, *searched)]
    facts = {"data": setting.dataset.fingerprint, "split": setting.dataset.split_id, "backbone": backbone}
    return facts | {name: str(getattr(config, name)) for name in own}


def search(
    config: SearchConfig,
    task: Task,
    facts: Mapping[str, str],
    prefix: str,
    tracker: Tracker,
    runs: Path,
    alive: Callable[[], None] = lambda: None,
) -> Found:
    """Start or join the study, work until its budget is spent, then log and register what it found.

    Args:
        facts: see `facts_of`. prefix: of the study's name, where none was given.
        tracker: this process's own run; the first process's becomes the search's, which trials are nested in.
        runs: where runs keep their checkpoints. alive: raises when this worker should stop.

    Raises:
        UserError: the study is another search, or its database does not answer.
    """
    storage = open_storage(studies_uri(runs))
    study = open_study(storage, config.study, prefix, {"entry": task.entry, **facts}, task.goals, task.space)
    with exclusively(storage):
        owner = study.optuna.user_attrs.get("run")
        if owner is None:
            study.optuna.set_user_attr("run", tracker.run_id)
    run = tracker if owner in (None, tracker.run_id) else tracker.join(owner)
    run.set_tags({"search.study": study.name, "search.goals": ",".join(goal.name for goal in task.goals)})
    spent = study.counts().spent
    note_line(
        f"study {study.name}: " + (f"goes on, {spent} of {config.trials} trials are spent" if spent else "begins")
    )
    folder = runs / run.run_id
    deadline = study.deadline(config.hours)
    try:
        if config.workers > 1:
            start_workers(config, task.entry, study, tracker.run_id, folder)
        else:
            worked = Worker(study, task, run, tracker.run_id, folder, config.seed, alive)
            worked.work(config.trials, deadline)
    except BaseException:
        storage.patient = False
        with suppress(StorageInternalError):
            if run is not tracker and not study.counts().running:
                run.close("KILLED")
        raise
    found = _conclude(study, task, run)
    if run is not tracker:
        run.close("FINISHED")
    storage.close()
    return found


def _conclude(study: Study, task: Task, run: Tracker) -> Found:
    """Figures, table and the best trial's encoder; done once, by whichever worker comes first."""
    with exclusively(study.storage):
        counts, best = study.counts(), study.best()
        table = trials_table(study, task.epochs)
        saved = share_saved(table, task.epochs)
        encoder = str(study.optuna.user_attrs.get("encoder", ""))
        if study.optuna.user_attrs.get("concluded") != counts.spent:
            run.log_metrics({"search/epochs_saved": saved}, step=counts.spent)
            with TemporaryDirectory() as temporary:
                for path in save_record(study, task.epochs, Path(temporary)):
                    run.log_file(path, "search")
            if best:
                encoder = _register(study, task, run)
                tags = {f"best.{name}": f"{value:.6g}" for name, value in best[0].params.items()}
                own = {"best.trial": str(index_of(best[0]))} | ({"best.encoder": encoder} if encoder else {})
                run.set_tags(tags | own)
            run.flush()
            study.optuna.set_user_attr("concluded", counts.spent)
    if not best:
        return Found(study, counts, {}, -1, "", saved, ())
    front = tuple(index_of(trial) for trial in study.optuna.best_trials) if len(task.goals) > 1 else ()
    named = {goal.name: value for goal, value in zip(task.goals, best[0].values, strict=True)}
    return Found(study, counts, named | best[0].params, index_of(best[0]), encoder, saved, front)


def _register(study: Study, task: Task, run: Tracker) -> str:
    best = study.best()[0]
    if study.optuna.user_attrs.get("registered") == best.number:
        return str(study.optuna.user_attrs["encoder"])
    with TemporaryDirectory() as folder, run.child(trial_name(index_of(best)), resume=True) as child:
        uri = task.register(dict(best.params), best.user_attrs["metrics"], child, Path(folder))
    study.optuna.set_user_attr("encoder", uri)
    study.optuna.set_user_attr("registered", best.number)
    return uri


def told(found: Found, trials: int) -> str:
    """What the command line says at the end."""
    counts = found.counts
    ended = f"{counts.complete} complete, {counts.pruned} pruned ({found.saved:.0%} of the epochs saved)"
    spent = f"{counts.spent} of {trials} trials"
    if counts.spent > trials:
        spent = f"{counts.spent} trials, more than the {trials} asked for"
    elif counts.spent < trials:
        spent += " (its hours are over)"
    text = f"search {found.study.name}: {spent}, {ended}, {counts.failed} failed"
    if not found.best:
        raise UserError(f"{text}: no trial came to its end; their runs say why. Try a smaller learning rate or space")
    values = ", ".join(f"{name} {value:.4g}" for name, value in found.best.items())
    if found.front:
        listed = ", ".join(f"trial {number}" for number in sorted(found.front))
        text += f"\nPareto front: {listed}; the best is that of the first goal"
    return f"{text}\nbest: trial {found.trial}: {values}" + (
        f"; registered as {found.encoder}" if found.encoder else ""
    )
