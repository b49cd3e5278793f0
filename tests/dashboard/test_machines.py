"""The pages of machines and volumes, and the job that its product lists no more."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.test import Client as Browser
from django.urls import reverse

from msp.backups.models import BackupJob
from msp.estate.models import Machine, Selection, Volume, VolumeReading, Waiver
from tests.dashboard.scene import browser_of
from tests.world import START, World, make_job, make_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def machine(world: World) -> Machine:
    made: Machine = Machine.objects.of(world.tenant).create(
        client=world.client, name="srv-files", expectation="protected", registered_at=START
    )
    return made


@pytest.fixture
def browser(world: World) -> Browser:
    return browser_of(world.technician)


def reload(machine: Machine) -> Machine:
    found: Machine = Machine.objects.of(machine.tenant_id).get(pk=machine.pk)
    return found


def test_a_machine_is_registered_and_listed_as_covered_by_none(world: World, browser: Browser) -> None:
    sent = {"client": str(world.client.uid), "name": "nas1", "machine_class": "laptop", "expectation": "protected"}
    assert browser.post(reverse("machine-new"), sent).status_code == 302
    again = browser.post(reverse("machine-new"), sent)
    assert (again.status_code, "has a machine named" in again.content.decode()) == (422, True)
    page = browser.get(reverse("machines")).content.decode()
    assert "nas1" in page
    assert "laptop" in page
    assert "none</span>" in page


def test_selections_are_placed_on_it_and_taken_off(world: World, browser: Browser, machine: Machine) -> None:
    address = reverse("machine", args=[machine.uid])
    base = {"name": "srv-files", "machine_class": "server", "expectation": "protected", "state": "active", "site": ""}
    selection = world.job.selection
    assert browser.post(address, {**base, "selections": [str(selection.uid)]}).status_code == 302
    assert Selection.objects.of(world.tenant).get(pk=selection.pk).machine_id == machine.pk
    assert browser.post(address, {**base, "machine_class": "seasonal"}).status_code == 302
    assert Selection.objects.of(world.tenant).get(pk=selection.pk).machine_id is None
    assert reload(machine).machine_class == "seasonal"
    theirs = make_job(world.tenant, world.server, world.resold_client, "theirs").selection
    assert browser.post(address, {**base, "selections": [str(theirs.uid)]}).status_code == 422


def test_a_waiver_needs_a_reason_and_a_signature_and_is_shown_with_its_end(
    world: World, browser: Browser, machine: Machine
) -> None:
    address = reverse("machine-waive", args=[machine.uid])
    assert browser.post(address, {"reason": "Test machine"}).status_code == 422
    last = date(2099, 12, 31)
    sent = {"reason": "Test machine", "signed_by": "A. Client", "ends_on": last.isoformat()}
    assert browser.post(address, sent).status_code == 302
    assert Waiver.objects.of(world.tenant).get().ends_on == last
    assert reload(machine).expectation == "waived"
    assert "waived until 2099-12-31" in browser.get(reverse("machines")).content.decode()
    shown = browser.get(reverse("machine", args=[machine.uid])).content.decode()
    assert "A. Client" in shown
    assert "Test machine" in shown


def test_who_may_see_and_change_machines(world: World, machine: Machine) -> None:
    reader = browser_of(make_person(world.tenant, "reader@northwind.example", role="reader"))
    assert reader.get(reverse("machines")).status_code == 200
    for name in ("machine", "machine-waive"):
        address = reverse(name, args=[machine.uid])
        assert reader.get(address).status_code == 403
        assert browser_of(world.reseller_staff).get(address).status_code == 404
        assert browser_of(world.stranger).get(address).status_code == 404
    assert browser_of(world.reseller_staff).get(reverse("machines")).status_code == 404
    assert "srv-files" not in browser_of(world.stranger).get(reverse("machines")).content.decode()


def test_a_servers_page_shows_how_full_its_volumes_are_and_when(world: World, browser: Browser) -> None:
    now = datetime.now(UTC)
    volume = Volume.objects.of(world.tenant).create(
        server=world.server, name="pool", used_bytes=800, capacity_bytes=1000, measured_at=now
    )
    Volume.objects.of(world.tenant).create(server=world.server, name="tape", used_bytes=5, measured_at=now)
    for ago in range(10):
        at = now - timedelta(days=ago)
        VolumeReading.objects.of(world.tenant).create(
            volume=volume, day=at.date(), measured_at=at, used_bytes=800 - 20 * ago
        )
    page = browser.get(reverse("server", args=[world.server.uid])).content.decode()
    assert "20 %" in page
    assert "in 10 days" in page
    assert "nobody tells its capacity" in page


class TestGone:
    @pytest.fixture(autouse=True)
    def _gone(self, world: World) -> None:
        BackupJob.objects.of(world.tenant).filter(pk=world.job.pk).update(gone_at=START, gone_because="Not on the list")

    def say(self, browser: Browser, world: World, said: str, reason: str = "Replaced") -> int:
        answer = browser.post(reverse("job-settle", args=[world.job.uid]), {"said": said, "reason": reason})
        return answer.status_code

    def job(self, world: World) -> BackupJob:
        found: BackupJob = BackupJob.objects.of(world.tenant).get(pk=world.job.pk)
        return found

    def test_the_page_asks_and_a_person_retires_it(self, world: World, browser: Browser) -> None:
        page = browser.get(reverse("job", args=[world.job.uid])).content.decode()
        assert "Not on the list" in page
        assert "It has left: retire" in page
        assert self.say(browser, world, "left", reason=" ") >= 400
        assert self.say(browser, world, "perhaps") >= 400
        assert self.job(world).state == "active"
        assert self.say(browser, world, "left") == 302
        assert (self.job(world).state, self.job(world).gone_at) == ("retired", None)
        assert self.job(world).selection.state == "active"
        assert "It has left: retire" not in browser.get(reverse("job", args=[world.job.uid])).content.decode()

    def test_or_says_that_it_is_still_there(self, world: World, browser: Browser) -> None:
        assert self.say(browser, world, "there") == 302
        assert (self.job(world).state, self.job(world).gone_at) == ("active", None)

    def test_nobody_else_decides(self, world: World) -> None:
        reader = browser_of(make_person(world.tenant, "reader@northwind.example", role="reader"))
        assert "It has left: retire" not in reader.get(reverse("job", args=[world.job.uid])).content.decode()
        for browser, status in (
            (reader, 403),
            (browser_of(world.reseller_staff), 404),
            (browser_of(world.stranger), 404),
        ):
            assert self.say(browser, world, "left") == status
        assert self.job(world).state == "active"
