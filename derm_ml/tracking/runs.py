"""A run's states: opened again, ended with its block, failed from outside; and the client of the server that has it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run, RunStatus
from mlflow.exceptions import MlflowException

from derm_ml.errors import UserError
from derm_ml.tracking.server import check_login, check_server, tracking_uri


def connect() -> MlflowClient:
    """A client of the tracking server, which is asked first whether it is there."""
    uri = tracking_uri()
    check_server(uri)
    check_login(uri)
    if not sys.stderr.isatty():
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    mlflow.set_tracking_uri(uri)
    if not uri.startswith("sqlite:///"):
        return MlflowClient(uri)
    from filelock import FileLock

    # it makes the tables of a new file: one process at a time, where several are started together
    with FileLock(uri.removeprefix("sqlite:///") + ".lock"):
        return MlflowClient(uri)


def known_run(client: MlflowClient, run_id: str) -> Run:
    """The run.

    Raises:
        UserError: it is not on this server.
    """
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        raise UserError(
            f"run {run_id} is not on this tracking server: set MLFLOW_TRACKING_URI to the one it was started on (or "
            "give a search another name with study=)"
        ) from error


def reopen(client: MlflowClient, run_id: str, name: str | None = None) -> None:
    """RUNNING again, without the reason for which it had ended."""
    client.update_run(run_id, status="RUNNING", name=name)
    with suppress(MlflowException):
        client.delete_tag(run_id, "error")


@contextmanager
def ended_with_its_block(client: MlflowClient, run_id: str, flush: Callable[[], None]) -> Iterator[None]:
    """FINISHED, KILLED on Ctrl-C, FAILED with its reason on an exception: never left RUNNING.

    Args:
        flush: writes what is waiting; it is called before the run ends, whatever ends it.
    """
    try:
        try:
            yield
        finally:
            flush()
    except KeyboardInterrupt:
        client.set_tag(run_id, "error", "interrupted")
        client.set_terminated(run_id, "KILLED")
        raise
    except BaseException as error:
        client.set_tag(run_id, "error", one_line(error))
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id, "FINISHED")


def one_line(error: BaseException) -> str:
    """The message for a tag: what the user saw, or the kind of the exception and its first line."""
    if isinstance(error, UserError):
        return str(error)
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:500]


def fail_run(run_id: str, message: str) -> None:
    """End a run that `mlflow run` made before its child could open it; one that has ended is left as it is."""
    client = connect()
    if RunStatus.is_terminated(RunStatus.from_string(client.get_run(run_id).info.status)):
        return
    client.set_tag(run_id, "error", message[:5000])
    client.set_terminated(run_id, "FAILED")
