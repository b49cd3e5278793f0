"""New tenants, clients and jobs start observed: nobody is told of their incidents until a person enables them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from alerts.models import Incident
from msp.backups.models import BackupJob
from msp.estate.models import Client
from msp.estate.spans import Actor, register_client
from msp.tenants.models import AuditEntry, Tenant
from msp.tenants.onboarding import onboard_tenant
from tests.dashboard import scene
from tests.dashboard.conftest import Stage
from tests.dashboard.scene import browser_of
from tests.world import World, make_person


def observe_all(world: World) -> None:
    Tenant.objects.filter(pk=world.tenant.pk).update(tickets_enabled=False, observe_new=True)
    Client.objects.of(world.tenant).update(tickets_enabled=False)
    BackupJob.objects.of(world.tenant).update(observed=True)


def is_observed(world: World) -> tuple[bool, bool, bool]:
    tenant = Tenant.objects.get(pk=world.tenant.pk)
    client = Client.objects.of(world.tenant).get(pk=world.client.pk)
    job = BackupJob.objects.of(world.tenant).get(pk=world.job.pk)
    return not tenant.tickets_enabled, not client.tickets_enabled, job.observed


@pytest.mark.django_db
def test_clients_of_a_new_tenant_start_observed_unless_one_says_otherwise() -> None:
    now = scene.now()
    tenant = onboard_tenant("Fresh", owner_email="o@fresh.example", password="x" * 12, now=now)
    assert (tenant.observe_new, tenant.tickets_enabled) == (True, True)
    actor = Actor(name="Olga", now=now)
    assert not register_client(tenant, name="A", code="a", actor=actor).tickets_enabled
    assert register_client(tenant, name="B", code="b", tickets_enabled=True, actor=actor).tickets_enabled
    shown = onboard_tenant("Shown", owner_email="o@shown.example", password="x" * 12, now=now, observe_new=False)
    assert register_client(shown, name="A", code="a", actor=actor).tickets_enabled


@pytest.mark.parametrize(("level", "left"), [
    ("all", (False, False, False)), ("client", (True, False, False)), ("job", (True, True, False)),
])  # fmt: skip
def test_enabling_is_felt_at_once_and_written_down(stage: Stage, level: str, left: tuple[bool, bool, bool]) -> None:
    world = stage.world
    observe_all(world)
    later = scene.now() + timedelta(days=1)
    Incident.objects.of(world.tenant).update(check_after=later)
    uids = {"all": [], "client": [world.client.uid], "job": [world.job.uid]}
    assert browser_of(world.technician).post(reverse(f"enable-{level}", args=uids[level])).status_code == 302
    assert is_observed(world) == left
    assert AuditEntry.objects.of(world.tenant).filter(action="tickets enabled").count() == 1
    assert not Incident.objects.of(world.tenant).filter(state="open", check_after=later).exists(), "decided anew"
    assert Client.objects.of(world.tenant).get(pk=world.resold_client.pk).tickets_enabled is (level == "all")


def test_the_pages_say_it_and_offer_the_button(stage: Stage) -> None:
    world = stage.world
    pages = ("/", f"/clients/{world.client.uid}/", f"/jobs/{world.job.uid}/")
    browser = browser_of(world.technician)
    for page in pages:
        assert "Enable tickets" not in browser.get(page).content.decode()
    BackupJob.objects.of(world.tenant).update(observed=True)
    for page in pages:
        assert "Enable tickets" in browser.get(page).content.decode(), page
        reader = browser_of(world.billing).get(page).content.decode()
        assert "nly observed" in reader
        assert "Enable tickets" not in reader


@pytest.mark.parametrize("level", ["all", "client", "job"])
def test_who_may_not_enable(stage: Stage, level: str) -> None:
    world = stage.world
    observe_all(world)
    reader = make_person(world.tenant, "reader@northwind.example", role="reader")
    address = reverse(f"enable-{level}", args={"all": [], "client": [world.client.uid], "job": [world.job.uid]}[level])
    assert browser_of(reader).post(address).status_code == 403
    assert browser_of(world.reseller_staff).post(address).status_code == 404
    browser_of(world.stranger).post(address)
    assert is_observed(world) == (True, True, True)
    assert browser_of(world.technician).get(address).status_code == 405
