"""MLflow's server behind one gate: a login on every route, guests read only, and a health check that really asks."""

from __future__ import annotations

import os
import re
from typing import Any

import anyio.to_thread
from mlflow.server import auth
from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from derm_ml.service.health import Health
from derm_ml.service.proxy import ProxiedStore
from derm_ml.service.settings import settings, threads
from derm_ml.service.users import RESEARCHER

READING = ("GET", "HEAD", "OPTIONS")
# Requests that read although they are POST, and a guest's own password: all else a guest may not send.
READS = re.compile(
    r"/(ajax-)?api/\d\.\d/mlflow/(runs/search|experiments/search|experiments/search-datasets|logged-models/search"
    r"|metrics/get-history-bulk|traces/search|artifacts/presigned-download-url|users/update-password)|/graphql"
)


def create_app() -> ASGIApp:
    """The server as `mlflow server --app-name derm-ml` starts it in every worker."""
    if os.environ.get("MLFLOW_PRESIGNED", "false").lower() != "true":
        _artifact_repository_registry.register("s3", ProxiedStore)
    return Gate(auth.create_app(), Health(settings()))


class Gate:
    """ASGI middleware in front of all of MLflow's routes, its pages and files included.

    MLflow authenticates route by route, and leaves some open (server-info, static files). Here a request without
    a valid login gets 401 whatever it asks for; only `/health` answers everyone, with no more than ok or not.
    """

    def __init__(self, app: ASGIApp, health: Health) -> None:
        self._app, self._health = app, health
        # threads of their own: neither a login nor the health waits for other people's searches
        self._logins, self._questions = anyio.CapacityLimiter(4), anyio.CapacityLimiter(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401, 403, the health or the metrics."""
        if scope["type"] == "lifespan":
            anyio.to_thread.current_default_thread_limiter().total_tokens = threads()
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        answer = await self._answer(Request(scope))
        await (answer or self._app)(scope, receive, send)

    async def _answer(self, request: Request) -> Response | None:
        if request.url.path == "/health":
            health = await anyio.to_thread.run_sync(self._health.ask, limiter=self._questions)
            return JSONResponse(health, 200 if set(health.values()) == {"ok"} else 503)
        user = await anyio.to_thread.run_sync(auth._authenticate_fastapi_request, request, limiter=self._logins)
        if user is None:
            challenge = {"WWW-Authenticate": 'Basic realm="derm_ml"'}
            return PlainTextResponse("Log in: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.", 401, challenge)
        reads = request.method in READING or READS.fullmatch(request.url.path)
        if not reads and not await anyio.to_thread.run_sync(may_write, user, limiter=self._logins):
            return JSONResponse(
                {"error_code": "PERMISSION_DENIED", "message": f"{user.username} is a guest and may only read"}, 403
            )
        if request.url.path == "/metrics" and reads:
            return Response(await anyio.to_thread.run_sync(metrics), media_type=CONTENT_TYPE_LATEST)
        return None


def metrics() -> bytes:
    """All workers' counters for Prometheus. Here because MLflow's own route is the administrator's alone."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def may_write(user: Any) -> bool:
    """Administrators and researchers; a user without a role is a guest."""
    return bool(user.is_admin) or any(role.name == RESEARCHER for role in auth.store.list_user_roles(user.id))
