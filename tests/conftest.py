"""A small world that every test finds at hand: two tenants and their people."""

from __future__ import annotations

import pytest
from django.conf import settings

from tests.world import World, make_world


@pytest.fixture(autouse=True, scope="session")
def _quick_passwords() -> None:
    """Hashing slowly on purpose would be most of the tests' time."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def world(db: None) -> World:
    """Two tenants; in the first its people, a client, a server and a job; in the other a stranger."""
    return make_world()
