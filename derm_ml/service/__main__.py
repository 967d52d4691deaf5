"""Inside the server's environment: `python -m derm_ml.service prepare|server|dump|load|check|collect`."""

from __future__ import annotations

import argparse
import json
import os
import sys

from derm_ml.errors import UserError


def main() -> int:
    """One task; 2 and one line for what the administrator can put right."""
    parser = argparse.ArgumentParser(prog="derm_ml.service")
    tasks = parser.add_subparsers(dest="task", required=True)
    tasks.add_parser("server", help="become MLflow's server")
    prepare = tasks.add_parser("prepare", help="make the bucket, the schema and the administrator")
    prepare.add_argument("--upgrade", action="store_true")
    prepare.add_argument("--reset-administrator", action="store_true", help="to the password in the environment")
    tasks.add_parser("dump", help="the bucket as a tar stream, to standard output")
    tasks.add_parser("load", help="a tar stream from standard input into the bucket")
    collect = tasks.add_parser("collect", help="free deleted runs")
    collect.add_argument("--older-than", type=int, default=0, metavar="DAYS")
    collect.add_argument("--dry-run", action="store_true")
    arguments = parser.parse_args()
    try:
        _run(arguments)
    except UserError as error:
        print(f"derm-ml service: {error}", file=sys.stderr)
        return 2
    return 0


def _run(arguments: argparse.Namespace) -> None:
    from derm_ml.service.settings import settings

    own = settings()
    if arguments.task == "server":
        from derm_ml.service.server import serve

        serve()
    elif arguments.task == "prepare":
        _prepare(upgrade=arguments.upgrade, reset=arguments.reset_administrator)
    elif arguments.task == "collect":
        from derm_ml.service.collect import collect

        print(json.dumps(collect(own, arguments.older_than, dry_run=arguments.dry_run)))
    else:
        from derm_ml.service import store

        if arguments.task == "load":
            store.create_bucket(own)
        count = store.dump(own, sys.stdout.buffer) if arguments.task == "dump" else store.load(own, sys.stdin.buffer)
        print(f"{count} objects", file=sys.stderr)


def _prepare(*, upgrade: bool, reset: bool) -> None:
    from derm_ml.service.server import auth_configuration
    from derm_ml.service.settings import settings
    from derm_ml.service.store import create_bucket

    own = settings()
    os.environ["MLFLOW_AUTH_CONFIG_PATH"] = auth_configuration(own.database)  # read when MLflow's module is imported
    from mlflow.server import auth

    from derm_ml.service.database import migrate

    print(f"bucket {own.bucket}: {'made' if create_bucket(own) else 'there'}")
    print(f"database: {migrate(own, upgrade=upgrade)}")
    auth.bootstrap_admin_user()
    if reset:  # a backup brings the password of the service that it was made of
        auth.store.update_user(os.environ["MLFLOW_AUTH_ADMIN_USERNAME"], os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"])
    print("administrator: there")
    if password := os.environ.get("STUDIES_PASSWORD"):
        from derm_ml.service.studies import prepare_studies

        prepare_studies(own, password)
        print("studies: there")


if __name__ == "__main__":
    sys.exit(main())
