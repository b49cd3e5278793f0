"""A database for one run of the measurements, made on the server of DATABASE_URL and dropped afterwards.

Whatever the server held before is not touched. Says so when the server does not write to the disk before it confirms,
because figures are then worth nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql


@contextmanager
def own_database() -> Iterator[None]:
    """DATABASE_URL names the fresh database while this lasts; begin before Django is set up."""
    given = os.environ["DATABASE_URL"]
    name = f"backledger_bench_{os.getpid()}"
    execute(given, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    os.environ["DATABASE_URL"] = urlunsplit(urlsplit(given)._replace(path=f"/{name}"))
    try:
        yield
    finally:
        os.environ["DATABASE_URL"] = given
        execute(given, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def execute(url: str, statement: sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def prepare_tables() -> None:
    """All tables and the partitions around today."""
    from django.core.management import call_command

    from msp.partitions import ensure_partitions

    call_command("migrate", verbosity=0, interactive=False)
    ensure_partitions(datetime.now(UTC))


def describe_server() -> str:
    """The engine and what it does for durability."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')"
        )
        version, fsync, synchronous = cursor.fetchone()
    warning = "" if (fsync, synchronous) == ("on", "on") else "   NOT DURABLE: these figures are worth nothing"
    return f"PostgreSQL {version}, fsync {fsync}, synchronous_commit {synchronous}{warning}"
