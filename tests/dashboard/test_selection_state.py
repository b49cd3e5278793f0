"""The state of a selection is changed on its page and in the API, from a day on, by people of the tenant alone."""

from __future__ import annotations

from datetime import date

import pytest
from django.urls import reverse

from msp.estate.models import Selection, SelectionStateSpan
from tests.api.conftest import Caller
from tests.dashboard.scene import browser_of
from tests.world import World, make_key

pytestmark = pytest.mark.django_db


def state_of(world: World) -> str:
    return str(Selection.objects.of(world.tenant).get(pk=world.job.selection_id).state)


def test_a_technician_changes_it_from_a_day_on(world: World) -> None:
    browser, address = browser_of(world.technician), reverse("selection-state", args=[world.job.selection.uid])
    assert address in browser.get(reverse("selection", args=[world.job.selection.uid])).content.decode()
    assert browser.get(address).status_code == 200
    assert browser.post(address, {"state": "retired", "on": "2026-03-01"}).status_code == 302
    assert state_of(world) == "retired"
    assert SelectionStateSpan.objects.of(world.tenant).get(state="retired").since == date(2026, 3, 1)
    for typed in ({"state": "active", "on": "2026-02-01"}, {"state": "gone", "on": "2026-04-01"}, {"state": "active"}):
        assert browser.post(address, typed).status_code == 422, typed
    assert state_of(world) == "retired"


def test_others_do_not(world: World) -> None:
    address = reverse("selection-state", args=[world.job.selection.uid])
    for person in (world.reseller_staff, world.stranger):
        assert browser_of(person).post(address, {"state": "retired", "on": "2026-03-01"}).status_code == 404
    assert state_of(world) == "active"


def test_the_api_changes_it(world: World) -> None:
    path = f"/selections/{world.job.selection.uid}/state"
    owner = Caller(world.api_key)
    assert (
        owner.post(path, {"state": "suspended", "on": "2026-03-01", "reason": "moves"}).json()["state"] == "suspended"
    )
    refused = owner.post(path, {"state": "active", "on": "2026-02-01"})
    assert (refused.status_code, "began on 2026-03-01" in refused.json()["errors"]["on"][0]) == (422, True)
    reader = Caller(make_key(world.tenant, "r", scopes=["read"]))
    assert reader.post(path, {"state": "active"}).status_code == 403
    reseller = Caller(make_key(world.tenant, "h", scopes=["read", "write"], reseller=world.reseller))
    assert reseller.post(path, {"state": "active"}).status_code == 404
    assert state_of(world) == "suspended"
