"""Connecting a server: pick, name, copy, and see the first log arrive; who may, what is shown once, what is said."""

from __future__ import annotations

import pytest
from django.test import Client as Browser
from django.urls import reverse

from integrations.logs import FORMATS
from msp.estate.models import BackupServer
from tests.dashboard.scene import browser_of
from tests.world import World


@pytest.fixture
def technician(world: World) -> Browser:
    return browser_of(world.technician)


@pytest.mark.parametrize("name", FORMATS)
def test_every_product(world: World, technician: Browser, name: str) -> None:
    assert technician.get(reverse("connect")).status_code == 200
    assert technician.get(reverse("connect-server", args=[name])).status_code == 200
    r = technician.post(reverse("connect-server", args=[name]), {"name": "x", "client": "", "timezone": "UTC"})
    assert r.status_code == 200
    s = BackupServer.objects.of(world.tenant).get(name="x")
    assert technician.get(reverse("connect-ways", args=[s.uid, name])).status_code == 200
    assert technician.get(reverse("connect-arrivals", args=[s.uid, name])).status_code == 200
    assert technician.get(reverse("server", args=[s.uid])).status_code == 200
