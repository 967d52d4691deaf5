"""MLflow's server process: its settings checked, its configuration written, then it takes this process over."""

from __future__ import annotations

import configparser
import os
import sys
import tempfile
from pathlib import Path

from derm_ml.service.settings import settings, threads

# The password check is PBKDF2, 60 ms of a core for every request; a correct one is remembered for a minute.
CACHE_SECONDS = 60


def auth_configuration(database: str, cache: int = CACHE_SECONDS) -> str:
    """Write MLflow's auth configuration (no password in it); returns its path."""
    parser = configparser.ConfigParser(interpolation=None)
    parser["mlflow"] = {
        "default_permission": "READ",
        "database_uri": database,
        "admin_username": os.environ.get("MLFLOW_AUTH_ADMIN_USERNAME", "admin"),
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
        "auth_cache_ttl_seconds": str(cache),
    }
    path = Path(tempfile.mkdtemp(prefix="derm-ml-auth-")) / "auth.ini"
    with path.open("w") as file:
        parser.write(file)
    return str(path)


def serve() -> None:
    """Become `mlflow server`. Everything secret stays in the environment, nothing of it on the command line."""
    own = settings()
    os.environ["MLFLOW_AUTH_CONFIG_PATH"] = auth_configuration(
        own.database, int(os.environ.get("MLFLOW_AUTH_CACHE", CACHE_SECONDS))
    )
    metrics = tempfile.mkdtemp(prefix="derm-ml-metrics-")
    os.environ |= {
        "PROMETHEUS_MULTIPROC_DIR": metrics,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # evaluation jobs of language models: not this service's
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    os.environ.setdefault("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", str(threads()))
    os.environ.setdefault("MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW", str(2 * threads()))
    words = ["server", "--app-name", "derm-ml", "--expose-prometheus", metrics]
    words += ["--host", os.environ.get("MLFLOW_HOST", "127.0.0.1"), "--port", os.environ.get("MLFLOW_PORT", "5000")]
    words += ["--workers", os.environ.get("MLFLOW_WORKERS", "2")]
    words += ["--allowed-hosts", os.environ.get("MLFLOW_SERVER_ALLOWED_HOSTS", "localhost:*,127.0.0.1:*")]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", *words])  # noqa: S606 (an argument list, no shell)
