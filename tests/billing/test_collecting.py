"""A final invoice reaches Stripe once, however often delivery is broken off; callbacks only make us look again."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from billing.collecting import deliver_collection, deliver_one, finished_invoice, receive_stripe_event
from billing.finalising import finalise, void_and_replace
from billing.invoicing import draft_run
from billing.models import Collection, Invoice
from billing.refusals import NotFound
from billing.snapshots import frozen
from integrations.errors import OutcomeUnknown, PermanentFailure, TemporaryFailure
from msp.outbox import lanes
from msp.outbox.models import InboundEvent, Lane, LaneAttempt
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, october, only_invoice
from tests.doubles.stripe_double import API_KEY, StripeDouble
from tests.world import World

pytestmark = pytest.mark.django_db
DEADLINE = timedelta(seconds=20)
SECRET = "whsec_test"


@pytest.fixture
def stripe() -> Iterator[StripeDouble]:
    with StripeDouble() as double:
        yield double


def one_final(month: Month, world: World, stripe: StripeDouble) -> Invoice:
    """Acme Dental: 100 GB at 0.10 and 19 % tax: 11.90 EUR."""
    month.seller.stripe = {"api_key": API_KEY, "api_base": stripe.url, "webhook_secret": SECRET}
    month.seller.save()
    plan = month.plan(code="per-gb", price="per_unit", price_params={"unit_price": "0.10"})
    address = {"address": "1 Tooth Lane\n1000 Molar", "country": "DE", "email": "pay@acme.example"}
    month.on_plan(world.client, plan, tax_rate=Decimal("0.19"), order_number="PO-7", **address)
    month.measure(world.job, october(100 * GB))
    run = draft_run(world.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
    return finalise(world.tenant, only_invoice(run).uid, actor=ACTOR, now=NOVEMBER)


def only_collection(world: World) -> Collection:
    collection: Collection = Collection.objects.of(world.tenant).get()
    return collection


def deliver_due(now: datetime) -> None:
    for claim in lanes.claim("stripe", now=now, limit=10):
        deliver_collection(claim, now=now)


def test_a_final_invoice_is_delivered_with_our_number_and_total(
    month: Month, world: World, stripe: StripeDouble
) -> None:
    invoice = one_final(month, world, stripe)
    deliver_due(NOVEMBER)
    collection = only_collection(world)
    assert collection.confirmed_state == "open"
    (there,) = stripe.invoices.values()
    assert (there["number"], there["total"], there["currency"]) == (invoice.number, 1190, "eur")
    amounts = sorted(line["amount"] for line in stripe.lines[there["id"]])
    assert amounts == [190, 1000]
    assert collection.external_ids["invoice_id"] == there["id"]
    lane = Lane.objects.of(world.tenant).get(kind="stripe")
    assert (lane.wanted, lane.confirmed, lane.stuck) == (1, 1, False)
    assert [attempt.outcome for attempt in LaneAttempt.objects.of(world.tenant)] == ["done"]


def test_without_a_key_nothing_is_collected(month: Month, world: World, stripe: StripeDouble) -> None:
    month.on_plan(world.client, month.plan())
    month.measure(world.job, october(100 * GB))
    run = draft_run(world.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
    finalise(world.tenant, only_invoice(run).uid, actor=ACTOR, now=NOVEMBER)
    assert not Collection.objects.of(world.tenant).exists()
    assert not Lane.objects.of(world.tenant).exists()


@pytest.mark.parametrize(
    "fault", ["answer lost after commit", "rate limit", "server error", "server error after commit"]
)
@pytest.mark.parametrize("at", ["POST /v1/customers", "POST /v1/invoices", "POST .*/add_lines", "POST .*/finalize"])
def test_delivery_broken_off_anywhere_goes_on_and_doubles_nothing(
    month: Month, world: World, stripe: StripeDouble, fault: str, at: str
) -> None:
    one_final(month, world, stripe)
    stripe.fail(fault, at=at)  # type: ignore[arg-type]
    for hours in range(3):
        deliver_due(NOVEMBER + timedelta(hours=hours))
    assert only_collection(world).confirmed_state == "open"
    assert (len(stripe.customers), len(stripe.invoices)) == (1, 1)
    assert [len(lines) for lines in stripe.lines.values()] == [2]


def test_what_stripe_refuses_waits_for_a_person(month: Month, world: World, stripe: StripeDouble) -> None:
    one_final(month, world, stripe)
    stripe.fail("total off by a cent", at="POST .*/add_lines")
    deliver_due(NOVEMBER)
    lane = Lane.objects.of(world.tenant).get(kind="stripe")
    assert lane.stuck
    assert "1191 EUR" in lane.last_error
    assert only_collection(world).confirmed_state == "none"
    assert API_KEY not in lane.last_error


def test_the_failures_of_one_delivery_are_told_apart(month: Month, world: World, stripe: StripeDouble) -> None:
    one_final(month, world, stripe)
    collection = only_collection(world)
    for fault, error in (("rate limit", TemporaryFailure), ("answer lost after commit", OutcomeUnknown)):
        stripe.fail(fault, at="POST .*")  # type: ignore[arg-type]
        with pytest.raises(error):
            deliver_one(world.tenant.pk, collection.pk, now=NOVEMBER, deadline=DEADLINE)
    with pytest.raises(NotFound):
        deliver_one(world.other.pk, collection.pk, now=NOVEMBER, deadline=DEADLINE)
    month.seller.stripe = None
    month.seller.save()
    with pytest.raises(PermanentFailure, match="no Stripe key any more"):
        deliver_one(world.tenant.pk, collection.pk, now=NOVEMBER, deadline=DEADLINE)


def test_a_voided_invoice_is_voided_there_and_its_replacement_uses_the_same_customer(
    month: Month, world: World, stripe: StripeDouble
) -> None:
    invoice = one_final(month, world, stripe)
    deliver_due(NOVEMBER)
    draft = void_and_replace(world.tenant, invoice.uid, actor=ACTOR, reason="wrong address", now=NOVEMBER)
    assert draft is not None
    finalise(world.tenant, draft.uid, actor=ACTOR, now=NOVEMBER)
    deliver_due(NOVEMBER)
    assert sorted(there["status"] for there in stripe.invoices.values()) == ["open", "void"]
    assert len(stripe.customers) == 1
    states = Collection.objects.of(world.tenant).order_by("pk").values_list("confirmed_state", flat=True)
    assert list(states) == ["void", "open"]


def signed(body: bytes, now: datetime) -> dict[str, str]:
    stamp = int(now.timestamp())
    signature = hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={stamp},v1={signature}"}


def test_a_callback_makes_us_look_and_paid_is_confirmed_once(month: Month, world: World, stripe: StripeDouble) -> None:
    one_final(month, world, stripe)
    deliver_due(NOVEMBER)
    (invoice_id,) = stripe.invoices
    stripe.pay(invoice_id)
    event = {"id": "evt_1", "type": "invoice.paid", "livemode": False, "data": {"object": {"id": invoice_id}}}
    body, now = json.dumps(event).encode(), NOVEMBER + timedelta(minutes=5)
    assert receive_stripe_event(world.tenant, month.seller, signed(body, now), body, now=now)
    assert not receive_stripe_event(world.tenant, month.seller, signed(body, now), body, now=now)
    deliver_due(now)
    assert only_collection(world).confirmed_state == "paid"
    assert InboundEvent.objects.of(world.tenant).count() == 1
    writes = len(stripe.writes())
    deliver_due(now + timedelta(hours=1))
    assert len(stripe.writes()) == writes


def test_a_callback_that_stripe_did_not_sign_is_refused(month: Month, world: World, stripe: StripeDouble) -> None:
    one_final(month, world, stripe)
    with pytest.raises(PermanentFailure, match="signature"):
        receive_stripe_event(world.tenant, month.seller, {"Stripe-Signature": "t=1,v1=0"}, b"{}", now=NOVEMBER)
    assert not InboundEvent.objects.of(world.tenant).exists()


def test_the_document_is_made_from_the_snapshot_alone(month: Month, world: World, stripe: StripeDouble) -> None:
    invoice = one_final(month, world, stripe)
    document = finished_invoice(frozen(invoice))
    assert (document.number, document.total, document.order_number) == ("2026-00001", Decimal("11.90"), "PO-7")
    assert [line.description for line in document.lines][1:] == ["Tax 19 % of 10.00"]
    assert (document.paying.name, document.paying.address.line1, document.paying.address.line2) == (
        "Acme Dental", "1 Tooth Lane", "1000 Molar",
    )  # fmt: skip
    assert document.content_hash == invoice.content_hash
