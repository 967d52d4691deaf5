"""`/health`: the database and the store are asked, each time anew, at most once in two seconds."""

from __future__ import annotations

import threading
import time

from derm_ml.service.settings import Settings

FRESH = 2.0  # seconds an answer is good for, so that anonymous requests cannot load the database
PATIENCE = 3.0  # seconds to wait for each


class Health:
    """Whether the database runs a query and the store knows the bucket."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._lock = settings, threading.Lock()
        self._asked, self._answer = float("-inf"), dict[str, str]()

    def ask(self) -> dict[str, str]:
        """`ok` or the kind of error, for each; never its text, which may name hosts and users."""
        with self._lock:
            if time.monotonic() - self._asked > FRESH:
                self._answer = {"database": _outcome(self._database), "store": _outcome(self._store)}
                self._asked = time.monotonic()
            return self._answer

    def _database(self) -> None:
        import psycopg

        options = f"-c statement_timeout={PATIENCE * 1000:.0f}"
        with psycopg.connect(self._settings.dsn, connect_timeout=int(PATIENCE), options=options) as connection:
            connection.execute("SELECT version_num FROM alembic_version")

    def _store(self) -> None:
        from derm_ml.service.store import client

        client(self._settings, timeout=PATIENCE, attempts=1).head_bucket(Bucket=self._settings.bucket)


def _outcome(question) -> str:  # type: ignore[no-untyped-def]
    try:
        question()
    except Exception as error:  # noqa: BLE001 (whatever it is, the answer is "not healthy")
        return type(error).__name__
    return "ok"
