"""Settings for the tests, and a small world that every test finds at hand: two tenants and their people.

``make test`` brings PostgreSQL and Redis and names them in DATABASE_URL and REDIS_URL.
"""

from __future__ import annotations

import os

os.environ.setdefault("BACKLEDGER_SECRET_KEY", "only-for-tests-" * 5)
os.environ.setdefault("BACKLEDGER_ENCRYPTION_KEYS", "dGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtISE=")
os.environ.setdefault("BACKLEDGER_ALLOW_PRIVATE_DESTINATIONS", "true")
os.environ.setdefault("BACKLEDGER_ALLOWED_HOSTS", "*")

import pytest  # noqa: E402  (the settings above come first)
from django.conf import settings  # noqa: E402

from tests.world import World, make_world  # noqa: E402


@pytest.fixture(autouse=True, scope="session")
def _quick_passwords() -> None:
    """Hashing slowly on purpose would be most of the tests' time."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def world(db: None) -> World:
    """Two tenants; in the first an owner, a technician, a reseller's staff, a client with a job; in the other a stranger."""
    return make_world()
