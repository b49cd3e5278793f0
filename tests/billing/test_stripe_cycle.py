"""A whole month through Stripe, with everything that goes wrong, ends with equal books: nothing twice, nothing lost.

Kills after every kind of request, lost answers, refusals for haste, a retry two days later when the keys are forgotten,
callbacks that are doubled, late and out of order, payments, a voided invoice. The clock is moved by hand.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.test import Client as Browser
from django.urls import reverse

from billing.callback_addresses import address_of
from billing.collecting import deliver_collection
from billing.finalising import finalise, void_and_replace
from billing.invoicing import draft_run
from billing.models import Collection, Invoice, Reconciliation, Seller
from billing.reconciling import reconcile, reconcile_due
from integrations import http
from integrations.payments.documents import to_minor_units
from msp.outbox import lanes
from msp.outbox.models import InboundEvent
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, october
from tests.dashboard.scene import browser_of
from tests.doubles.stripe_double import API_KEY, StripeDouble
from tests.world import World, make_client, make_job

SECRET = "whsec_cycle"
CLIENTS, FEW = 14, 4


class KilledError(BaseException):
    """The worker died: nothing of ours handles this, as nothing could handle a kill."""


@pytest.fixture
def stripe() -> Iterator[StripeDouble]:
    with StripeDouble() as double:
        double.clock = int(NOVEMBER.timestamp())
        yield double


@pytest.fixture
def invoices(month: Month, world: World, stripe: StripeDouble) -> list[Invoice]:
    """A few final invoices of October."""
    return final_invoices(month, world, stripe, count=FEW)


def final_invoices(month: Month, world: World, stripe: StripeDouble, *, count: int) -> list[Invoice]:
    """Each over another amount."""
    month.seller.stripe = {"api_key": API_KEY, "api_base": stripe.url, "webhook_secret": SECRET}
    month.seller.save()
    plan = month.plan(code="per-gb", price="per_unit", price_params={"unit_price": "0.10"})
    for number in range(count):
        client = make_client(world.tenant, f"Client {number:02d}")
        month.on_plan(client, plan, tax_rate=Decimal("0.19"), country="DE")
        month.measure(make_job(world.tenant, world.server, client, f"files {number}"), october((number + 1) * 37 * GB))
    run = draft_run(world.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
    drafts = list(Invoice.objects.of(world.tenant).filter(run=run).order_by("pk"))
    return [finalise(world.tenant, draft.uid, actor=ACTOR, now=NOVEMBER) for draft in drafts]


def deliver_due(now: datetime) -> None:
    for claim in lanes.claim("stripe", now=now, limit=50):
        deliver_collection(claim, now=now)


def deliver_with_kills(chance: random.Random, now: datetime, monkeypatch: pytest.MonkeyPatch) -> int:
    """Deliver what is due; at random the worker dies right after a request was answered. Answers how often."""
    kills = 0
    for claim in lanes.claim("stripe", now=now, limit=50):
        left = chance.randint(1, 12)
        with monkeypatch.context() as patched:
            patched.setattr(http, "exchange", dying_after(left, http.exchange))
            try:
                deliver_collection(claim, now=now)
            except KilledError:
                kills += 1
    return kills


def dying_after(requests: int, exchange: Callable[..., Any]) -> Callable[..., Any]:
    left = requests

    def exchanged(*arguments: Any, **options: Any) -> Any:
        nonlocal left
        answer = exchange(*arguments, **options)
        left -= 1
        if left == 0:
            raise KilledError
        return answer

    return exchanged


def callback(seller: Seller, stripe: StripeDouble, event: dict[str, Any]) -> int:
    """Stripe calls: the status of our answer."""
    body, headers = stripe.signed(event, secret=SECRET)
    address = address_of(seller, base_url="")
    with time_machine.travel(datetime.fromtimestamp(stripe.clock, tz=UTC), tick=False):
        answer = Browser().post(address, body, content_type="application/json", headers=headers)
    return answer.status_code


def books(world: World) -> dict[str, tuple[str, int, int]]:
    """By number: the state, the total and what is paid, of ours in smallest units."""
    rows = Collection.objects.of(world.tenant).select_related("invoice")
    return {
        row.invoice.number: (
            row.confirmed_state,
            to_minor_units(row.invoice.total, currency=row.invoice.currency),
            to_minor_units(row.amount_paid, currency=row.invoice.currency),
        )
        for row in rows
    }


def their_books(stripe: StripeDouble) -> dict[str, tuple[str, int, int]]:
    return {each["number"]: (each["status"], each["total"], each["amount_paid"]) for each in stripe.invoices.values()}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_month_with_everything_that_goes_wrong_ends_with_equal_books(
    seed: int,
    world: World,
    month: Month,
    stripe: StripeDouble,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    invoices = final_invoices(month, world, stripe, count=CLIENTS)
    chance = random.Random(seed)
    faults = ["answer lost after commit", "rate limit", "server error", "server error after commit", "in use"]
    for at in ("POST /v1/customers", "POST /v1/invoices", "POST .*/add_lines", "POST .*/finalize"):
        stripe.fail(chance.choice(faults), at=at)  # type: ignore[arg-type]
    now, kills = NOVEMBER, 0
    for _ in range(4):
        kills += deliver_with_kills(chance, now, monkeypatch)
        now += timedelta(hours=1)
        stripe.clock = int(now.timestamp())
    assert kills > 5, "the test does not test what it says"
    now = NOVEMBER + timedelta(days=2, hours=1)  # the keys are forgotten by now
    for _ in range(6):
        stripe.clock = int(now.timestamp())
        deliver_due(now)
        now += timedelta(hours=2)
    assert set(their_books(stripe)) == {invoice.number for invoice in invoices}
    assert len(stripe.customers) == len(stripe.invoices) == CLIENTS

    for invoice_id in chance.sample(sorted(stripe.invoices), 9):
        stripe.pay(invoice_id)
    unpaid = next(each["number"] for each in stripe.invoices.values() if each["status"] == "open")
    wrong = next(invoice for invoice in invoices if invoice.number == unpaid)
    void_and_replace(world.tenant, wrong.uid, actor=ACTOR, reason="wrong size", now=now)
    calls = stripe.events * 2
    chance.shuffle(calls)
    assert {callback(month.seller, stripe, event) for event in calls} == {200}
    assert InboundEvent.objects.of(world.tenant).count() == len(stripe.events)
    deliver_due(now)

    assert books(world) == their_books(stripe)
    assert sorted(state for state, _, _ in books(world).values()) == ["open"] * 4 + ["paid"] * 9 + ["void"]
    compared = reconcile(month.seller, now=now)
    assert (compared.compared, compared.differences, compared.failure) == (CLIENTS, [], "")


# ---- callbacks ---------------------------------------------------------------------------------------------------


def test_a_payment_is_known_within_a_callback(
    world: World, month: Month, stripe: StripeDouble, invoices: list[Invoice]
) -> None:
    deliver_due(NOVEMBER)
    paid_id = next(iter(stripe.invoices))
    stripe.pay(paid_id)
    assert callback(month.seller, stripe, stripe.events[-1]) == 200
    deliver_due(NOVEMBER + timedelta(minutes=1))
    row = Collection.objects.of(world.tenant).get(external_ids__invoice_id=paid_id)
    assert (row.confirmed_state, row.amount_paid, row.paid_at) == ("paid", row.invoice.total, NOVEMBER)


@pytest.mark.parametrize("how", ["unsigned", "other secret", "late", "changed", "no event"])
def test_what_stripe_did_not_sign_is_refused_and_counted(
    how: str, world: World, month: Month, stripe: StripeDouble, invoices: list[Invoice]
) -> None:
    deliver_due(NOVEMBER)
    body, headers = stripe.signed(stripe.events[0], secret="whsec_other" if how == "other secret" else SECRET)
    now = NOVEMBER + timedelta(minutes=6 if how == "late" else 0)
    if how == "unsigned":
        headers = {}
    if how == "changed":
        body = body.replace(b"invoice.finalized", b"invoice.finalised")
    if how == "no event":
        body, headers = stripe.signed({"id": "evt_1", "data": []}, secret=SECRET)
    with time_machine.travel(now, tick=False):
        answer = Browser().post(
            address_of(month.seller, base_url=""), body, content_type="application/json", headers=headers
        )
    assert answer.status_code == 401
    seller = Seller.objects.of(world.tenant).get(pk=month.seller.pk)
    assert seller.callbacks_refused == 1
    assert seller.last_refusal
    assert SECRET not in seller.last_refusal
    assert not InboundEvent.objects.of(world.tenant).exists()


def test_a_stranger_learns_nothing_from_an_address(world: World, month: Month) -> None:
    assert Browser().post("/hooks/stripe/nonsense/", b"{}", content_type="application/json").status_code == 404
    assert Browser().get(address_of(month.seller, base_url="")).status_code == 405
    assert address_of(month.seller, base_url="https://x/") == "https://x" + address_of(month.seller, base_url="")


# ---- reconciliation ----------------------------------------------------------------------------------------------


def kinds(made: Reconciliation) -> list[str]:
    return sorted(each["kind"] for each in made.differences)


def test_each_difference_is_said_in_a_sentence(
    world: World, month: Month, stripe: StripeDouble, invoices: list[Invoice]
) -> None:
    deliver_due(NOVEMBER)
    now = NOVEMBER + timedelta(hours=3)
    ids = list(stripe.invoices)
    stripe.pay(ids[0])
    del stripe.invoices[ids[1]]
    stripe.lines[ids[2]][0]["amount"] += 1
    stripe.invoices["in_foreign"] = stripe.invoices[ids[3]] | {"id": "in_foreign", "number": "X-1", "metadata": {}}
    stripe.lines["in_foreign"] = []
    made = reconcile(month.seller, now=now)
    assert kinds(made) == ["missing there", "paid", "state", "total", "unknown here"]
    assert all(each["sentence"].endswith(".") for each in made.differences)
    assert f"{invoices[1].number} over {invoices[1].total} EUR is not at Stripe." in [
        each["sentence"] for each in made.differences
    ]


def test_what_a_lost_callback_hid_is_settled_by_looking_again(
    world: World, month: Month, stripe: StripeDouble, invoices: list[Invoice]
) -> None:
    deliver_due(NOVEMBER)
    stripe.pay(next(iter(stripe.invoices)))
    now = NOVEMBER + timedelta(hours=3)
    assert kinds(reconcile(month.seller, now=now)) == ["paid", "state"]
    deliver_due(now)
    assert reconcile(month.seller, now=now + timedelta(minutes=1)).differences == []


def test_what_is_on_its_way_is_no_difference(month: Month, stripe: StripeDouble, invoices: list[Invoice]) -> None:
    assert reconcile(month.seller, now=NOVEMBER + timedelta(minutes=5)).differences == []
    assert len(kinds(reconcile(month.seller, now=NOVEMBER + timedelta(hours=3)))) == FEW


def test_an_account_that_cannot_be_read_is_said(month: Month, stripe: StripeDouble, invoices: list[Invoice]) -> None:
    month.seller.stripe |= {"api_key": "sk_test_wrong"}
    month.seller.save()
    made = reconcile(month.seller, now=NOVEMBER)
    assert made.failure
    assert made.differences == []
    assert "sk_test_wrong" not in made.failure


def test_every_seller_is_compared_once_a_day(month: Month, stripe: StripeDouble, invoices: list[Invoice]) -> None:
    assert reconcile_due(now=NOVEMBER) == 1
    assert reconcile_due(now=NOVEMBER + timedelta(hours=5)) == 0
    assert reconcile_due(now=NOVEMBER + timedelta(hours=21)) == 1


def test_the_page_and_the_command_say_what_differs(
    world: World,
    month: Month,
    stripe: StripeDouble,
    invoices: list[Invoice],
    capsys: pytest.CaptureFixture[str],
) -> None:
    deliver_due(NOVEMBER)
    del stripe.invoices[next(iter(stripe.invoices))]
    with time_machine.travel(NOVEMBER + timedelta(hours=4), tick=False), pytest.raises(SystemExit):
        call_command("reconcile_stripe", tenant=world.tenant.slug)
    assert f"{invoices[0].number} over" in capsys.readouterr().out
    page = browser_of(world.owner).get(reverse("seller-stripe", args=[month.seller.uid])).content.decode()
    assert f"{invoices[0].number} over" in page
    assert address_of(month.seller, base_url="") in page


# ---- the double --------------------------------------------------------------------------------------------------


def test_the_double_credits_no_more_than_is_left(stripe: StripeDouble, invoices: list[Invoice]) -> None:
    deliver_due(NOVEMBER)
    invoice_id = next(iter(stripe.invoices))
    total = stripe.invoices[invoice_id]["total"]
    headers = {"Authorization": f"Bearer {API_KEY}"}

    def credit(body: str) -> int:
        answer = http.exchange(
            "POST", f"{stripe.url}/v1/credit_notes", headers=headers, body=body.encode(), deadline_seconds=5,
            allow_private=True,
        )  # fmt: skip
        return answer.status

    assert credit(f"invoice={invoice_id}&amount={total - 1}") == 200
    assert credit(f"invoice={invoice_id}&amount=2") == 400
    assert credit(f"invoice={invoice_id}&amount=1&nonsense=1") == 400
    assert credit(f"invoice={invoice_id}&amount=1") == 200
    assert [event["type"] for event in stripe.events][-2:] == ["credit_note.created"] * 2
