"""`mlflow run . -b host` and `-b cuda`: MLproject's entry points in this Python, or in the trainer's container."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from click.exceptions import Exit
from mlflow.entities import Run, RunStatus
from mlflow.exceptions import MlflowException
from mlflow.projects.backend.abstract_backend import AbstractBackend
from mlflow.projects.submitted_run import SubmittedRun
from mlflow.projects.utils import (
    PROJECT_DOCKER_ARGS,
    PROJECT_STORAGE_DIR,
    fetch_and_validate_project,
    get_entry_point_command,
    get_or_create_run,
    get_run_env_vars,
    load_project,
)

from derm_ml.config.paths import Given, given_paths
from derm_ml.errors import UserError
from derm_ml.tracking import container, preflight
from derm_ml.tracking.server import absolute, check_login, check_server, tracking_uri


@dataclass(frozen=True)
class Job:
    """One entry point, ready to start: nothing in it has been through a shell."""

    work_dir: Path
    image: str
    parameters: dict[str, str]
    docker_args: dict[str, Any]
    given: list[Given]  # parameters that name files, and those of its plan


@dataclass(frozen=True)
class Ending:
    """How a process ended.

    Attributes:
        code: exit code, negative for a signal's number.
        reason: in words, for the run of a process that could not say it itself.
    """

    code: int
    reason: str


class WaitingBackend(AbstractBackend):  # type: ignore[misc]
    """Checks, makes the run, starts the process, waits, and leaves no run RUNNING.

    MLproject allows one environment field only, and docker_env overrides --env-manager: hence a backend. `mlflow
    run` waits for its own backends only, so these wait themselves. A `resume` parameter is the run to go on in, so
    no second run is made.
    """

    @abstractmethod
    def check(self, job: Job) -> None:
        """Raise UserError for what would make the job fail; no run exists yet."""

    @abstractmethod
    def execute(self, job: Job, words: list[str], run: Run, environment: dict[str, str]) -> Ending:
        """Start the process and wait until it has ended, whatever signals come."""

    def run(
        self,
        project_uri: str,
        entry_point: str,
        params: dict[str, Any],
        version: str | None,
        backend_config: dict[str, Any],
        tracking_uri: str,
        experiment_id: str,
    ) -> SubmittedRun:
        """Run the entry point; the exit code of its process becomes that of `mlflow run`."""
        try:
            uri = _absolute()
            check_server(uri)
            check_login(uri)
            work_dir = fetch_and_validate_project(project_uri, version, entry_point, params)
            project = load_project(work_dir)
            asked = {key: str(value) for key, value in params.items()}
            given = given_paths(asked, Path.cwd())
            for each in given:
                each.check()
            parameters = asked | {each.name: str(each.path) for each in given if each.name in asked and not each.plan}
            job = Job(
                Path(work_dir),
                (project.docker_env or {}).get("image", ""),
                parameters,
                backend_config.get(PROJECT_DOCKER_ARGS) or {},
                given,
            )
            self.check(job)
        except UserError as error:
            print(f"derm-ml: {error}", file=sys.stderr)
            raise Exit(2) from error
        resume = parameters.get("resume") or None
        try:
            run = get_or_create_run(resume, project_uri, experiment_id, work_dir, version, entry_point, parameters)
        except MlflowException as error:  # a guest, or a run to resume that is not there
            print(f"derm-ml: the server gives no run: {error.message.splitlines()[0]}", file=sys.stderr)
            raise Exit(2) from error
        try:
            storage = backend_config.get(PROJECT_STORAGE_DIR)
            command = get_entry_point_command(project, entry_point, parameters, storage)
            words = [word for part in command for word in shlex.split(part)]
            variables = get_run_env_vars(run.info.run_id, experiment_id)
            ending = self.execute(job, words, run, {key: str(value) for key, value in variables.items()})
        except BaseException as error:
            _fail(run.info.run_id, str(error))
            raise
        _close(run.info.run_id, ending)
        return _Ended(run.info.run_id)


class HostBackend(WaitingBackend):
    """In a child process of this Python environment, without the project's container."""

    def check(self, job: Job) -> None:
        """Nothing more: the entry point checks its own input."""

    def execute(self, job: Job, words: list[str], run: Run, environment: dict[str, str]) -> Ending:
        """The child gets Ctrl-C from the terminal, as this process does."""
        # `python` in MLproject is the interpreter that runs this.
        command = [sys.executable, *words[1:]] if words[0] == "python" else words
        process = subprocess.Popen(command, cwd=job.work_dir, env=os.environ | environment)
        code = None
        while code is None:
            try:
                code = process.wait()
            except KeyboardInterrupt:  # the child got it too, and is closing its run
                continue
        return Ending(code, f"signal {-code} (killed; out of memory?)" if code == -9 else _words(code))


