"""Callers of the API: an owner's program, a reseller's, a stranger's, keys that lack a scope; and things to look at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.test import Client as Browser

from tests.api.things import Things, make_things
from tests.world import World, make_key

ROOT = "/api/v1"
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@dataclass
class Caller:
    """Sends requests with one key, or none; every error must be a problem."""

    key: str = ""

    def get(self, path: str, **values: Any) -> Any:
        return self.send("GET", path, **values)

    def post(self, path: str, body: Any = None, **values: Any) -> Any:
        return self.send("POST", path, body={} if body is None else body, **values)

    def patch(self, path: str, body: Any, **values: Any) -> Any:
        return self.send("PATCH", path, body=body, **values)

    def put(self, path: str, body: Any, **values: Any) -> Any:
        return self.send("PUT", path, body=body, **values)

    def delete(self, path: str, **values: Any) -> Any:
        return self.send("DELETE", path, **values)

    def send(self, method: str, path: str, *, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """``path`` is below the root, or a whole one as ``next`` gives it. A body of bytes goes as it is."""
        headers = ({"Authorization": f"Bearer {self.key}"} if self.key else {}) | (headers or {})
        address = path if path.startswith(ROOT) else ROOT + path
        content = {} if body is None else {"data": body, "content_type": "application/json"}
        answer = Browser(raise_request_exception=False).generic(method, address, headers=headers, **encoded(content))
        if answer.status_code >= 400:
            check_problem(answer)
        return answer


def encoded(content: dict[str, Any]) -> dict[str, Any]:
    data = content.get("data")
    return content if data is None or isinstance(data, bytes) else content | {"data": json.dumps(data)}


def check_problem(answer: Any) -> None:
    """What is promised of every error."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.content[:200]
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["type"].startswith("urn:backledger:problem:")
    assert problem["title"]
    assert problem["detail"].endswith(".")


@dataclass
class Callers:
    """Who may try: ``owner`` may do everything, the others lack something."""

    owner: Caller
    reseller: Caller
    stranger: Caller
    reader: Caller
    biller: Caller
    server: Caller
    nobody: Caller


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    """The things of these tests are of October and November 2026."""
    with time_machine.travel(NOW, tick=True):
        yield


@pytest.fixture
def callers(world: World) -> Callers:
    everything = ["read", "write", "billing"]
    return Callers(
        owner=Caller(world.api_key),
        reseller=Caller(make_key(world.tenant, "harbour", scopes=everything, reseller=world.reseller)),
        stranger=Caller(make_key(world.other, "stranger", scopes=everything)),
        reader=Caller(make_key(world.tenant, "reader", scopes=["read"])),
        biller=Caller(make_key(world.tenant, "biller", scopes=["billing"])),
        server=Caller(world.server_key),
        nobody=Caller(),
    )


@pytest.fixture
def api(callers: Callers) -> Caller:
    """The owner's program."""
    return callers.owner


@pytest.fixture
def things(world: World) -> Things:
    """One of everything of the tenant's own client, one of the reseller's client."""
    return make_things(world)
