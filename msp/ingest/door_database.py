"""The door's own connections to PostgreSQL, beside Django's: opened when needed, opened again after a loss.

Each is used by one task at a time. A statement that hangs ends after ``PATIENCE`` seconds, so that senders are told
to come back rather than left waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import psycopg
from django.db import connections

T = TypeVar("T")

PATIENCE = 15.0
CONNECT_SECONDS = 5
#: Options of Django's that libpq does not know.
NOT_FOR_LIBPQ = frozenset({"pool", "server_side_binding", "isolation_level", "assume_role"})
LOST = (psycopg.OperationalError, psycopg.InterfaceError, OSError, TimeoutError)

Connection = psycopg.AsyncConnection[Any]


class DatabaseAway(Exception):
    """The database cannot be reached, or does not answer: nothing was stored, as far as anybody can tell."""


def connection_parameters() -> dict[str, Any]:
    """How to connect, from Django's settings."""
    ours: Mapping[str, Any] = connections["default"].settings_dict
    named = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD", "dbname": "NAME"}
    options = {name: value for name, value in ours.get("OPTIONS", {}).items() if name not in NOT_FOR_LIBPQ}
    given = {name: ours[key] for name, key in named.items() if ours.get(key)}
    return {"connect_timeout": CONNECT_SECONDS, "application_name": "backledger door"} | options | given


class DoorConnection:
    """One connection; ``run`` gives it to a function and tries once more on a fresh one if it was lost."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._parameters = dict(parameters)
        self._connection: Connection | None = None

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Raises DatabaseAway; errors about data as psycopg tells them. ``work`` must be harmless when repeated."""
        try:
            return await self._try(work)
        except LOST:
            await self.close()
        try:
            return await self._try(work)
        except LOST as error:
            await self.close()
            raise DatabaseAway(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        lost, self._connection = self._connection, None
        if lost is not None:
            with contextlib.suppress(*LOST):
                await lost.close()

    async def _try(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with asyncio.timeout(PATIENCE):
            if self._connection is None or self._connection.closed:
                self._connection = await psycopg.AsyncConnection.connect(**self._parameters, autocommit=True)
            return await work(self._connection)
