"""Leakage: each kind is found with its amount, worked out by hand, and nothing is found where all is well."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse

from alerts.models import Incident
from billing.days import month_of
from billing.invoicing import decide, draft_run
from billing.leaking import Leak
from billing.models import InvoiceRun
from msp.dashboard.leakage import grouped, leaks_of
from msp.estate.models import Client, Machine, Selection
from tests.api.conftest import Caller
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, october, only_invoice
from tests.dashboard.scene import browser_of
from tests.world import World, make_client, make_job, make_key

PERIOD = month_of(2026, 10)
#: 0.10 EUR a GB.
PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}}


def drafted(month: Month) -> InvoiceRun:
    return draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)


def leaks(month: Month, kind: str = "") -> list[Leak]:
    found = leaks_of(month.tenant, period=PERIOD, now=NOVEMBER)
    return [each for each in found if kind in ("", each.kind)]


def test_a_month_in_order_leaks_nothing(world: World, month: Month) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB))
    drafted(month)
    assert leaks(month) == []


def test_what_is_on_no_plan_is_priced_by_the_plan_that_most_are_on(world: World, month: Month) -> None:
    """310 GB at most on 10 of 31 days at 0.10: 31.00 for a month, a third of it less a bit: 31 x 10 / 31 = 10.00."""
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB))
    month.measure(make_job(world.tenant, world.server, world.resold_client, "oven"), october(310 * GB, last=10))
    drafted(month)
    (leak,) = leaks(month)
    assert (leak.kind, leak.client, leak.amount, leak.currency) == ("unplanned", "Bay Bakery", Decimal("10.00"), "EUR")
    assert "10 of 31 days" in leak.why


def test_where_no_plan_exists_there_is_no_price(world: World, month: Month) -> None:
    month.measure(world.job, october(100 * GB))
    (leak,) = leaks(month)
    assert (leak.kind, leak.amount) == ("unplanned", None)


def test_a_selection_that_fell_silent_is_worth_its_days_without_a_figure(world: World, month: Month) -> None:
    """100 GB to the 20th, carried by decision to the 31st: 10.00 EUR, of which 11 of 31 days are 3.55."""
    month.on_plan(world.client, month.plan(carry_days=0, **PER_GB))
    month.measure(world.job, october(100 * GB, last=20))
    invoice = only_invoice(drafted(month))
    decide(month.tenant, invoice.uid, decision="carry_missing", actor=ACTOR, reason="agreed", now=NOVEMBER)
    (leak,) = leaks(month)
    assert (leak.kind, leak.amount) == ("silent", Decimal("3.55"))
    assert "silent since 2026-10-21: 11 of its 31 days" in leak.why


def test_a_short_silence_is_no_leak(world: World, month: Month) -> None:
    month.on_plan(world.client, month.plan(carry_days=6, **PER_GB))
    month.measure(world.job, october(100 * GB, last=25))
    drafted(month)
    assert leaks(month) == []


def test_the_same_folder_of_a_machine_on_two_selections_is_found_once(world: World, month: Month) -> None:
    """100 GB and 40 GB at 0.10: 14.00, of which the smaller one is 4.00."""
    job = world.job
    other = make_job(world.tenant, world.server, world.client, "documents")
    machine = Machine.objects.of(world.tenant).create(client=world.client, name="front-desk")
    rows = Selection.objects.of(world.tenant)
    rows.filter(pk=job.selection_id).update(machine=machine, roots=["C:\\Users", "D:\\Data"])
    rows.filter(pk=other.selection_id).update(machine=machine, roots=["c:\\users\\anna"])
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(job, october(100 * GB))
    month.measure(other, october(40 * GB))
    drafted(month)
    (leak,) = leaks(month)
    assert (leak.kind, leak.amount) == ("twice", Decimal("4.00"))
    assert "c:\\users\\anna of this machine" in leak.why


@pytest.mark.parametrize(
    ("first", "second"),
    [(["/home"], ["/homes"]), (["C:\\Users"], ["D:\\Users"]), (["/srv/a"], ["/srv/b"]), ([], ["/"])],
)
def test_folders_beside_each_other_are_two_things(
    world: World, month: Month, first: list[str], second: list[str]
) -> None:
    other = make_job(world.tenant, world.server, world.client, "documents")
    machine = Machine.objects.of(world.tenant).create(client=world.client, name="front-desk")
    for job, roots in ((world.job, first), (other, second)):
        Selection.objects.of(world.tenant).filter(pk=job.selection_id).update(machine=machine, roots=roots)
        month.measure(job, october(10 * GB))
    month.on_plan(world.client, month.plan(**PER_GB))
    drafted(month)
    assert leaks(month) == []


def test_a_retired_machine_whose_selection_is_charged(world: World, month: Month) -> None:
    machine = Machine.objects.of(world.tenant).create(client=world.client, name="old-nas", state="retired")
    Selection.objects.of(world.tenant).filter(pk=world.job.selection_id).update(machine=machine)
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB))
    drafted(month)
    (leak,) = leaks(month)
    assert (leak.kind, leak.amount) == ("gone", Decimal("10.00"))


def test_what_is_above_the_agreed_size_has_its_worth(world: World, month: Month) -> None:
    """49.00 EUR flat for 100 GB held and 80 GB agreed: a fifth of it, 9.80."""
    Client.objects.of(world.tenant).filter(pk=world.client.pk).update(quota_bytes=80 * GB)
    month.on_plan(world.client, month.plan(price="flat", price_params={"fee": "49.00"}))
    month.measure(world.job, october(100 * GB))
    drafted(month)
    (leak,) = leaks(month)
    assert (leak.kind, leak.amount) == ("quota", Decimal("9.80"))
    assert "100.00 GB on average, 80.00 GB agreed" in leak.why


def flag(world: World, opened: datetime, closed: datetime | None) -> None:
    Incident.objects.of(world.tenant).create(
        kind="no_recent_backup", subject_kind="job", subject_id=world.job.pk, fingerprint=f"no:{world.job.pk}",
        selection_id=world.job.selection_id, client=world.client, severity="critical", summary="No backup for 5 days.",
        since=opened, opened_at=opened, last_seen_at=opened, closed_at=closed,
        state="closed" if closed else "open",
    )  # fmt: skip


def test_days_on_which_we_said_no_backup_have_their_worth(world: World, month: Month) -> None:
    """From the 10th to the day before the 15th are 5 of 31 days of 10.00: 1.61."""
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB))
    drafted(month)
    flag(world, datetime(2026, 10, 10, 8, tzinfo=UTC), datetime(2026, 10, 15, 8, tzinfo=UTC))
    (leak,) = leaks(month)
    assert (leak.kind, leak.amount) == ("flagged", Decimal("1.61"))
    assert leak.why == "Charged on 5 days on which we said: No backup for 5 days."


@pytest.mark.parametrize(
    ("opened", "closed"),
    [
        (datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 9, 30, tzinfo=UTC)),
        (datetime(2026, 11, 1, 12, tzinfo=UTC), None),
    ],
)
def test_what_we_said_in_another_month_is_no_leak_of_this_one(
    world: World, month: Month, opened: datetime, closed: datetime | None
) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB))
    drafted(month)
    flag(world, opened, closed)
    assert leaks(month) == []


def test_every_kind_is_named_also_without_a_finding(world: World, month: Month) -> None:
    groups = grouped(leaks_of(month.tenant, period=PERIOD, now=NOVEMBER))
    assert [each.kind for each in groups] == ["unplanned", "silent", "twice", "gone", "quota", "flagged"]


def test_the_page_shows_the_amount_and_leads_to_the_line(world: World, month: Month) -> None:
    now = datetime.now(UTC)
    first = (now.date().replace(day=1) - timedelta(days=1)).replace(day=1)
    month.on_plan(world.client, month.plan(**PER_GB))
    machine = Machine.objects.of(world.tenant).create(client=world.client, name="<old>", state="retired")
    Selection.objects.of(world.tenant).filter(pk=world.job.selection_id).update(machine=machine)
    for offset in range((now.date().replace(day=1) - first).days):
        month.measure(world.job, {first + timedelta(days=offset): 100 * GB})
    run = draft_run(month.tenant, month.seller, first_day=first, actor=ACTOR, now=now)
    page = browser_of(world.billing).get(reverse("leakage"))
    text = page.content.decode()
    assert "10.00" in text
    assert "&lt;old&gt;" in text
    assert str(only_invoice(run).uid) in text
    assert browser_of(world.billing).get(reverse("leakage"), {"month": "nonsense"}).status_code == 200


def test_another_tenant_sees_none_of_it(world: World, month: Month) -> None:
    month.measure(world.job, october(100 * GB))
    assert leaks_of(world.other, period=PERIOD, now=NOVEMBER) == ()
    assert make_client(world.other, "Elsewhere").name not in str(leaks(month))
    assert leaks(month)[0].client == world.client.name
    assert date(2026, 10, 1) == PERIOD.first_day


def test_the_api_tells_the_tenant_and_no_reseller(world: World, month: Month) -> None:
    month.measure(world.job, october(100 * GB))
    mine = Caller(make_key(world.tenant, "biller", scopes=["billing"])).get("/leaks?month=2026-10")
    assert [each["kind"] for each in mine.json()["items"]] == ["unplanned"]
    filtered = Caller(make_key(world.tenant, "second", scopes=["billing"])).get("/leaks?month=2026-10&kind=twice")
    assert filtered.json()["items"] == []
    resold = Caller(make_key(world.tenant, "harbour", scopes=["billing"], reseller=world.reseller))
    assert resold.get("/leaks?month=2026-10").status_code == 404
    assert Caller(make_key(world.tenant, "reader", scopes=["read"])).get("/leaks?month=2026-10").status_code == 403
