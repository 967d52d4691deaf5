"""`mlflow run . -b host`: MLproject's entry points in this Python environment, without its container."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import mlflow
from click.exceptions import Exit
from mlflow.entities import RunStatus
from mlflow.projects.backend.abstract_backend import AbstractBackend
from mlflow.projects.backend.local import _run_entry_point
from mlflow.projects.submitted_run import SubmittedRun
from mlflow.projects.utils import (
    PROJECT_STORAGE_DIR,
    fetch_and_validate_project,
    get_entry_point_command,
    get_or_create_run,
    load_project,
)

from derm_ml.errors import UserError
from derm_ml.tracking.server import check_server, tracking_uri


class HostBackend(AbstractBackend):  # type: ignore[misc]
    """MLflow's local backend with the project's docker_env taken off.

    MLproject allows one environment field only, and docker_env overrides --env-manager: hence a backend. A
    `resume` parameter is the run to go on in, so no second run is made.
    """

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
        """Run the entry point in a child process and wait: `mlflow run` waits for its own backends only."""
        try:
            uri = _absolute()
            check_server(uri)
        except UserError as error:
            print(f"derm-ml: {error}", file=sys.stderr)
            raise Exit(2) from error
        work_dir = fetch_and_validate_project(project_uri, version, entry_point, params)
        project = load_project(work_dir)
        parameters = {key: _from_here(key, str(value)) for key, value in params.items()}
        resume = parameters.get("resume") or None
        run = get_or_create_run(resume, project_uri, experiment_id, work_dir, version, entry_point, parameters)
        run_id = run.info.run_id
        try:
            storage = backend_config.get(PROJECT_STORAGE_DIR)
            command = get_entry_point_command(project, entry_point, parameters, storage)
            # `python` in MLproject is the interpreter that runs this.
            os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
            started: SubmittedRun = _run_entry_point(" ".join(command), work_dir, experiment_id, run_id=run_id)
        except BaseException as error:
            _fail(run_id, str(error))
            raise
        _wait(started, run_id)
        return started


def _wait(started: SubmittedRun, run_id: str) -> None:
    """Wait for the child; its exit code becomes that of `mlflow run`.

    The child ends its run itself; one that was killed could not, so its run is ended here.

    Raises:
        Exit: the child's exit code was not 0 (click's exception, which `mlflow run` turns into its own code).
    """
    process = started.command_proc  # type: ignore[attr-defined]
    while True:
        try:
            code = process.wait()
            break
        except KeyboardInterrupt:  # the child got it too, and is closing its run
            continue
    status = mlflow.MlflowClient().get_run(run_id).info.status
    if not RunStatus.is_terminated(RunStatus.from_string(status)):
        if code == 0:
            mlflow.MlflowClient().set_terminated(run_id, "FINISHED")
        else:
            _fail(run_id, f"the process ended with {_ending(code)} before it could close its run")
    if code:
        raise Exit(code if code > 0 else 128 - code)


def _ending(code: int) -> str:
    if code == -9 or code == 137:
        return "signal 9 (killed; out of memory?)"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _fail(run_id: str, reason: str) -> None:
    client = mlflow.MlflowClient()
    client.set_tag(run_id, "error", reason[:5000])
    client.set_terminated(run_id, "FAILED")


def _absolute() -> str:
    """The tracking URI, absolute also for the child, whose working directory is the project's."""
    os.environ.setdefault("MLFLOW_TRACKING_URI", mlflow.get_tracking_uri())
    uri = tracking_uri()
    os.environ["MLFLOW_TRACKING_URI"] = uri
    mlflow.set_tracking_uri(uri)
    return uri


def _from_here(name: str, value: str) -> str:
    """A path that exists where the user stands, absolute; anything else as it is."""
    if name in ("data", "encoder", "imagenet_weights") and value and Path(value).exists():
        return str(Path(value).absolute())
    return value