class CudaBackend(WaitingBackend):
    """In the container that MLproject names, with GPUs, mounts, network and credentials that it cannot declare."""

    def check(self, job: Job) -> None:
        """Engine, image, GPU, data and disk, each failure one line with its cure."""
        preflight.check_engine()
        preflight.check_image(job.image, job.work_dir)
        for each in job.given:
            preflight.check_mountable(each.name, each.read)
        preflight.check_disk(container.folders(job.work_dir))
        if job.parameters.get("device") != "cpu":
            preflight.check_gpu(job.image)

    def execute(self, job: Job, words: list[str], run: Run, environment: dict[str, str]) -> Ending:
        """`docker create`, start, wait, remove."""
        spec = container.specify(
            image=job.image,
            work_dir=job.work_dir,
            reads=[each.read for each in job.given],
            s3=any(value.startswith("s3://") for value in job.parameters.values()),
            gpus=job.parameters.get("device") != "cpu",
            tracking_uri=os.environ["MLFLOW_TRACKING_URI"],
            artifact_uri=str(run.info.artifact_uri),
            overrides=job.docker_args,
        )
        code, out_of_memory = container.run(spec, words, f"derm-ml-{run.info.run_id}", environment)
        if out_of_memory:
            return Ending(code, "out of memory, the container reached its limit: give it more (-A memory=16g)")
        return Ending(code, _words(code))


class _Ended(SubmittedRun):  # type: ignore[misc]
    """A run whose process has ended well."""

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self._run_id = run_id

    @property
    def run_id(self) -> str:
        """The run's ID."""
        return self._run_id

    def wait(self) -> bool:
        """At once."""
        return True

    def get_status(self) -> int:
        """FINISHED."""
        return int(RunStatus.FINISHED)

    def cancel(self) -> None:
        """There is nothing left to cancel."""


def _close(run_id: str, ending: Ending) -> None:
    """The process ends its run itself; one that was killed could not, so its run is ended here.

    Raises:
        Exit: the exit code was not 0 (click's exception, which `mlflow run` turns into its own code).
    """
    status = mlflow.MlflowClient().get_run(run_id).info.status
    if not RunStatus.is_terminated(RunStatus.from_string(status)):
        if ending.code == 0:
            mlflow.MlflowClient().set_terminated(run_id, "FINISHED")
        else:
            _fail(run_id, f"the process ended before it could close its run: {ending.reason}")
    if ending.code:
        raise Exit(ending.code if ending.code > 0 else 128 - ending.code)


def _words(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _fail(run_id: str, reason: str) -> None:
    """FAILED, with the nested runs that its process had open."""
    client = mlflow.MlflowClient()
    run = client.get_run(run_id)
    search = run.data.tags.get("search.run", "")  # what it worked for, when it had joined a search
    for parent in filter(None, (run_id, search)):
        nested = f"tags.`mlflow.parentRunId` = '{parent}' AND attributes.status = 'RUNNING'"
        open_runs = client.search_runs([run.info.experiment_id], nested)
        others = [each for each in open_runs if each.data.tags.get("search.worker", parent) != run_id]
        for each in open_runs:
            if each not in others:
                client.set_tag(each.info.run_id, "error", reason[:5000])
                client.set_terminated(each.info.run_id, "FAILED")
        if parent == search and not others:
            client.set_terminated(search, "KILLED")
    client.set_tag(run_id, "error", reason[:5000])
    client.set_terminated(run_id, "FAILED")
    print(f"derm-ml: {reason}", file=sys.stderr)


def _absolute() -> str:
    """The tracking URI, absolute also for the child, whose working directory is the project's; so are studies."""
    os.environ.setdefault("MLFLOW_TRACKING_URI", mlflow.get_tracking_uri())
    uri = tracking_uri()
    os.environ["MLFLOW_TRACKING_URI"] = uri
    mlflow.set_tracking_uri(uri)
    if studies := os.environ.get("DERM_ML_STUDIES"):
        os.environ["DERM_ML_STUDIES"] = absolute(studies)
    return uri
