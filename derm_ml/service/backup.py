"""Backup, restore and upgrade: the database's dump and the bucket's objects in one directory, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import derm_ml
from derm_ml.errors import UserError
from derm_ml.service.stack import Stack

DUMP, OBJECTS, MANIFEST = "database.dump", "objects.tar", "manifest.json"


def backup(stack: Stack, target: Path) -> dict[str, Any]:
    """Write a backup while the service is in use; returns its manifest.

    The database is dumped first (one snapshot), the objects after it: whatever the dump speaks of was in the store
    by then. What is logged meanwhile may add objects that the dump does not know; none is missing.

    Raises:
        UserError: the directory is there already, or a step failed; nothing half-written is left under its name.
    """
    if target.exists():
        raise UserError(f"{target}: is there already: name a new directory")
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700, parents=True)
    try:
        with (partial / DUMP).open("wb") as file:
            stack.database("pg_dump", "--format=custom", "--no-owner", "mlflow", target=file)
        with (partial / OBJECTS).open("wb") as file:
            stack.task("dump", target=file)
        files = {
            name: {"sha256": _sha256(partial / name), "bytes": (partial / name).stat().st_size}
            for name in (DUMP, OBJECTS)
        }
        manifest: dict[str, Any] = {
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "derm_ml": derm_ml.__version__,
            "files": files,
        }
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1))
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest


def restore(stack: Stack, source: Path, *, replace: bool) -> None:
    """Put a backup into a service; its server is stopped meanwhile and started at the end.

    The database is restored beside the present one and takes its place at the end. Objects of the same name are
    overwritten; others in the bucket are left alone. The administrator's password becomes that of `.env`; users keep
    theirs.

    Raises:
        UserError: the backup is damaged, or the service has runs and `replace` is false. Nothing was touched then.
    """
    try:
        manifest = json.loads((source / MANIFEST).read_text())
        damaged = [name for name, facts in manifest["files"].items() if _sha256(source / name) != facts["sha256"]]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{source}: not a backup ({error})") from error
    if damaged:
        raise UserError(f"{source}: {', '.join(damaged)} does not match its SHA-256: the backup is damaged")
    stack.start(server=False)
    if not replace and (runs := _count_runs(stack)):
        raise UserError(f"the service holds {runs} runs already: --replace puts the backup in their place")
    stack.stop(server_only=True)
    with (source / OBJECTS).open("rb") as file:
        stack.task("load", source=file)
    _sql(stack, "DROP DATABASE IF EXISTS mlflow_restored WITH (FORCE)", "CREATE DATABASE mlflow_restored")
    with (source / DUMP).open("rb") as file:
        stack.database("pg_restore", "--no-owner", "--exit-on-error", "--dbname=mlflow_restored", source=file)
    _sql(
        stack,
        "DROP DATABASE IF EXISTS mlflow WITH (FORCE)",
        "ALTER DATABASE mlflow_restored RENAME TO mlflow",
    )
    stack.task("prepare", "--reset-administrator")
    stack.start()


def upgrade(stack: Stack, target: Path) -> str:
    """Back up, then bring the schema to that of the installed MLflow and start it; returns what was done."""
    stack.start(server=False)
    backup(stack, target)
    stack.stop(server_only=True)
    done = stack.task("prepare", "--upgrade")
    stack.start()
    return next((line for line in done.splitlines() if line.startswith("database")), "")


def _count_runs(stack: Stack) -> int:
    table = _sql(stack, "SELECT to_regclass('public.runs')", database="mlflow").strip()
    return int(_sql(stack, "SELECT count(*) FROM runs", database="mlflow")) if table else 0


def _sql(stack: Stack, *statements: str, database: str = "postgres") -> str:
    words = [word for statement in statements for word in ("-c", statement)]
    return stack.database("psql", "-v", "ON_ERROR_STOP=1", "-qtA", "-d", database, *words)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
