"""The database's schema: made in an empty database, refused when it is another version's, upgraded when told to."""

from __future__ import annotations

from typing import Any

from derm_ml.errors import UserError
from derm_ml.service.settings import Settings


def migrate(settings: Settings, *, upgrade: bool) -> str:
    """Bring the tracking and the user tables to this MLflow's schema; returns what was done.

    Raises:
        UserError: the tables are an older MLflow's and `upgrade` is false, or a newer one's.
    """
    import sqlalchemy
    from mlflow.server.auth.db import utils as users
    from mlflow.store.db import utils as tracking

    engine = sqlalchemy.create_engine(settings.database)
    try:
        current, head = _revision(engine, "alembic_version"), tracking._get_latest_schema_revision()
        own = _revision(engine, "alembic_version_auth")
        if current and current != head:
            if not _known(current):
                raise UserError(f"the database is a newer MLflow's (schema {current}): use that version of the images")
            if not upgrade:
                raise UserError(
                    f"the database has the schema {current} of an older MLflow, this one needs {head}: "
                    "run `derm-ml service upgrade`, which makes a backup first"
                )
        if current != head:
            tracking._upgrade_db(engine) if current else tracking._initialize_tables(engine)
        users.migrate_if_needed(engine, "head")
        if _revision(engine, "alembic_version_auth") == own and current == head:
            return f"schema {head}, up to date"
        return f"schema {head}, " + (f"upgraded from {current}" if current else "made")
    finally:
        engine.dispose()


def _revision(engine: Any, table: str) -> str | None:
    from alembic.migration import MigrationContext

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": table})
        return context.get_current_revision()


def _known(revision: str) -> bool:
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config

    scripts = ScriptDirectory.from_config(_get_alembic_config("postgresql://"))
    return revision in {script.revision for script in scripts.walk_revisions()}
