"""Users over MLflow's own auth API: researchers, who share experiments and models, and guests, who only read."""

from __future__ import annotations

import secrets
import warnings
from typing import Any

from derm_ml.errors import UserError

RESEARCHER = "researcher"
WORKSPACE = "default"
# Researchers may edit each other's experiments and models; deleting stays with who made them, and the administrator.
SHARED = ("experiment", "registered_model", "run", "logged_model", "registered_model_version", "trace", "prompt")


def add_user(uri: str, name: str, *, guest: bool, password: str | None = None) -> str:
    """Make a user; returns the password, made here unless given.

    Raises:
        UserError: there is such a user, or the caller is not an administrator.
    """
    password = password or secrets.token_urlsafe(18)
    client = _client(uri)
    _ask(f"user {name}", client.create_user, name, password)
    if not guest:
        _ask(f"user {name}", client.assign_role, name, _researcher_role(client))
    return password


def list_users(uri: str) -> list[tuple[str, str]]:
    """Every user's name and kind: admin, researcher or guest."""
    client = _client(uri)
    answer = _ask("users", client._request, "/api/2.0/mlflow/users/list", "GET")
    return sorted((user["username"], _kind(client, user)) for user in answer["users"])


def remove_user(uri: str, name: str) -> None:
    """Delete a user; what they logged stays."""
    _ask(f"user {name}", _client(uri).delete_user, name)


def set_password(uri: str, name: str) -> str:
    """Give a user a new random password, and return it."""
    password = secrets.token_urlsafe(18)
    _ask(f"user {name}", _client(uri).update_user_password, name, password)
    return password


def _client(uri: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's server speaks of its own dependencies' deprecations
        from mlflow.server.auth.client import AuthServiceClient

    return AuthServiceClient(uri)


def _kind(client: Any, user: dict[str, Any]) -> str:
    if user["is_admin"]:
        return "admin"
    roles = _ask("roles", client.list_user_roles, user["username"])
    return RESEARCHER if any(role.name == RESEARCHER for role in roles) else "guest"


def _researcher_role(client: Any) -> int:
    for role in _ask("roles", client.list_all_roles):
        if role.name == RESEARCHER:
            return int(role.id)
    role = _ask("roles", client.create_role, WORKSPACE, RESEARCHER, "Edits every experiment and model")
    for kind in SHARED:
        _ask("roles", client.add_role_permission, role.id, kind, "*", "EDIT")
    return int(role.id)


def _ask(subject: str, call: Any, *arguments: Any) -> Any:
    """One request to the auth API, its refusals in words."""
    import requests
    from mlflow.exceptions import MlflowException

    try:
        return call(*arguments)
    except (MlflowException, requests.HTTPError) as error:
        response = getattr(error, "response", None)
        status = response.status_code if response is not None else getattr(error, "get_http_status_code", int)()
        if status in (401, 403):
            reason = "this takes an administrator: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            raise UserError(f"{subject}: {reason}") from error
        said = str(getattr(error, "message", error))
        if "RESOURCE_ALREADY_EXISTS" in str(error):
            raise UserError(
                f"{subject}: exists already (a new password: derm-ml service user password NAME)"
            ) from error
        # MLflow appends the database's own error, with the statement and the password's hash
        raise UserError(f"{subject}: {said.split(' Error: (')[0].splitlines()[0]}") from error
