"""Clients and jobs that are only observed: what enabling them by the API or the client's own form comes to."""

from __future__ import annotations

from django.urls import reverse

from msp.backups.models import BackupJob
from msp.estate.models import Client
from tests.api.conftest import Caller
from tests.dashboard.scene import browser_of
from tests.world import World


def observe(world: World) -> None:
    Client.objects.of(world.tenant).filter(pk=world.client.pk).update(tickets_enabled=False)
    BackupJob.objects.of(world.tenant).update(observed=True)


def is_observed(world: World) -> bool:
    return bool(BackupJob.objects.of(world.tenant).get(pk=world.job.pk).observed)


def test_a_client_that_is_enabled_has_its_jobs_enabled(world: World, api: Caller) -> None:
    """Else nobody is told of them, and nothing says so to whoever enabled the client."""
    observe(world)
    assert api.patch(f"/clients/{world.client.uid}", {"tickets_enabled": True}).status_code == 200
    assert not is_observed(world)


def test_another_change_of_an_enabled_client_leaves_its_jobs_as_they_are(world: World, api: Caller) -> None:
    BackupJob.objects.of(world.tenant).update(observed=True)
    assert api.patch(f"/clients/{world.client.uid}", {"tickets_enabled": True, "notes": "x"}).status_code == 200
    assert is_observed(world)


def test_a_job_says_whether_it_is_observed_and_is_enabled(world: World, api: Caller) -> None:
    observe(world)
    assert api.get(f"/jobs/{world.job.uid}").json()["observed"] is True
    changed = api.patch(f"/jobs/{world.job.uid}", {"observed": False})
    assert (changed.status_code, changed.json()["observed"]) == (200, False)
    assert not is_observed(world)


def test_the_form_of_the_client_enables_its_jobs_as_well(world: World) -> None:
    observe(world)
    typed = {
        "name": world.client.name,
        "timezone": "Europe/Berlin",
        "tickets_enabled": "yes",
        "quota_gb": "",
        "notes": "",
    }
    address = reverse("client-edit", args=[world.client.uid])
    assert browser_of(world.owner).post(address, typed).status_code == 302
    assert not is_observed(world)
