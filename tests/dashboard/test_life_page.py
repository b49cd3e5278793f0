"""The page on which a tenant sets how its incidents live."""

from __future__ import annotations

from django.urls import reverse

from alerts.models import AlertSettings
from tests.dashboard.conftest import Stage
from tests.dashboard.scene import browser_of
from tests.world import make_person

TYPED = {"reopen_hours": "48", "flap_count": "5", "calm_hours": "12", "grace_minutes": "0"}


def test_it_is_stored_and_shown(stage: Stage) -> None:
    browser, address = browser_of(stage.world.technician), reverse("life")
    assert 'value="24"' in browser.get(address).content.decode()
    assert browser.post(address, TYPED).status_code == 302
    row = AlertSettings.objects.of(stage.world.tenant).get()
    assert (row.reopen_hours, row.flap_count, row.calm_hours, row.grace_minutes) == (48, 5, 12, 0)
    assert 'value="48"' in browser.get(address).content.decode()
    refused = browser.post(address, TYPED | {"calm_hours": "-1"})
    assert refused.status_code == 422
    assert "must be at least 0" in refused.content.decode()
    assert "The life of an incident" in browser.get(reverse("settings")).content.decode()


def test_who_may_not(stage: Stage) -> None:
    reader = make_person(stage.world.tenant, "reader@northwind.example", role="reader")
    for person, status in ((reader, 403), (stage.world.reseller_staff, 404)):
        assert browser_of(person).post(reverse("life"), TYPED).status_code == status
        assert reverse("life") not in browser_of(person).get(reverse("settings")).content.decode()
    browser_of(stage.world.stranger).post(reverse("life"), TYPED)
    assert not AlertSettings.objects.of(stage.world.tenant).exists()
