"""A small world that every test finds at hand: two tenants and their people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from hypothesis import HealthCheck
from hypothesis import settings as trials

from tests.world import World, make_world

# how long an example takes says more about the machine than about the code; all else is Hypothesis's choice
trials.register_profile("untimed", trials(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
trials.load_profile("untimed")


@pytest.fixture(autouse=True, scope="session")
def _quick_passwords() -> None:
    """Hashing slowly on purpose would be most of the tests' time."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _no_runs_left_over(request: pytest.FixtureRequest, django_db_blocker: Any) -> Iterator[None]:
    """Django empties the tables that it manages after a test with real transactions; the partitioned ones are ours."""
    yield
    marker = request.node.get_closest_marker("django_db")
    if "transactional_db" in request.fixturenames or (marker is not None and marker.kwargs.get("transaction")):
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute("TRUNCATE backups_jobrun, ingest_body")


@pytest.fixture
def world(db: None) -> World:
    """Two tenants; in the first its people, a client, a server and a job; in the other a stranger."""
    return make_world()


#: What lasts for minutes, mostly waiting for servers and processes of its own.
LONG = ("test_chaos", "test_boot", "tests/journeys/", "tests/simulation/", "tests/demo/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What lasts for minutes begins first, so that all processes end at about the same time."""
    items.sort(key=lambda item: next((place for place, name in enumerate(LONG) if name in item.nodeid), len(LONG)))
