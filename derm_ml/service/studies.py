"""Where searches keep their studies: a schema of its own in the service's database, and a role that sees nothing else.

In the same database, so that a backup holds the studies, and the runs that they speak of, as of one moment.
"""

from __future__ import annotations

from derm_ml.service.settings import Settings

ROLE = "studies"  # also the schema's name
CONNECTIONS = 100  # a worker holds three; MLflow's own are reckoned in docker-compose.yml


def prepare_studies(settings: Settings, password: str) -> None:
    """Make the role and the schema where they are missing, and give the role this password and what is in the schema.

    A restored backup's tables belong to the administrator at first.
    """
    import psycopg
    from psycopg import sql

    role = sql.Identifier(ROLE)
    with psycopg.connect(settings.dsn) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
            connection.execute(sql.SQL("CREATE ROLE {}").format(role))
        # hashed here: the password itself is in no statement, and so in no log
        hashed = connection.pgconn.encrypt_password(password.encode(), ROLE.encode(), b"scram-sha-256").decode()
        limits = sql.SQL("ALTER ROLE {} LOGIN NOSUPERUSER CONNECTION LIMIT {} PASSWORD {}")
        connection.execute(limits.format(role, sql.Literal(CONNECTIONS), sql.Literal(hashed)))
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {0} AUTHORIZATION {0}").format(role))
        connection.execute(sql.SQL("ALTER SCHEMA {0} OWNER TO {0}").format(role))
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER ROLE {} IN DATABASE {} SET search_path = {}").format(role, name, role))
        owned = "SELECT 'TABLE', tablename FROM pg_tables WHERE schemaname = %s UNION ALL SELECT 'TYPE', typname "
        owned += "FROM pg_type WHERE typtype = 'e' AND typnamespace = %s::regnamespace"
        for kind, thing in connection.execute(owned, [ROLE, ROLE]).fetchall():
            statement = sql.SQL("ALTER {} {} OWNER TO {}")
            connection.execute(statement.format(sql.SQL(kind), sql.Identifier(ROLE, thing), role))
