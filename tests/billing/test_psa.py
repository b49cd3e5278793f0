"""Quantities for agreement lines, over the doubles of the systems: mapped, compared, pushed once; what goes wrong."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from django.urls import reverse

from alerts import agreement_desks
from alerts.models import Destination
from billing.finalising import finalise
from billing.models import Invoice, Subscription
from billing.models_psa import PsaLine, PsaPush
from billing.periods import month_from
from billing.plans import draft_of, new_version
from billing.psa_difference import PsaRow, planned_rows, read_rows
from billing.psa_mapping import choose_line
from billing.psa_pushing import ask_push, deliver_push
from billing.psa_quantities import stated_quantities
from billing.refusals import Refused
from billing.subscribing import change_plan
from integrations.agreements import SYSTEMS
from integrations.agreements.desk import Desk
from msp.estate.models import Client
from msp.outbox import lanes
from msp.outbox.delivering import deliver_due
from msp.outbox.models import Lane
from msp.tenants.models import AuditEntry
from tests.billing.months import ACTOR
from tests.billing.psa_desks import connected
from tests.dashboard.books import Books, keep_books
from tests.dashboard.scene import browser_of
from tests.doubles.agreements import Agreements
from tests.integrations.tickets.configs import a_call
from tests.world import World

NOW = datetime.now(UTC)


@dataclass
class Psa:
    """A month of Acme (250 GB) and the bakery (40 GB), and a destination in which Acme is company 17."""

    kept: Books
    row: Destination
    double: Agreements
    fail_next: Any

    @property
    def world(self) -> World:
        return self.kept.world

    @property
    def first_day(self) -> date:
        return self.kept.first_day

    @property
    def desk(self) -> Desk:
        found = agreement_desks.desk_of(self.world.tenant.pk, self.row.pk)
        assert found is not None
        return found

    def map_acme(self, line_id: int = 9001, *, client: Client | None = None, rounding: str = "plan") -> bool:
        company = "17" if client is None else "18"
        lines = self.desk.lines(company, on=self.first_day, call=a_call())
        line = next(each for each in lines if each.line_id == str(line_id))
        return choose_line(
            self.world.tenant, self.desk, client or self.world.client, "tiered", line, rounding=rounding, actor=ACTOR,
            now=NOW,
        )  # fmt: skip

    def compare(self, *, on: date | None = None) -> list[PsaRow]:
        rows = planned_rows(
            self.world.tenant, self.desk, agreement_desks, period=month_from(self.first_day),
            effective_on=on or self.first_day,
        )  # fmt: skip
        return list(read_rows(rows, self.desk, effective_on=on or self.first_day, now=NOW, allow_private=True))

    def ask(self, *, on: date | None = None) -> tuple[int, tuple[str, ...]]:
        return ask_push(
            self.world.tenant, self.desk, agreement_desks, period=month_from(self.first_day),
            effective_on=on or self.first_day, keys=None, actor=ACTOR, now=NOW,
        )  # fmt: skip

    def deliver(self, *, after: timedelta = timedelta(0)) -> PsaPush:
        push = partial(deliver_push, desks=agreement_desks, allow_private=True)
        deliver_due({"psa": push}, now=lambda: NOW + after)
        newest: PsaPush = PsaPush.objects.of(self.world.tenant).order_by("-pk")[0]
        return newest

    def written(self) -> list[float]:
        return [quantity for line in self.double.lines for quantity, _ in line.changes]


@pytest.fixture
def psa(world: World, request: pytest.FixtureRequest) -> Iterator[Psa]:
    with ExitStack() as stack:
        row, desk = connected(world, getattr(request, "param", "connectwise"), stack)
        yield Psa(keep_books(world), row, desk.books, desk.fail_next)


def test_the_difference_lists_unmapped_first_and_a_push_writes_it_once(psa: Psa) -> None:
    assert [(row.kind, row.client.pk) for row in psa.compare()] == [
        ("unmapped", psa.world.client.pk), ("unmapped", psa.world.resold_client.pk)
    ]  # fmt: skip
    assert psa.map_acme()
    assert not psa.map_acme(), "the same choice changes nothing"
    bakery, acme = psa.compare()
    assert (bakery.kind, acme.kind) == ("unmapped", "change")
    assert "has no company in Desk" in bakery.problem
    assert acme.line is not None
    assert acme.stated is not None
    assert (acme.line.quantity, acme.quantity) == (Decimal(200), Decimal(250))
    assert (acme.stated.state, acme.stated.unit) == ("draft", "GB")
    assert psa.written() == [], "a dry run writes nothing"

    assert psa.ask() == (1, ())
    assert psa.ask()[0] == 0, "it is on its way already"
    push = psa.deliver()
    assert (push.state, push.before, push.quantity, push.asked_by) == ("done", Decimal(200), Decimal(250), ACTOR)
    assert psa.double.lines[0].changes == [(250, psa.first_day.isoformat())]
    assert [row.kind for row in psa.compare()] == ["unmapped", "same"]
    psa.ask()
    assert psa.deliver(after=timedelta(hours=1)).state == "same"
    assert psa.written() == [250], "a second push without changes writes nothing"
    told = AuditEntry.objects.of(psa.world.tenant).filter(action__startswith="psa.").order_by("pk")
    assert [entry.action for entry in told] == ["psa.line_chosen", "psa.pushed", "psa.pushed"]
    assert Decimal(told[1].after["quantity"]) == 250


@pytest.mark.parametrize("psa", sorted(SYSTEMS), indirect=True)
def test_a_lost_answer_is_looked_up_and_never_written_twice(psa: Psa) -> None:
    psa.map_acme()
    psa.ask()
    psa.fail_next("answer lost after commit")
    assert psa.deliver().state == "waiting"
    lane = Lane.objects.of(psa.world.tenant).get(kind="psa")
    assert (lane.unknown, lane.next_attempt_at) == (True, NOW + timedelta(minutes=1))
    push = psa.deliver(after=timedelta(minutes=2))
    assert (push.state, push.before) == ("done", Decimal(200))
    assert psa.written() == [250]
    assert psa.compare()[-1].kind == "same"
    psa.ask()
    assert psa.deliver(after=timedelta(hours=1)).state == "same"
    assert psa.written() == [250]


def test_it_waits_as_long_as_a_busy_system_asks_and_no_longer(psa: Psa) -> None:
    psa.map_acme()
    psa.ask()
    psa.fail_next("too many requests")
    psa.deliver()
    assert Lane.objects.of(psa.world.tenant).get(kind="psa").next_attempt_at == NOW + timedelta(seconds=17)
    assert psa.deliver(after=timedelta(seconds=16)).state == "waiting"
    assert psa.deliver(after=timedelta(seconds=18)).state == "done"


def test_what_went_wrong_stands_at_the_push_and_can_be_pushed_again(psa: Psa) -> None:
    psa.map_acme()
    psa.ask()
    good = psa.row.config
    Destination.objects.of(psa.world.tenant).filter(pk=psa.row.pk).update(config=good | {"private_key": "wr0ng-key"})
    push = psa.deliver()
    assert push.state == "failed"
    assert "401" in push.problem
    assert "wr0ng-key" not in push.problem
    assert "401" in psa.compare()[-1].problem
    Destination.objects.of(psa.world.tenant).filter(pk=psa.row.pk).update(config=good)
    psa.double.agreements[0].ends = "2020-01-31"
    assert "ended on 2020-01-31" in psa.compare()[-1].problem
    psa.ask()
    assert "ended on 2020-01-31" in psa.deliver(after=timedelta(minutes=1)).problem
    psa.double.agreements[0].ends = ""
    psa.double.lines[0].gone = True
    assert "choose a line again" in psa.compare()[-1].problem
    psa.ask()
    assert "choose a line again" in psa.deliver(after=timedelta(minutes=2)).problem
    assert psa.written() == []
    psa.double.lines[0].gone = False
    psa.ask()
    assert psa.deliver(after=timedelta(minutes=3)).state == "done"


def test_a_destination_that_is_off_or_tried_out_or_gone_is_not_written_to(psa: Psa) -> None:
    psa.map_acme()
    psa.ask()
    rows = Destination.objects.of(psa.world.tenant).filter(pk=psa.row.pk)
    rows.update(enabled=False)
    assert "switched off" in psa.deliver().problem
    rows.update(enabled=True, dry_run=True)
    with pytest.raises(Refused, match="tried out"):
        psa.ask()
    rows.update(dry_run=False)
    psa.ask()
    rows.delete()
    assert "gone" in psa.deliver(after=timedelta(minutes=1)).problem
    assert psa.written() == []


def test_what_cannot_be_pushed_says_why(psa: Psa) -> None:
    psa.map_acme()
    Invoice.objects.of(psa.world.tenant).filter(pk=psa.kept.acme.pk).update(held=["Acme: 3 days are missing."])
    assert psa.compare()[-1].problem == "Its draft is held: Acme: 3 days are missing."
    assert psa.ask() == (0, ("Acme Dental, Backup: Its draft is held: Acme: 3 days are missing.",))
    Invoice.objects.of(psa.world.tenant).filter(pk=psa.kept.acme.pk).update(held=[])
    later = psa.first_day + timedelta(days=40)
    psa.ask(on=later)
    psa.deliver()
    assert "an earlier one would undo it" in psa.compare()[-1].problem
    with pytest.raises(Refused, match="counts from a day between"):
        psa.ask(on=psa.first_day - timedelta(days=1))
    Invoice.objects.of(psa.world.tenant).filter(pk=psa.kept.acme.pk).update(state="void", number="x")
    assert "draft the month" in psa.compare(on=later)[-1].problem


def test_quantities_are_those_of_the_invoices_and_of_the_plan_that_came_last(psa: Psa) -> None:
    finalise(psa.world.tenant, psa.kept.acme.uid, actor=ACTOR, now=NOW)
    of_acme = stated_quantities(psa.world.tenant, first_day=psa.first_day)[psa.world.client.pk, "tiered"]
    assert (of_acme.quantity, of_acme.state) == (Decimal(250), "final")
    bakery = psa.world.resold_client
    moved = Subscription.objects.of(psa.world.tenant).get(client=bakery)
    second = new_version(psa.world.tenant, code="tiered", draft=draft_of(psa.kept.plan), actor=ACTOR, now=NOW)
    change_plan(
        moved, tenant=psa.world.tenant, plan=second, on=psa.first_day + timedelta(days=10), actor=ACTOR, now=NOW
    )
    psa.kept.draft_again()
    of_bakery = stated_quantities(psa.world.tenant, first_day=psa.first_day)[bakery.pk, "tiered"]
    assert (of_bakery.quantity, of_bakery.state) == (Decimal(40), "draft"), "not 40 and 40"


def test_a_line_is_one_plans_and_quantities_can_be_rounded_up(psa: Psa) -> None:
    psa.map_acme(rounding="up")
    with pytest.raises(Refused, match="another plan's already"):
        choose_line(
            psa.world.tenant, psa.desk, psa.world.resold_client, "tiered",
            psa.desk.lines("17", on=psa.first_day, call=a_call())[0], actor=ACTOR, now=NOW,
        )  # fmt: skip
    with pytest.raises(Refused, match="rounded up"):
        psa.map_acme(rounding="down")
    assert PsaLine.objects.of(psa.world.tenant).get().rounding == "up"
    choose_line(psa.world.tenant, psa.desk, psa.world.client, "tiered", None, actor=ACTOR, now=NOW)
    assert not PsaLine.objects.of(psa.world.tenant).exists()


def test_pushes_to_one_agreement_go_one_after_the_other_and_what_fails_lets_the_next_go(psa: Psa) -> None:
    psa.map_acme()
    psa.ask()
    first = PsaPush.objects.of(psa.world.tenant).get()
    second = PsaPush.objects.of(psa.world.tenant).get()
    second.pk, second.uid, second.line_id, second.quantity = None, uuid.uuid4(), "9002", Decimal(2)
    second.save(force_insert=True)
    lanes.mark(psa.world.tenant.pk, "psa", [second.pk], now=NOW)
    psa.fail_next("too many requests")
    psa.deliver()
    assert psa.written() == [], "the second waits for the first"
    psa.deliver(after=timedelta(seconds=20))
    psa.deliver(after=timedelta(seconds=40))
    states = PsaPush.objects.of(psa.world.tenant).order_by("pk").values_list("pk", "state")
    assert list(states) == [(first.pk, "done"), (second.pk, "done")]
    assert psa.written() == [250, 2]


def test_the_command_shows_the_difference_and_pushes_when_told(
    psa: Psa, capsys: pytest.CaptureFixture[str], settings: Any
) -> None:
    settings.BACKLEDGER = replace(settings.BACKLEDGER, allow_private_destinations=True)
    psa.map_acme()
    month = f"{psa.first_day:%Y-%m}"
    call_command("push_agreements", "Desk", tenant=psa.world.tenant.slug, month=month)
    told = capsys.readouterr().out
    assert told.index("not mapped") < told.index("200 -> 250 GB")
    assert not PsaPush.objects.of(psa.world.tenant).exists()
    call_command("push_agreements", "Desk", tenant=psa.world.tenant.slug, month=month, push=True)
    assert "1 on the way" in capsys.readouterr().out
    assert psa.deliver(after=timedelta(minutes=30)).state == "done"
    with pytest.raises(CommandError, match="no destination Nowhere"):
        call_command("push_agreements", "Nowhere", tenant=psa.world.tenant.slug, month=month)
    with pytest.raises(CommandError, match="2026-10"):
        call_command("push_agreements", "Desk", tenant=psa.world.tenant.slug, month="October")


# ---- the pages -------------------------------------------------------------------------------------------------------


def test_a_person_maps_compares_and_pushes_on_the_pages(psa: Psa, settings: Any) -> None:
    settings.BACKLEDGER = replace(settings.BACKLEDGER, allow_private_destinations=True)
    browser = browser_of(psa.world.billing)
    page = browser.get(reverse("psa")).content.decode()
    assert page.index("not mapped") < page.index("Nothing was pushed yet")
    lines = reverse("psa-lines", args=[psa.row.uid, psa.world.client.uid])
    page = browser.get(lines).content.decode()
    assert "Backup storage per GB (200)" in page
    browser.post(lines, {"line-tiered": "501/9001", "rounding-tiered": "up"})
    assert PsaLine.objects.of(psa.world.tenant).get().name == "Backup storage per GB"
    values = {"destination": str(psa.row.uid), "month": psa.first_day.isoformat()}
    page = browser.get(reverse("psa"), values | {"compare": "yes"}).content.decode()
    key = f"{psa.world.client.uid}/tiered"
    assert f'value="{key}" checked' in page
    assert psa.written() == []
    address = reverse("psa-push", args=[psa.row.uid])
    assert browser.post(address, {"month": values["month"]}).status_code == 409
    browser.post(address, {"month": values["month"], "row": key})
    psa.deliver(after=timedelta(minutes=30))
    assert psa.written() == [250]
    page = browser.get(reverse("psa"), values | {"compare": "yes"}).content.decode()
    assert "the same" in page
    assert psa.world.billing.email in page


def test_only_money_people_of_the_tenant_come_near(psa: Psa) -> None:
    psa.map_acme()
    push = reverse("psa-push", args=[psa.row.uid])
    lines = reverse("psa-lines", args=[psa.row.uid, psa.world.client.uid])
    typed = {"month": psa.first_day.isoformat(), "row": f"{psa.world.client.uid}/tiered"}
    codes = {}
    for name in ("technician", "reseller_staff", "stranger"):
        browser: Browser = browser_of(getattr(psa.world, name))
        codes[name] = (browser.get(lines).status_code, browser.post(push, typed).status_code)
    assert codes == {"technician": (403, 403), "reseller_staff": (404, 404), "stranger": (404, 404)}
    assert not PsaPush.objects.of(psa.world.tenant).exists()
