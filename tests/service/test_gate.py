"""A login on every route; guests read only; researchers share; the health check asks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pytest
import requests
from conftest_service import login
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from derm_ml.cli import main
from derm_ml.errors import UserError
from derm_ml.service import users
from derm_ml.service.app import READING, READS

pytestmark = pytest.mark.service
ROOT = Path(__file__).resolve().parents[2]
ROUTES = """
import json, warnings
warnings.simplefilter("ignore")
from derm_ml.service.app import create_app
from mlflow.server import app as flask
found = {(m, r.rule) for r in flask.url_map.iter_rules() for m in r.methods}
for route in create_app()._app.routes:
    found |= {(m, route.path) for m in getattr(route, "methods", None) or ()}
print(json.dumps(sorted(found)))
"""


def route_table(native) -> list[tuple[str, str]]:
    """Every method and path of MLflow's Flask and FastAPI applications, parameters filled in."""
    folder = native.folder / "routes"
    folder.mkdir(exist_ok=True)
    environment = native.environment() | {
        "_MLFLOW_SGI_NAME": "uvicorn",
        "_MLFLOW_SERVER_FILE_STORE": native.environment()["MLFLOW_BACKEND_STORE_URI"],
    }
    program = (
        "import os; from derm_ml.service.server import auth_configuration as c; "
        "os.environ['MLFLOW_AUTH_CONFIG_PATH'] = c(os.environ['MLFLOW_BACKEND_STORE_URI'])\n" + ROUTES
    )
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = json.loads(done.stdout.splitlines()[-1])
    return [(method, re.sub(r"<[^>]+>|{[^}]+}", "x", path)) for method, path in rows]


def statuses(uri: str, rows: list[tuple[str, str]], auth: tuple[str, str] | None) -> dict[tuple[str, str], int]:
    def ask(row: tuple[str, str]) -> int:
        return requests.request(row[0], uri + row[1], auth=auth, json={}, timeout=30, allow_redirects=False).status_code

    with ThreadPoolExecutor(8) as pool:
        return dict(zip(rows, pool.map(ask, rows), strict=True))


def test_every_route_wants_a_login(admin):
    rows = [row for row in route_table(admin) if row[1] != "/health"]
    assert len(rows) > 300
    paths = {path for _, path in rows}
    for part in ("mlflow-artifacts/artifacts/x", "mlflow-artifacts/presigned/x", "/metrics", "server-info", "/graphql"):
        assert any(part in path for path in paths), part
    for auth in (None, ("admin", "wrong"), ("nobody", "x")):
        assert {row: code for row, code in statuses(admin.uri, rows, auth).items() if code != 401} == {}


def test_a_guest_may_write_nowhere(admin):
    password = users.add_user(admin.uri, "guest1", guest=True)
    rows = [row for row in route_table(admin) if row[0] not in READING and not READS.fullmatch(row[1])]
    assert len(rows) > 150
    assert {row: code for row, code in statuses(admin.uri, rows, ("guest1", password)).items() if code != 403} == {}


def test_researchers_share_and_guests_look(admin, monkeypatch, tmp_path):
    passwords = {name: users.add_user(admin.uri, name, guest=name == "gus") for name in ("ana", "bo", "gus")}
    assert dict(users.list_users(admin.uri)).items() >= {"ana": "researcher", "gus": "guest", "admin": "admin"}.items()
    mlflow.set_tracking_uri(admin.uri)
    client = MlflowClient()
    login(monkeypatch, "ana", passwords["ana"])
    experiment = client.create_experiment("shared")
    run = client.create_run(experiment)
    client.log_text(run.info.run_id, "x", "a.txt")
    client.create_registered_model("shared-encoder")
    login(monkeypatch, "bo", passwords["bo"])
    own = client.create_run(experiment)
    client.set_tag(run.info.run_id, "seen", "yes")
    version = client.create_model_version("shared-encoder", f"runs:/{own.info.run_id}/m", own.info.run_id)
    client.set_registered_model_alias("shared-encoder", "champion", version.version)
    with pytest.raises(MlflowException, match="Permission denied"):
        client.delete_run(run.info.run_id)
    with pytest.raises(UserError, match="administrator"):
        users.add_user(admin.uri, "eve", guest=False)
    login(monkeypatch, "gus", passwords["gus"])
    assert len(client.search_runs([experiment])) == 2
    assert client.get_registered_model("shared-encoder").aliases == {"champion": "1"}
    assert Path(client.download_artifacts(run.info.run_id, "a.txt", str(tmp_path))).read_text() == "x"
    with pytest.raises(MlflowException, match="guest and may only read"):
        client.log_metric(run.info.run_id, "m", 1.0)
    with pytest.raises(requests.HTTPError):
        client.log_text(run.info.run_id, "no", "b.txt")


