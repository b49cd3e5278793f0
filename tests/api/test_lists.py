"""Lists: a fixed number of queries however long, pages that stay whole while rows are added, filters that hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts.models import Incident
from billing.models import Invoice
from msp.ingest.models import InboxItem
from tests.api.conftest import Caller
from tests.api.things import ENDED, Things, make_incident, make_receipt, make_run, make_ticket
from tests.world import World, make_client, make_job, make_server


def grow(world: World, things: Things, count: int) -> None:
    """So many more of everything that is listed."""
    for number in range(count):
        mark = uuid4().hex[:8]
        client = make_client(world.tenant, f"Client {mark}")
        make_server(world.tenant, f"server {mark}")
        job = make_job(world.tenant, world.server, client, f"job {mark}")
        make_run(things.own.job, world.client, things.own.receipt, ENDED - timedelta(hours=number), place=number + 10)
        make_incident(world.tenant, client, job, ticket=make_ticket(world.tenant, client))
        receipt = make_receipt(world.tenant, f"more {mark}", state="inbox")
        InboxItem.objects.of(world.tenant).create(
            receipt_id=receipt.pk, reason="unreadable", server=world.server, opened_at=ENDED
        )


def add_invoice(things: Things) -> None:
    """A further draft of an earlier month."""
    invoice = things.own.invoice
    Invoice.objects.of(invoice.tenant_id).create(
        run=invoice.run, seller=invoice.seller, bill_to=invoice.bill_to, currency="EUR", created_at=ENDED,
        first_day=invoice.first_day - timedelta(days=30 * (1 + Invoice.objects.of(invoice.tenant_id).count())),
        last_day=invoice.first_day,
    )  # fmt: skip


LISTS = ("/clients", "/servers", "/jobs", "/incidents", "/tickets", "/inbox", "/jobs/{job}/runs", "/rule-settings")


def queries_of(caller: Caller, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        answer = caller.get(path)
    assert answer.status_code == 200
    return len(captured)


@pytest.mark.parametrize("path", LISTS)
def test_queries_do_not_grow_with_the_list(path: str, api: Caller, things: Things, world: World) -> None:
    path = path.format(job=things.own.job.uid)
    api.get("/me")
    grow(world, things, 2)
    few = queries_of(api, path)
    short = len(api.get(path).json()["items"])
    grow(world, things, 6)
    for some in (things.own, things.resold):
        api.put(f"/rule-settings/no_data_sent/client/{some.client.uid}", {"enabled": True})
    assert len(api.get(path).json()["items"]) > short
    assert queries_of(api, path) == few
    assert few <= 12


def test_queries_of_invoices_do_not_grow(api: Caller, things: Things) -> None:
    api.get("/me")
    few = queries_of(api, "/invoices")
    for _ in range(4):
        add_invoice(things)
    assert len(api.get("/invoices").json()["items"]) == 6
    assert queries_of(api, "/invoices") == few == 3


def pages(caller: Caller, path: str) -> list[list[Any]]:
    """Every page of a list, two rows each."""
    found, address = [], f"{path}{'&' if '?' in path else '?'}limit=2"
    while address:
        answer = caller.get(address).json()
        found.append([item["uid"] for item in answer["items"]])
        address = answer["next"]
    return found


@pytest.mark.parametrize("path", [path for path in LISTS if path != "/rule-settings"])
def test_pages_together_are_the_list(path: str, api: Caller, things: Things, world: World) -> None:
    path = path.format(job=things.own.job.uid)
    grow(world, things, 5)
    whole = [item["uid"] for item in api.get(path).json()["items"]]
    found = pages(api, path)
    assert [uid for page in found for uid in page] == whole
    assert {len(page) for page in found[:-1]} == {2}
    assert len(whole) == len(set(whole)) >= 5


def test_rows_added_meanwhile_neither_repeat_nor_hide_others(api: Caller, things: Things, world: World) -> None:
    grow(world, things, 4)
    before = [item["uid"] for item in api.get("/incidents").json()["items"]]
    first = api.get("/incidents?limit=3").json()
    grow(world, things, 2)
    Incident.objects.of(world.tenant).filter(uid=first["items"][0]["uid"]).update(state="closed")
    rest = api.get(first["next"].replace("limit=3", "limit=100")).json()["items"]
    assert [item["uid"] for item in (*first["items"], *rest)] == before


def test_runs_that_ended_at_the_same_moment_are_all_listed(api: Caller, things: Things) -> None:
    for place in range(1, 6):
        make_run(things.own.job, things.own.client, things.own.receipt, ENDED, place=place)
    found = [uid for page in pages(api, f"/jobs/{things.own.job.uid}/runs") for uid in page]
    assert len(found) == len(set(found)) == 7


def test_invoices_of_one_month_are_all_listed(api: Caller, things: Things) -> None:
    add_invoice(things)
    found = [uid for page in pages(api, "/invoices") for uid in page]
    assert len(found) == len(set(found)) == 3


def test_next_keeps_the_filters(api: Caller, things: Things, world: World) -> None:
    grow(world, things, 3)
    assert {len(page) for page in pages(api, "/incidents?kind=errors&severity=warning")[:-1]} == {2}
    assert "kind=errors" in api.get("/incidents?kind=errors&limit=1").json()["next"]


class TestFilters:
    """Each filter leaves out what it should."""

    def uids(self, api: Caller, path: str) -> set[str]:
        return {item["uid"] for item in api.get(path).json()["items"]}

    def test_of_clients(self, api: Caller, world: World) -> None:
        acme, bakery = str(world.client.uid), str(world.resold_client.uid)
        assert self.uids(api, "/clients?q=DENT") == {acme}
        assert self.uids(api, "/clients?code=bay-bakery") == {bakery}
        assert self.uids(api, f"/clients?reseller={world.reseller.uid}") == {bakery}
        assert self.uids(api, "/clients?state=suspended") == set()
        api.patch(f"/clients/{acme}", {"state": "deleted"})
        assert self.uids(api, "/clients") == {bakery}
        assert self.uids(api, "/clients?state=deleted") == {acme}

    def test_of_jobs(self, api: Caller, world: World, things: Things) -> None:
        own, resold = str(things.own.job.uid), str(things.resold.job.uid)
        assert self.uids(api, f"/jobs?client={world.client.uid}") == {own}
        assert self.uids(api, f"/jobs?server={world.server.uid}") == {own, resold}
        assert self.uids(api, "/jobs?name=bakery") == {resold}
        assert self.uids(api, "/jobs?state=paused") == set()
        assert self.uids(api, "/jobs?outcome=failure") == set()

    def test_of_runs(self, api: Caller, things: Things) -> None:
        path = f"/jobs/{things.own.job.uid}/runs"
        newest = str(things.own.run.uid)
        assert self.uids(api, f"{path}?since=2026-11-20T21:14:09Z") == {newest}
        assert newest not in self.uids(api, f"{path}?until=2026-11-20T21:14:09Z")
        assert self.uids(api, f"{path}?outcome=failure") == set()
        assert len(self.uids(api, f"{path}?operation=backup")) == 2

    def test_of_incidents(self, api: Caller, things: Things) -> None:
        own, resold = str(things.own.incident.uid), str(things.resold.incident.uid)
        assert self.uids(api, f"/incidents?client={things.own.client.uid}") == {own}
        assert self.uids(api, f"/incidents?job={things.resold.job.uid}") == {resold}
        assert self.uids(api, "/incidents?state=closed") == set()
        assert self.uids(api, "/incidents?severity=critical") == set()
        assert self.uids(api, "/incidents?kind=quota_overrun") == set()
        assert self.uids(api, "/incidents?state=open&kind=errors") == {own, resold}
        assert self.uids(api, "/incidents?since=2099-01-01T00:00:00Z") == set()

    def test_of_tickets_and_inbox(self, api: Caller, things: Things) -> None:
        assert self.uids(api, f"/tickets?client={things.own.client.uid}") == {str(things.own.ticket.uid)}
        assert self.uids(api, f"/tickets?external_id={things.own.ticket.external_id}") == {str(things.own.ticket.uid)}
        assert self.uids(api, "/tickets?state=closed") == set()
        assert self.uids(api, "/inbox?reason=unreadable") == set()
        assert self.uids(api, "/inbox?state=settled") == set()

    def test_of_invoices(self, api: Caller, things: Things) -> None:
        own, resold = str(things.own.invoice.uid), str(things.resold.invoice.uid)
        assert self.uids(api, "/invoices?month=2026-10") == {own, resold}
        assert self.uids(api, "/invoices?month=2026-09") == set()
        assert self.uids(api, "/invoices?state=draft") == set()
        assert self.uids(api, "/invoices?currency=USD") == set()
