"""`derm-ml service`: what its administrator types."""

from __future__ import annotations

import argparse
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_ml.errors import UserError

if TYPE_CHECKING:
    from derm_ml.service.stack import Stack


def add_parser(commands: Any) -> None:
    """Add `service` and its actions."""
    service = commands.add_parser("service", help="the shared MLflow server: users, backups, upgrade")
    actions = service.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=type(service))
    up = actions.add_parser("up", help="start the service and wait until it is healthy")
    down = actions.add_parser("down", help="stop the service; nothing is deleted")
    user = actions.add_parser("user", help="add, list or remove users")
    save = actions.add_parser("backup", help="write the database and the store into a new directory, while in use")
    save.add_argument("directory", type=Path)
    load = actions.add_parser("restore", help="put a backup into the service")
    load.add_argument("directory", type=Path)
    load.add_argument("--replace", action="store_true", help="also when the service holds runs")
    upgrade = actions.add_parser("upgrade", help="back up, then migrate the database to the installed MLflow")
    upgrade.add_argument("directory", type=Path, nargs="?", help="for the backup (default: backup-DATE)")
    collect = actions.add_parser("gc", help="free deleted runs, but never what a registered version needs")
    collect.add_argument("--older-than", type=int, default=0, metavar="DAYS", help="deleted that long ago (default: 0)")
    collect.add_argument("--dry-run", action="store_true", help="say what would be freed")
    tasks = user.add_subparsers(dest="task", required=True, metavar="TASK", parser_class=type(service))
    add = tasks.add_parser("add", help="make a user and print the password, once")
    add.add_argument("name")
    add.add_argument("--guest", action="store_true", help="who may look at everything and change nothing")
    users = [add, tasks.add_parser("list", help="every user and what they may do")]
    for task, text in (("remove", "delete a user; their runs stay"), ("password", "give a new password")):
        users.append(tasks.add_parser(task, help=text))
        users[-1].add_argument("name")
    for parser in (up, down, save, load, upgrade, collect, *users):
        parser.add_argument(
            "--native",
            nargs="?",
            const=_home(),
            type=Path,
            metavar="DIR",
            help=f"without Docker: three processes under DIR (default: {_home()})",
        )
        parser.add_argument("--project", type=Path, default=Path(), help="where docker-compose.yml and .env are")
        parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def run(arguments: argparse.Namespace) -> None:
    """Do one action.

    Raises:
        UserError: it cannot be done; the message says why and what helps.
    """
    if arguments.action == "user":
        return _user(arguments)
    stack = _stack(arguments)
    if arguments.action == "up":
        stack.start()
        print(f"MLflow: {_uri(stack.folder)} (user admin, the password is in {stack.folder / '.env'})")
    elif arguments.action == "down":
        stack.stop()
    elif arguments.action == "gc":
        words = ["--dry-run"] if arguments.dry_run else []
        done = json.loads(stack.task("collect", "--older-than", str(arguments.older_than), *words).splitlines()[-1])
        word = "would be freed" if arguments.dry_run else "freed"
        what = f"{len(done['freed'])} runs, {len(done['models'])} models, {len(done['experiments'])} experiments"
        print(f"deleted {arguments.older_than} days ago or before: {what} {word}")
        for run_id in done["kept"]:
            print(f"kept: run {run_id}, a registered version came from it")
    else:
        _keep(arguments, stack)


def _keep(arguments: argparse.Namespace, stack: Stack) -> None:
    from derm_ml.service import backup

    if arguments.action == "backup":
        manifest = backup.backup(stack, arguments.directory.absolute())
        sizes = ", ".join(f"{name} {facts['bytes'] / 2**20:.1f} MB" for name, facts in manifest["files"].items())
        print(f"{arguments.directory}: whole, each file with its SHA-256: {sizes}")
    elif arguments.action == "restore":
        print("checking the backup, then MLflow is stopped until it is in place", flush=True)
        backup.restore(stack, arguments.directory.absolute(), replace=arguments.replace)
        print(f"{arguments.directory}: restored, MLflow: {_uri(stack.folder)}")
    else:
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        target = (arguments.directory or stack.folder / f"backup-{now}").absolute()
        done = backup.upgrade(stack, target)
        print(f"backup: {target}\n{done}")


def _user(arguments: argparse.Namespace) -> None:
    from derm_ml.service import users
    from derm_ml.tracking.server import check_server

    folder = arguments.native or arguments.project
    uri = _uri(folder)
    check_server(uri)
    if arguments.task == "list":
        for name, kind in users.list_users(uri):
            print(f"{name}\t{kind}")
    elif arguments.task == "add":
        password = users.add_user(uri, arguments.name, guest=arguments.guest)
        print(f"# {arguments.name}: {'a guest' if arguments.guest else 'a researcher'}; they set:")
        print(f"export MLFLOW_TRACKING_URI={_public(folder, uri)}")
        print(f"export MLFLOW_TRACKING_USERNAME={arguments.name}\nexport MLFLOW_TRACKING_PASSWORD={password}")
    elif arguments.task == "remove":
        users.remove_user(uri, arguments.name)
        print(f"{arguments.name}: removed")
    else:
        print(f"export MLFLOW_TRACKING_PASSWORD={users.set_password(uri, arguments.name)}")


def _stack(arguments: argparse.Namespace) -> Stack:
    if arguments.native:
        from derm_ml.service.native import NativeStack

        return NativeStack(arguments.native)
    from derm_ml.service.stack import ComposeStack

    return ComposeStack(arguments.project)


def _uri(folder: Path) -> str:
    """Where this service answers: `.env`'s port on loopback, and its administrator's login into the environment.

    MLFLOW_TRACKING_URI and the login beside it count where there is no `.env`, or where they name another server: so a
    researcher's login in the same shell does not take the administrator's place.

    Raises:
        UserError: neither a `.env` nor MLFLOW_TRACKING_URI says where.
    """
    own, given = _settings(folder), os.environ.get("MLFLOW_TRACKING_URI")
    port = os.environ.get("MLFLOW_PORT") or own.get("MLFLOW_PORT") or "5000"
    here = [f"http://{host}:{port}" for host in ("127.0.0.1", "localhost")]
    if given and (not own or given.rstrip("/") not in [*here, _public(folder, here[0])]):
        return given
    if not own:
        raise UserError(f"{folder.absolute()}: no .env here: run `make env`, or set MLFLOW_TRACKING_URI")
    os.environ |= {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": own["MLFLOW_ADMIN_PASSWORD"]}
    return here[0]


def _public(folder: Path, uri: str) -> str:
    """The address that users are told: with the tls profile that of Caddy."""
    own = _settings(folder)
    if "tls" not in own.get("COMPOSE_PROFILES", "").split(","):
        return uri
    port = own.get("TLS_PORT") or "443"
    return f"https://{own.get('TLS_HOST') or 'localhost'}" + ("" if port == "443" else f":{port}")


def _settings(folder: Path) -> dict[str, str]:
    from dotenv import dotenv_values

    return {key: value or "" for key, value in dotenv_values(folder / ".env", interpolate=False).items()}


def _home() -> Path:
    """As root not below /root, which PostgreSQL's own user cannot enter."""
    base = os.environ.get("XDG_DATA_HOME") or ("/var/lib" if os.geteuid() == 0 else Path.home() / ".local" / "share")
    return Path(base) / "derm_ml" / "service"
