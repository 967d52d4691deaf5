"""Where studies are kept: a database that workers share, whose absence they wait out."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
import tenacity
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

from derm_ml.errors import UserError
from derm_ml.progress import note_line

KILLS = 3  # a trial whose workers were killed that often beyond the first time is given up
LOCK = 0x6465726D  # the advisory lock's key ("derm")


class NothingWaits(RuntimeError):
    """No trial of the study waits for a worker."""


def _delegate(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self.patiently(getattr(self.inner, name), *args, **kwargs)

    return method


_METHODS = BaseStorage.__abstractmethods__ | BaseHeartbeat.__abstractmethods__ | {"remove_session"}
_Patient: Any = type("_Patient", (BaseStorage, BaseHeartbeat), {name: _delegate(name) for name in _METHODS})


class PatientStorage(_Patient):  # type: ignore[misc]
    """Optuna's database storage, with four differences.

    What the database does not answer is asked again until it does. Trials are only made from a template, so that
    workers cannot start more of them than were asked for (`Study.hand_out`), and are taken one at a time. A worker that
    was killed between taking a trial and its first heartbeat leaves no heartbeat at all: such a trial is stale as well,
    a grace period after it was first seen so.
    """

    def __init__(self, uri: str, heartbeat: int) -> None:
        self.uri, self.grace = uri, 4 * heartbeat
        sqlite = uri.startswith("sqlite")
        # a connection that died while it was idle is replaced; SQLite's writers wait for each other
        kwargs: dict[str, Any] = {"connect_args": {"timeout": 120}} if sqlite else {"pool_pre_ping": True}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            again = RetryHeartbeatStaleTrialCallback(KILLS, inherit_intermediate_values=True)
            self.database = RDBStorage(
                uri,
                kwargs,
                heartbeat_interval=heartbeat,
                grace_period=self.grace,
                heartbeat_stale_trial_callback=again,
            )
        self.inner = optuna.storages.get_storage(self.database)
        self.patient = True  # False once the worker is leaving: it then gives the database five seconds
        self._silent_since: dict[int, float] = {}
        self._back = float("-inf")  # when the database last came back

    def patiently(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call until the database answers, every two seconds; says so once, and once when it is back."""
        said = [False]

        def say(state: tenacity.RetryCallState) -> None:
            if not said[0] and state.outcome:
                reason = _reason(state.outcome.exception())
                note_line(f"the studies' database does not answer ({reason}): waiting for it")
                said[0] = True

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_outage),
            wait=tenacity.wait_fixed(2),
            stop=lambda state: not self.patient and (state.seconds_since_start or 0) > 5,
            before_sleep=say,
            reraise=True,
        )
        answer = retrying(call, *args, **kwargs)
        if said[0]:
            note_line("the studies' database is back")
            self._back = time.monotonic()
        return answer

    def close(self) -> None:
        """Close the connections; it opens others when it is used again."""
        self.database.engine.dispose()

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """From a template only.

        Raises:
            NothingWaits: there is no template.
        """
        if template_trial is None:
            raise NothingWaits
        return int(super().create_new_trial(study_id, template_trial))

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Taking a trial is its first heartbeat; an ending that is stored already is no error when it is this one."""
        if state == TrialState.RUNNING:
            taken = False
            # in SQLite Optuna's own check is none: two workers took the same trial
            with exclusively(self), suppress(UpdateFinishedTrialError):
                taken = bool(super().set_trial_state_values(trial_id, state, values))
            if taken:
                self.record_heartbeat(trial_id)
            return taken
        try:
            return bool(super().set_trial_state_values(trial_id, state, values))
        except UpdateFinishedTrialError:
            if self.database.get_trial(trial_id).state != state or state == TrialState.FAIL:
                raise
            return True  # the answer to the first try was lost on the way

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        stale: list[int] = super()._get_stale_trial_ids(study_id)
        running = {trial._trial_id for trial in self.get_all_trials(study_id, False, (TrialState.RUNNING,))}
        silent = running - self.patiently(self._beating)
        now = time.monotonic()
        if (
            now - self._back < self.grace
        ):  # nobody could beat while the database was away: let the living be heard first
            return []
        self._silent_since = {each: self._silent_since.get(each, now) for each in silent}
        return stale + [each for each, since in self._silent_since.items() if now - since > self.grace]

    def _beating(self) -> set[int]:
        with self.database.engine.connect() as connection:
            return set(connection.execute(sqlalchemy.text("SELECT trial_id FROM trial_heartbeats")).scalars())


def _is_outage(error: BaseException) -> bool:
    return _database_error(error) is not None


def _database_error(error: BaseException | None) -> BaseException | None:
    """What the database's driver said, however often Optuna and SQLAlchemy wrapped it or failed in its wake."""
    while error and not isinstance(error, OperationalError | InterfaceError):
        error = error.__cause__ or error.__context__
    return error


