"""The inbox: what came in and why it waits, and what a person does about it."""

from __future__ import annotations

import json

import pytest
from django.test import Client as Browser

from msp.backups.models import BackupJob, JobRun, JobState
from msp.estate.models import BackupServer, SelectionClientSpan
from msp.ingest.models import Assignment, InboxItem, Receipt, ReceiptQueue
from msp.ingest.storing import Incoming, store
from msp.pipeline import process_waiting
from msp.tenants.models import AuditEntry
from tests.dashboard import scene
from tests.dashboard.conftest import Stage
from tests.dashboard.scene import browser_of
from tests.world import make_client


@pytest.fixture
def browser(stage: Stage) -> Browser:
    return browser_of(stage.world.technician)


def is_queued(item: InboxItem) -> bool:
    return bool(ReceiptQueue.objects.of(item.tenant_id).filter(receipt_id=item.receipt_id).exists())


def test_an_item_shows_its_line_in_its_place(stage: Stage, browser: Browser) -> None:
    page = browser.get(f"/inbox/{stage.item.uid}/").content.decode()
    assert '<li id="L2" class="telling">' in page
    assert "input/output error" in page
    assert "No job is known." in page


def test_jobs_are_found_while_typing(stage: Stage, browser: Browser) -> None:
    address = f"/inbox/{stage.item.uid}/?job=bakery"
    page = browser.get(address, headers={"HX-Request": "true"}).content.decode()
    assert str(stage.resold_job.uid) in page
    assert str(stage.world.job.uid) not in page
    assert "<html" not in page


def test_assigning_is_remembered_and_the_log_read_again(stage: Stage, browser: Browser) -> None:
    item = scene.make_inbox_item(stage.world.tenant, server=stage.world.server, source_job="other", item="vm1")
    response = browser.post(f"/inbox/{item.uid}/assign/", {"job": str(stage.resold_job.uid)})
    assert response["Location"] == "/inbox/"
    known = Assignment.objects.of(stage.world.tenant).get(server=stage.world.server, source_job="other", item="vm1")
    assert (known.job_id, known.origin) == (stage.resold_job.pk, "person")
    item.refresh_from_db()
    assert (item.state, item.settled_by) == ("settled", "tech@northwind.example")
    assert is_queued(item)
    assert AuditEntry.objects.of(stage.world.tenant).filter(action="inbox item assigned").count() == 1


def test_assigning_twice_is_refused(stage: Stage, browser: Browser) -> None:
    values = {"job": str(stage.resold_job.uid)}
    browser.post(f"/inbox/{stage.item.uid}/assign/", values)
    response = browser.post(f"/inbox/{stage.item.uid}/assign/", values)
    assert response.status_code == 409
    assert "no such open item" in response.content.decode().lower()


def test_a_new_job_is_made_for_a_client(stage: Stage, browser: Browser) -> None:
    client = stage.world.client
    item = scene.make_inbox_item(stage.world.tenant, server=stage.world.server, source_job="nas")
    browser.post(f"/inbox/{item.uid}/assign/", {"client": str(client.uid), "name": "NAS offsite"})
    job = BackupJob.objects.of(stage.world.tenant).select_related("selection").get(name="NAS offsite")
    assert job.selection.client_id == client.pk
    assert SelectionClientSpan.objects.of(stage.world.tenant).filter(selection=job.selection, client=client).exists()
    assert JobState.objects.of(stage.world.tenant).get(job=job).check_after is not None
    assert Assignment.objects.of(stage.world.tenant).get(source_job="nas").job_id == job.pk
    assert is_queued(item)


@pytest.mark.parametrize("values", [{}, {"client": "no-id", "name": "x"}])
def test_nothing_chosen_is_refused_with_a_sentence(stage: Stage, browser: Browser, values: dict[str, str]) -> None:
    response = browser.post(f"/inbox/{stage.item.uid}/assign/", values)
    assert response.status_code == 409
    assert "Choose a client first." in response.content.decode()


def test_a_job_or_client_of_others_is_not_found(stage: Stage, browser: Browser) -> None:
    foreign = make_client(stage.world.other, "Foreign")
    response = browser.post(f"/inbox/{stage.item.uid}/assign/", {"client": str(foreign.uid), "name": "x"})
    assert response.status_code == 404
    stage.item.refresh_from_db()
    assert stage.item.state == "open"


def test_what_could_not_be_read_is_not_assigned(stage: Stage, browser: Browser) -> None:
    item = scene.make_inbox_item(stage.world.tenant, reason="unreadable", line=1, server=stage.world.server)
    assert "Assign to a job" not in browser.get(f"/inbox/{item.uid}/").content.decode()
    response = browser.post(f"/inbox/{item.uid}/assign/", {"job": str(stage.world.job.uid)})
    assert response.status_code == 409
    item.refresh_from_db()
    assert item.state == "open"