def test_the_administrators_commands(admin, monkeypatch, capfd):
    """A researcher's login in the same shell does not take the administrator's place; a second user is one line."""
    where = ["--native", str(admin.folder)]
    login(monkeypatch, "nobody", "wrong")
    assert main(["service", "user", "add", "cleo", *where]) == 0
    said = capfd.readouterr().out
    lines = dict(re.findall(r"^export (\w+)=(\S+)$", said, re.M))
    assert lines["MLFLOW_TRACKING_URI"] == admin.uri
    assert all(line.startswith(("#", "export ")) for line in said.splitlines()), "it can be sourced"
    asked = admin.uri + "/api/2.0/mlflow/experiments/search?max_results=1"
    assert requests.get(asked, auth=("cleo", lines["MLFLOW_TRACKING_PASSWORD"]), timeout=10).ok
    assert main(["service", "user", "add", "cleo", *where]) == 2
    error = capfd.readouterr().err
    assert "user cleo: exists already" in error
    assert "hash" not in error
    assert main(["service", "user", "remove", "cleo", *where]) == 0
    assert main(["service", "user", "remove", "cleo", *where]) == 2
    error = capfd.readouterr().err.strip()
    assert "cleo" in error
    assert len(error.splitlines()) == 1
    monkeypatch.setenv("MLFLOW_PORT", "9")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert main(["service", "user", "list", *where]) == 2
    assert "does not answer" in capfd.readouterr().err


def test_a_guest_cannot_train(admin, tmp_path):
    password = users.add_user(admin.uri, "guest2", guest=True)
    environment = os.environ | {"MLFLOW_TRACKING_USERNAME": "guest2", "MLFLOW_TRACKING_PASSWORD": password}
    command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", "pretrain", "-b", "host"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr[-2000:]
    assert "guest2 is a guest and may only read" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_wrong_login_is_one_line(admin, monkeypatch):
    from derm_ml.tracking.server import check_login

    check_login(admin.uri)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    with pytest.raises(UserError, match="refuses the login"):
        check_login(admin.uri)


def test_other_host_names_are_refused(admin):
    auth = ("admin", admin.settings["MLFLOW_ADMIN_PASSWORD"])
    asked = requests.get(admin.uri + "/graphql", auth=auth, headers={"Host": "evil.example"}, timeout=10)
    assert asked.status_code == 403


def test_metrics_for_prometheus(admin):
    auth = ("admin", admin.settings["MLFLOW_ADMIN_PASSWORD"])
    requests.get(admin.uri + "/api/2.0/mlflow/experiments/search?max_results=1", auth=auth, timeout=10)
    guest = ("prometheus", users.add_user(admin.uri, "prometheus", guest=True))
    for who in (auth, guest):
        text = requests.get(admin.uri + "/metrics", auth=who, timeout=10).text
        assert re.search(r'mlflow_http_request_total{[^}]*status="200"[^}]*} \d', text)


def test_the_store_is_offered_to_nobody(admin, monkeypatch, tmp_path):
    """A client with every multipart option on stays with the server."""
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "true")
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "true")
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", "1")
    monkeypatch.setenv("MLFLOW_MULTIPART_DOWNLOAD_MINIMUM_FILE_SIZE", "1")
    mlflow.set_tracking_uri(admin.uri)
    client = MlflowClient()
    run = client.create_run("0")
    content = os.urandom(2**20)
    (tmp_path / "weights").write_bytes(content)
    client.log_artifact(run.info.run_id, str(tmp_path / "weights"))
    assert Path(client.download_artifacts(run.info.run_id, "weights", str(tmp_path))).read_bytes() == content
    auth = ("admin", admin.settings["MLFLOW_ADMIN_PASSWORD"])
    info = requests.get(admin.uri + "/api/3.0/mlflow/server-info", auth=auth, timeout=10).json()
    assert not info["multipart_uploads_enabled"]
    assert not info["multipart_downloads_enabled"]
    path = run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    asked = requests.get(f"{admin.uri}/api/2.0/mlflow-artifacts/presigned/{path}/weights", auth=auth, timeout=10)
    assert asked.status_code == 501


def test_health_asks_the_database_and_the_store(admin):
    import time

    assert requests.get(admin.uri + "/health", timeout=10).json() == {"database": "ok", "store": "ok"}
    admin._stop("s3")
    time.sleep(2.1)
    asked = requests.get(admin.uri + "/health", timeout=10)
    assert (asked.status_code, asked.json()["database"]) == (503, "ok")
    assert asked.json()["store"] != "ok"
    admin.start()
    time.sleep(2.1)
    assert requests.get(admin.uri + "/health", timeout=10).status_code == 200
