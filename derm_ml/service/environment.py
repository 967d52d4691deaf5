"""`.env`: the service's settings, written once with random passwords. Standard library only: it runs before setup."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

TEMPLATE = """\
# Settings of docker compose and of `derm-ml service`. Keep this file secret: a backup holds none
# of these passwords.

# Where MLflow is published. Beyond loopback, use the tls profile (docs/service.md).
MLFLOW_BIND=127.0.0.1
MLFLOW_PORT=5000
# Names by which clients call the server; requests with another Host header get 403.
MLFLOW_ALLOWED_HOSTS=localhost:*,127.0.0.1:*,mlflow:*

# s3 starts the local store; without it, give S3_ENDPOINT_URL, S3_BUCKET and the keys of another one. tls starts Caddy.
COMPOSE_PROFILES=s3

# Searches on several machines keep their studies in the database, as the user `studies`; this publishes it to them.
# COMPOSE_FILE=docker-compose.yml:docker-compose.studies.yml
STUDIES_BIND=127.0.0.1
STUDIES_PORT=5433
STUDIES_PASSWORD={studies}

MLFLOW_ADMIN_PASSWORD={admin}
MLFLOW_SECRET_KEY={secret}
POSTGRES_PASSWORD={postgres}
S3_ACCESS_KEY={access}
S3_SECRET_KEY={store}
"""


def write_environment(path: Path) -> bool:
    """Write the file, readable by its owner alone; an existing one is never touched.

    Returns:
        Whether it was written.
    """
    values = {name: secrets.token_urlsafe(24) for name in ("admin", "secret", "postgres", "store", "studies")}
    text = TEMPLATE.format(access=secrets.token_hex(10), **values)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w") as file:
        file.write(text)
    return True


def main() -> int:
    """`make env`."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else ".env").absolute()
    written = write_environment(path)
    print(f"{path}: written, mode 600" if written else f"{path}: is there already, left as it is")
    return 0


if __name__ == "__main__":
    sys.exit(main())