def test_dismissing_several_keeps_who_and_why(stage: Stage, browser: Browser) -> None:
    other = scene.make_inbox_item(stage.world.tenant)
    ticked = {"item": [str(stage.item.uid), str(other.uid)], "do": "dismiss", "note": "Test machine"}
    response = browser.post("/inbox/settle/", ticked, follow=True)
    assert "2 items dismissed." in response.content.decode()
    states = InboxItem.objects.of(stage.world.tenant).values_list("state", "settled_by")
    assert set(states) == {("dismissed", "tech@northwind.example")}
    assert set(Receipt.objects.of(stage.world.tenant).filter(pk=other.receipt_id).values_list("state", flat=True)) == {
        "dismissed"
    }
    assert AuditEntry.objects.of(stage.world.tenant).filter(reason="Test machine").count() == 2
    assert not is_queued(other)


def test_a_receipt_with_another_open_item_stays_in_the_inbox(stage: Stage, browser: Browser) -> None:
    InboxItem.objects.of(stage.world.tenant).create(
        receipt_id=stage.item.receipt_id, place=1, reason="unassigned", opened_at=scene.now()
    )
    browser.post("/inbox/settle/", {"item": [str(stage.item.uid)], "do": "dismiss"})
    assert Receipt.objects.of(stage.world.tenant).get(pk=stage.item.receipt_id).state == "inbox"


def test_reading_again_queues_the_receipt_once(stage: Stage, browser: Browser) -> None:
    ticked = {"item": [str(stage.item.uid)], "do": "replay"}
    browser.post("/inbox/settle/", ticked)
    browser.post("/inbox/settle/", ticked)
    assert ReceiptQueue.objects.of(stage.world.tenant).filter(receipt_id=stage.item.receipt_id).count() == 1


@pytest.mark.parametrize("who", ["billing", "reseller_staff"])
def test_who_may_not_write_changes_no_item(stage: Stage, who: str) -> None:
    person = browser_of(getattr(stage.world, who))
    ticked = {"item": [str(stage.item.uid)], "do": "dismiss"}
    assert person.post("/inbox/settle/", ticked).status_code == 403
    assert person.post(f"/inbox/{stage.item.uid}/assign/", {"job": str(stage.world.job.uid)}).status_code == 403
    stage.item.refresh_from_db()
    assert stage.item.state == "open"


def test_a_stranger_changes_no_item(stage: Stage) -> None:
    ticked = {"item": [str(stage.item.uid)], "do": "dismiss"}
    assert browser_of(stage.world.stranger).post("/inbox/settle/", ticked).status_code == 409
    stage.item.refresh_from_db()
    assert stage.item.state == "open"


def test_the_filter_finds_by_reason_and_text(stage: Stage, browser: Browser) -> None:
    scene.make_inbox_item(stage.world.tenant, reason="unreadable", source_job="quarterly")
    assert browser.get("/inbox/?reason=unreadable").content.decode().count("<tr data-row>") == 1
    assert browser.get("/inbox/?text=quarterly").content.decode().count("<tr data-row>") == 1
    assert browser.get("/inbox/").content.decode().count("<tr data-row>") == 2
    assert browser.get("/inbox/?state=dismissed").content.decode().count("<tr data-row>") == 0


def test_a_log_of_an_unknown_job_is_assigned_on_the_page_and_becomes_a_run(stage: Stage, browser: Browser) -> None:
    """The whole way: delivered, held, assigned by hand, read again by the pipeline; the next one by itself."""
    tenant, server = stage.world.tenant, stage.world.server
    BackupServer.objects.of(tenant).filter(pk=server.pk).update(new_jobs="hold")
    first = deliver(stage, "night 1")
    item = InboxItem.objects.of(tenant).get(receipt_id=first.pk)
    assert (item.reason, item.state) == ("unassigned", "open")
    browser.post(f"/inbox/{item.uid}/assign/", {"job": str(stage.resold_job.uid)})
    process_waiting(now=scene.now)
    item.refresh_from_db()
    first.refresh_from_db()
    assert (item.state, first.state) == ("settled", "done")
    second = deliver(stage, "night 2")
    runs = JobRun.objects.of(tenant).filter(receipt_id__in=[first.pk, second.pk])
    assert [run.job_id for run in runs] == [stage.resold_job.pk] * 2


def deliver(stage: Stage, delivery_id: str) -> Receipt:
    """One of our own documented logs, naming a job that nobody knows, through the pipeline."""
    run = {"operation": "backup", "outcome": "success", "ended_at": scene.now().isoformat(), "job": "unheard-of"}
    log = {"backledger": 1, "runs": [run]}
    incoming = Incoming("http", delivery_id, json.dumps(log).encode(), scene.now(), stage.world.server.pk)
    store(stage.world.tenant.pk, [incoming], now=scene.now())
    process_waiting(now=scene.now)
    found: Receipt = Receipt.objects.of(stage.world.tenant).get(delivery_id=delivery_id)
    return found
