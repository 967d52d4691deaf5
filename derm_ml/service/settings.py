"""What the server's processes are told by their environment: the same variables in a container and without one."""

from __future__ import annotations

import os
from dataclasses import dataclass

from derm_ml.errors import UserError

REQUIRED = ("MLFLOW_BACKEND_STORE_URI", "MLFLOW_ARTIFACTS_DESTINATION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The database (its password is PGPASSWORD, never in the URI) and the bucket (its keys are AWS_...).

    Attributes:
        database: SQLAlchemy's URI, `postgresql+psycopg://USER@HOST:PORT/NAME`.
        bucket: name of the bucket.
        endpoint: the store's URL; None is Amazon's own.
    """

    database: str
    bucket: str
    endpoint: str | None

    @property
    def dsn(self) -> str:
        """libpq's form of the database URI."""
        return self.database.replace("+psycopg", "", 1)


def settings() -> Settings:
    """From the environment.

    Raises:
        UserError: a variable is missing, or is not what this service runs on.
    """
    missing = [name for name in REQUIRED if not os.environ.get(name)]
    if missing:
        raise UserError(f"the server's environment lacks {', '.join(missing)}: start it with docker compose")
    database, destination = os.environ[REQUIRED[0]], os.environ[REQUIRED[1]]
    if not database.startswith("postgresql+psycopg://"):
        raise UserError("MLFLOW_BACKEND_STORE_URI: postgresql+psycopg://USER@HOST:PORT/NAME is needed")
    if not destination.startswith("s3://") or "/" in destination.removeprefix("s3://").rstrip("/"):
        raise UserError(f"MLFLOW_ARTIFACTS_DESTINATION={destination}: s3://BUCKET is needed")
    bucket = destination.removeprefix("s3://").rstrip("/")
    return Settings(database=database, bucket=bucket, endpoint=os.environ.get("MLFLOW_S3_ENDPOINT_URL") or None)


def threads() -> int:
    """Requests that one worker works on at once, MLFLOW_THREADS: more wait their turn, without a connection.

    MLflow opens a second session inside the first (log_batch), so with as many requests as its pool has connections
    each waits for another's, for 30 s, and then they are refused as the client's fault, which is not tried again. Hence
    this bound, and a pool of three for each, one to spare.
    """
    return int(os.environ.get("MLFLOW_THREADS") or "8")
