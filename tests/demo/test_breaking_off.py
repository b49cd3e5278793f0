"""A demonstration that breaks off leaves nothing behind, and the next call makes it whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from msp.backups.models import JobRun
from msp.demo import filling
from msp.demo.hudson import HUDSON
from msp.ingest.models import Receipt
from msp.tenants.models import Tenant, User

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 10, 6, 8, 20, tzinfo=UTC)
SMALL = replace(HUDSON, clients=HUDSON.clients[4:5], acts=(), strays=())


class Broken(Exception):
    """What goes wrong at the very end."""


def test_all_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off(*_: object, **__: object) -> None:
        raise Broken

    with monkeypatch.context() as patched:
        patched.setattr(filling, "measure_volumes", break_off)
        with pytest.raises(Broken):
            filling.fill(now=NOW, days=3, msps=(SMALL,))
    assert not Tenant.objects.exists()
    assert not User.objects.exists()
    assert not JobRun.unwalled.exists()

    assert not filling.fill(now=NOW, days=3, msps=(SMALL,)).was_there
    tenant = Tenant.objects.get()
    assert JobRun.objects.of(tenant).filter(outcome="success").count() > 20
    runs, receipts = JobRun.objects.of(tenant).count(), Receipt.objects.of(tenant).count()
    assert filling.fill(now=NOW, days=3, msps=(SMALL,)).was_there
    assert (JobRun.objects.of(tenant).count(), Receipt.objects.of(tenant).count()) == (runs, receipts)