def _reason(error: BaseException | None) -> str:
    cause = _database_error(error) or error
    lines = str(getattr(cause, "orig", cause)).strip().splitlines()
    return lines[0] if lines else type(cause).__name__


def studies_uri(folder: Path) -> str:
    """DERM_ML_STUDIES, else an SQLite file among the checkpoints.

    Raises:
        UserError: neither SQLite nor PostgreSQL.
    """
    uri = os.environ.get("DERM_ML_STUDIES") or f"sqlite:///{(folder / 'studies.db').absolute()}"
    kind, _, rest = uri.partition("://")
    if kind in ("postgresql", "postgres", "postgresql+psycopg"):
        uri = f"postgresql+psycopg://{rest}"
    try:
        known = sqlalchemy.make_url(uri).get_backend_name() in ("sqlite", "postgresql")
    except (ValueError, SQLAlchemyError):
        known = False
    if not known:
        raise UserError("DERM_ML_STUDIES is no address: write postgresql://USER@HOST:PORT/NAME or sqlite:///FILE")
    return uri


def open_storage(uri: str) -> PatientStorage:
    """Connect, making the tables where there are none.

    Raises:
        UserError: it does not answer now, or refuses; once it has answered, workers wait for it.
    """
    shown = sqlalchemy.make_url(uri).render_as_string(hide_password=True)
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # what became of a trial the worker says, in one line
    if uri.startswith("sqlite:///"):
        folder = Path(uri.removeprefix("sqlite:///")).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: cannot be written ({error.strerror}): set DERM_ML_RUNS to a folder") from error
    else:
        os.environ.setdefault("PGCONNECT_TIMEOUT", "10")
    heartbeat = os.environ.get("DERM_ML_HEARTBEAT") or "15"
    if not heartbeat.isdecimal() or int(heartbeat) < 1:
        raise UserError(f"DERM_ML_HEARTBEAT={heartbeat} does not fit: whole seconds, at least 1")
    try:
        with _locked(uri):
            return PatientStorage(uri, int(heartbeat))
    except (SQLAlchemyError, StorageInternalError) as error:
        cure = "start it, or set DERM_ML_STUDIES and PGPASSWORD"
        raise UserError(f"the studies' database {shown} cannot be used ({_reason(error)}): {cure}") from error
    except RuntimeError as error:  # Optuna: the tables are another version's
        raise UserError(f"the studies' database {shown}: {str(error).splitlines()[0]}") from error


@contextmanager
def exclusively(storage: PatientStorage) -> Iterator[None]:
    """One process at a time, on all machines."""
    with ExitStack() as stack:
        storage.patiently(lambda: stack.enter_context(_locked(storage.uri)))
        yield


@contextmanager
def _locked(uri: str) -> Iterator[None]:
    """A lock in PostgreSQL, or a file beside the SQLite one."""
    if uri.startswith("sqlite:///"):
        from filelock import FileLock

        with FileLock(uri.removeprefix("sqlite:///") + ".lock"):
            yield
        return
    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool)
    connection = engine.connect()
    try:
        connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
        yield
    finally:  # the lock is the connection's: it goes with it, also when the database has gone
        with suppress(SQLAlchemyError):
            connection.close()
