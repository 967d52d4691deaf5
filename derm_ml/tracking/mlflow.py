"""MLflow behind the Tracker protocol: every write names its run, nothing global but the tracking URI."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.time import get_current_time_millis

import derm_ml
from derm_ml.errors import UserError
from derm_ml.tracking.base import DatasetRecord, EncoderRecord
from derm_ml.tracking.names import cut, escape, whole_name_tag, writable
from derm_ml.tracking.provenance import environment, source_tags
from derm_ml.tracking.registry import register_encoder
from derm_ml.tracking.runs import connect, ended_with_its_block, known_run, reopen

FLUSH_EVERY = 2.0  # seconds
CONTEXTS = {"train": "training", "val": "validation", "test": "testing"}
logging.getLogger("mlflow.system_metrics").setLevel(logging.ERROR)


class MlflowTracker:
    """One MLflow run.

    Args:
        resumed: the run has a past: a step that it holds already is not written again (an interruption may fall
            between an epoch's metrics and its checkpoint; that epoch is then trained a second time).
    """

    def __init__(self, client: MlflowClient, run: Run, *, resumed: bool = False) -> None:
        self.client, self._run, self._resumed = client, run, resumed
        self._last_step: dict[str, int] = {}
        self._waiting: list[Metric] = []
        self._cut: set[str] = set()  # keys whose whole name this has written
        self._flushed = time.monotonic()

    @property
    def run_id(self) -> str:
        """The run's ID."""
        return str(self._run.info.run_id)

    def log_params(self, params: Mapping[str, object]) -> None:
        """Immutable in MLflow: logging another value over one raises, naming the key."""
        rows = [Param(self._key(key), writable(str(value))) for key, value in params.items()]
        try:
            self.client.log_batch(self.run_id, params=rows)
        except MlflowException as error:
            if "immutable" not in str(error) and "Changing param" not in str(error):
                raise
            logged = self.client.get_run(self.run_id).data.params
            changed = [row.key for row in rows if logged.get(row.key, row.value) != row.value]
            raise UserError(
                f"run {self.run_id} was started with other parameters ({', '.join(changed)}): resume with the same"
            ) from error
        self.log_text(
            json.dumps(dict(params), indent=1, default=str), f"config/{next(iter(params)).split('.')[0]}.json"
        )

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Collected, and written at most every two seconds: short epochs do not wait for the server."""
        now = get_current_time_millis()
        keys = {self._key(name): value for name, value in metrics.items()}
        new = {key: value for key, value in keys.items() if not (self._resumed and step <= self._last(key))}
        self._waiting += [Metric(key, float(value), now, step) for key, value in new.items()]
        if time.monotonic() - self._flushed > FLUSH_EVERY:
            self.flush()

    def _key(self, name: str) -> str:
        """The name escaped; the whole of one that had to be cut is written beside it, once."""
        key = escape(name)
        if cut(key) and key not in self._cut:
            self._cut.add(key)
            self.client.set_tag(self.run_id, whole_name_tag(key), writable(name)[:5000])
        return key

    def _last(self, key: str) -> int:
        """The last step that the run held of a metric when it was resumed; -1 for none."""
        if key not in self._last_step:
            history = self.client.get_metric_history(self.run_id, key)
            self._last_step[key] = max((row.step for row in history), default=-1)
        return self._last_step[key]

    def flush(self) -> None:
        """Write what is waiting, 1,000 rows a request (MLflow's limit)."""
        while self._waiting:
            self.client.log_batch(self.run_id, metrics=self._waiting[:1000])
            del self._waiting[:1000]
        self._flushed = time.monotonic()

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set or overwrite."""
        rows = [RunTag(self._key(name), writable(str(value))[:5000]) for name, value in tags.items()]
        self.client.log_batch(self.run_id, tags=rows)

    def log_file(self, path: Path, folder: str = "") -> None:
        """A file as an artifact."""
        self.client.log_artifact(self.run_id, str(path), folder or None)

    def log_text(self, text: str, name: str) -> None:
        """Text as the artifact `name`."""
        self.client.log_text(self.run_id, text.encode("utf-8", "backslashreplace").decode(), name)

    def log_dataset(self, record: DatasetRecord) -> None:
        """A dataset input for each split, and the split as data/split.csv."""
        source = json.dumps({"uri": record.source})
        inputs = []
        for split, context in CONTEXTS.items():
            profile = json.dumps(
                {"images": record.counts[split], "fingerprint": record.fingerprint, "split": record.split_id}
            )
            dataset = Dataset(f"{record.name}-{split}", record.fingerprint[:32], "local", source, profile=profile)
            inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", context)]))
        self.client.log_inputs(self.run_id, datasets=inputs)
        self.log_text(record.table.drop(columns="code").to_csv(index=False), "data/split.csv")

    def log_encoder(self, record: EncoderRecord) -> str:
        """Logged as pt2 and safetensors, registered; see `registry`."""
        return register_encoder(self.client, self._run, record)

    def fetch_file(self, name: str, folder: Path) -> Path:
        """Download an artifact."""
        folder.mkdir(parents=True, exist_ok=True)
        return Path(self.client.download_artifacts(self.run_id, name, str(folder)))

    @contextmanager
    def child(
        self, name: str, tags: Mapping[str, str] | None = None, *, resume: bool = False
    ) -> Iterator[MlflowTracker]:
        """A nested run that ends with its block."""
        all_tags = {"mlflow.parentRunId": self.run_id, "mlflow.source.type": "PROJECT", **(tags or {})}
        run = self._nested(name) if resume else None
        if run:
            reopen(self.client, run.info.run_id)
            self.client.log_batch(run.info.run_id, tags=[RunTag(key, value) for key, value in all_tags.items()])
        tracker = MlflowTracker(
            self.client,
            run or self.client.create_run(self._run.info.experiment_id, tags=all_tags, run_name=name),
            resumed=run is not None,
        )
        with ended_with_its_block(tracker.client, tracker.run_id, tracker.flush):
            yield tracker

    def join(self, run_id: str) -> MlflowTracker:
        """Another run, open again if it had ended; this one says which it works for."""
        run = known_run(self.client, run_id)
        if run.info.status != "RUNNING":
            reopen(self.client, run_id)
        self.set_tags({"search.run": run_id, "mlflow.runName": f"worker of {run.info.run_name}"})
        return MlflowTracker(self.client, run)

    def close(self, status: str) -> None:
        """End a joined run."""
        self.flush()
        self.client.set_terminated(self.run_id, status)

    def _nested(self, name: str) -> Run | None:
        wanted = f"tags.`mlflow.parentRunId` = '{self.run_id}' AND attributes.run_name = '{name}'"
        found = self.client.search_runs([self._run.info.experiment_id], wanted, max_results=1)
        return found[0] if found else None


@contextmanager
def open_run(experiment: str, name: str, resume: str = "", *, more: bool = False) -> Iterator[MlflowTracker]:
    """The run that `mlflow run` made (MLFLOW_RUN_ID), the one to resume, or a new one.

    Args:
        more: there is more to do in a run that has finished, if it is one to resume.

    Raises:
        UserError: the server does not answer, there is no such run, or the one to resume has finished.
    """
    client = connect()
    given = os.environ.get("MLFLOW_RUN_ID", "")
    run_id = resume or given
    if run_id:
        try:
            run = client.get_run(run_id)
        except MlflowException as error:
            raise UserError(f"resume={run_id}: there is no such run on this tracking server") from error
        if resume and not more and run.info.status == "FINISHED":
            raise UserError(f"resume={resume}: this run has finished: there is nothing to go on with")
        _check_image(run)
        if resume and given and given != resume:
            client.set_tag(given, "resumed", resume)
            client.set_terminated(given, "FINISHED")
        drawn = re.fullmatch(r"[a-z]+-[a-z]+-\d+", run.info.run_name or "")  # a name that MLflow made up
        reopen(client, run_id, name if drawn else None)
    else:
        run = client.create_run(_experiment_id(client, experiment), run_name=name, tags=source_tags())
    # MLflow's UI then opens on training runs and their charts.
    client.set_experiment_tag(run.info.experiment_id, "mlflow.experimentKind", "custom_model_development")
    tracker = MlflowTracker(client, run, resumed=bool(resume))
    ended = ended_with_its_block(client, tracker.run_id, tracker.flush)
    with ended, _system_metrics(tracker.run_id, resumed=bool(resume)):
        tracker.log_text(environment(), "environment.txt")
        yield tracker


def attach(run_id: str) -> MlflowTracker:
    """A run that another process has opened and will end."""
    client = connect()
    return MlflowTracker(client, known_run(client, run_id))


def _check_image(run: Run) -> None:
    """The trainer image's own code is of the commit that `mlflow run` has tagged the run with."""
    image = Path(derm_ml.__file__).parents[1] / "COMMIT"  # written when the image was built, there only
    built, tagged = image.read_text().strip() if image.is_file() else "", run.data.tags.get("mlflow.source.git.commit")
    if built and tagged and built != tagged:
        raise UserError(
            f"the trainer image holds commit {built[:9]}, the project is at {tagged[:9]}: "
            "docker compose build trainer, or use -b cuda, which runs the project's own files"
        )


def _experiment_id(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name))


@contextmanager
def _system_metrics(run_id: str, *, resumed: bool) -> Iterator[None]:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(run_id, resume_logging=resumed)
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()
