"""Where the tracking server is, and whether it answers: asked once, before anything else."""

from __future__ import annotations

import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from derm_ml.errors import UserError


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, else mlflow.db in the current directory; a relative SQLite path is made absolute."""
    return absolute(os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db")


def absolute(uri: str) -> str:
    """A relative SQLite path is one from the current directory; any other URI stays."""
    prefix = "sqlite:///"
    if uri.startswith(prefix) and not uri.startswith(prefix + "/"):
        return prefix + str(Path(uri[len(prefix) :]).absolute())
    return uri


def masked(uri: str) -> str:
    """The URI without its user and password."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]))


def check_server(uri: str, timeout: float = 5.0) -> None:
    """Ask an HTTP server for its health, once; look whether a SQLite file's directory is there.

    Raises:
        UserError: it does not answer, or refuses; MLflow's own client would retry for minutes.
    """
    if uri.startswith("sqlite:///"):
        folder = Path(uri.removeprefix("sqlite:///")).parent
        if not folder.is_dir():
            raise UserError(f"tracking database {uri}: no directory {folder}: make it, or set MLFLOW_TRACKING_URI")
        return
    if not uri.startswith(("http://", "https://")):
        return
    try:
        url = uri.rstrip("/") + "/health"
        with urllib.request.urlopen(url, timeout=timeout, context=_trust(uri)):  # noqa: S310 (http checked above)
            return
    except urllib.error.HTTPError as error:
        if error.code < 500:
            return  # it is there; whether the login is right MLflow's client says at once
        reason = f"HTTP {error.code}"
    except (urllib.error.URLError, OSError) as error:
        reason = str(getattr(error, "reason", error))
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            cure = "set MLFLOW_TRACKING_SERVER_CERT_PATH to its authority's file (docs/service.md)"
            raise UserError(
                f"tracking server {masked(uri)} has a certificate that is not trusted here: {cure}"
            ) from error
    raise UserError(f"tracking server {masked(uri)} does not answer ({reason}): start it, or set MLFLOW_TRACKING_URI")


def _trust(uri: str) -> ssl.SSLContext | None:
    """MLflow's own two variables: an authority to trust, or none asked for."""
    if not uri.startswith("https://"):
        return None
    context = ssl.create_default_context(cafile=os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or None)
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() == "true":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def check_login(uri: str, timeout: int = 10) -> None:
    """Ask an HTTP server one question with the login in the environment.

    Raises:
        UserError: it refuses the login or this machine's name for it; MLflow's own client says so in many lines.
    """
    if not uri.startswith(("http://", "https://")):
        return
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    name, question = masked(uri), "/api/2.0/mlflow/experiments/search?max_results=1"
    try:
        status = http_request(get_default_host_creds(uri), question, "GET", timeout=timeout, max_retries=0).status_code
    except MlflowException as error:
        raise UserError(f"tracking server {name} does not answer: start it, or set MLFLOW_TRACKING_URI") from error
    if status == 401:
        cure = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        raise UserError(f"tracking server {name} refuses the login: {cure}")
    if status == 403:
        raise UserError(
            f"tracking server {name} does not know this name of its own: add it to MLFLOW_ALLOWED_HOSTS there"
        )
