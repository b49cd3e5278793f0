"""The overview: the worst first, "all quiet" only when it can be believed, and a fixed number of queries."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts.models import Incident
from msp.dashboard.pulse import read_pulse
from msp.estate.queries import Reach
from msp.ingest.models import ReceiptQueue
from tests.dashboard import scene
from tests.dashboard.scene import browser_of
from tests.world import World, make_client, make_job

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def sweep_on_time(world: World) -> None:
    """The fixture's job is due since January; here its clock is in the future."""
    scene.fold(world.job, check_after=scene.now() + timedelta(hours=5))


def overview(world: World) -> str:
    return browser_of(world.technician).get("/").content.decode()


def test_all_quiet_says_when_data_last_came_in(world: World) -> None:
    scene.beat()
    scene.make_receipt(world.tenant, at=scene.now() - timedelta(minutes=4))
    page = overview(world)
    assert "<h1>All quiet</h1>" in page
    assert "4 min ago" in page
    assert "Silence proves nothing" not in page


def test_no_log_ever_is_not_quiet(world: World) -> None:
    scene.beat()
    page = overview(world)
    assert "All quiet" not in page
    assert "No log has come in yet" in page


def test_old_data_is_not_quiet(world: World) -> None:
    scene.beat()
    scene.make_receipt(world.tenant, at=scene.now() - timedelta(hours=27))
    page = overview(world)
    assert "All quiet" not in page
    assert "No log has come in for 1 day 3 hours" in page


def test_a_sweep_that_stands_still_is_not_quiet(world: World) -> None:
    scene.beat(at=scene.now() - timedelta(minutes=20))
    scene.make_receipt(world.tenant)
    page = overview(world)
    assert "All quiet" not in page
    assert "last ran 20 minutes ago" in page


def test_a_backlog_is_not_quiet(world: World) -> None:
    scene.beat()
    at = scene.now() - timedelta(minutes=30)
    receipt = scene.make_receipt(world.tenant, at=at)
    ReceiptQueue.objects.of(world.tenant).create(receipt_id=receipt.pk, received_at=at)
    page = overview(world)
    assert "All quiet" not in page
    assert "1 log not read yet, the oldest for 30 minutes" in page


def test_an_active_job_without_a_clock_is_shown(world: World) -> None:
    assert read_pulse(Reach(world.tenant.pk), now=scene.now()).without_clock == 0
    scene.fold(world.job, check_after=None)
    assert read_pulse(Reach(world.tenant.pk), now=scene.now()).without_clock == 1
    assert "1 active job without a clock" in overview(world)


def test_worst_and_oldest_come_first(world: World) -> None:
    hours = timedelta(hours=1)
    names = ("young warning", "young critical", "old warning", "old critical")
    made: dict[str, Incident] = {}
    for name in names:
        age = 50 * hours if name.startswith("old") else 2 * hours
        made[name] = scene.make_incident(world.job, severity=name.split()[1], summary=name, since=scene.now() - age)
    page = overview(world)
    order = ("old critical", "young critical", "old warning", "young warning")
    places = [page.index(f'id="incident-{made[name].uid}"') for name in order]
    assert places == sorted(places)


def test_acknowledged_and_put_off_incidents_need_nobody(world: World) -> None:
    scene.beat()
    scene.make_receipt(world.tenant)
    scene.make_incident(world.job, acknowledged_at=scene.now(), acknowledged_by="x")
    scene.make_incident(world.job, kind="no_recent_backup", snoozed_until=scene.now() + timedelta(hours=3))
    page = overview(world)
    assert "<h1>All quiet</h1>" in page
    assert "2 open incidents, all in somebody's hands, put off, silenced or kept under another" in page


def test_counts_lead_to_their_lists(world: World) -> None:
    scene.make_incident(world.job, kind="no_recent_backup", told_at=scene.now())
    scene.make_incident(world.job, kind="errors", untold_reason="Held for 60 minutes.")
    browser = browser_of(world.technician)
    assert browser.get("/incidents/?kind=errors").content.decode().count('class="incident ') == 1
    assert browser.get("/incidents/?standing=untold").content.decode().count('class="incident ') == 1
    assert browser.get("/incidents/").content.decode().count('class="incident ') == 2


@pytest.mark.parametrize("address", ["/", "/clients/", "/incidents/", "/tickets/", "/inbox/", "/search/?text=client"])
def test_the_number_of_queries_does_not_grow_with_the_fleet(world: World, address: str) -> None:
    fill(world, 2)
    few = count_queries(world, address)
    fill(world, 25)
    assert count_queries(world, address) == few
    assert few <= 26


def fill(world: World, count: int) -> None:
    for number in range(count):
        client = make_client(world.tenant, f"Client {count} {number}")
        job = make_job(world.tenant, world.server, client, f"job {count} {number}")
        scene.make_run(job, at=scene.now() - timedelta(hours=3), protected_bytes=10**9)
        scene.make_incident(job, ticket=scene.make_ticket(job))
        scene.make_inbox_item(world.tenant, server=world.server)


def count_queries(world: World, address: str) -> int:
    browser = browser_of(world.technician)
    browser.get(address)
    with CaptureQueriesContext(
        connection,
    ) as made:
        assert browser.get(address).status_code == 200
    return len(made)


def test_a_fleet_row_shows_the_worst_of_each_day(world: World) -> None:
    at = scene.now().replace(hour=12, minute=0) - timedelta(days=3)
    scene.make_run(world.job, at=at, outcome="success")
    scene.make_run(world.job, at=at + timedelta(days=1), outcome="failure")
    scene.make_run(world.job, at=at + timedelta(days=2), outcome="failure")
    scene.make_run(world.job, at=at + timedelta(days=2, hours=1), outcome="success")
    page = browser_of(world.technician).get("/fleet/?text=Acme").content.decode()
    marks = page.split('data-marks="')[1].split('"')[0]
    assert len(marks) == 28
    assert marks[-4:-1] == "gfF"
    assert "1 good, 2 failed" in page


def test_missed_days_and_days_before_the_client_are_marked(world: World) -> None:
    scene.make_incident(world.job, kind="no_recent_backup", since=scene.now() - timedelta(days=2))
    page = browser_of(world.technician).get("/fleet/?text=Acme").content.decode()
    assert page.split('data-marks="')[1].split('"')[0].endswith("mmm")
