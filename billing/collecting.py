"""Brings final invoices to Stripe and takes its callbacks; what was confirmed stands in ``Collection``.

Called by the delivery worker with a claim on a Stripe lane, and by the door of callbacks. Reads the
frozen snapshot only; ids there are stored as soon as they are known, so that a broken-off delivery goes on where it
was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Sum

from billing.hashing import hash_of
from billing.models import Collection, Payment, Seller
from billing.paying import record_stripe_payment
from billing.periods import local_day
from billing.refusals import NotFound
from billing.snapshots import frozen
from integrations.configuration import BadConfig, config_from_json
from integrations.errors import OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.payments import stripe
from integrations.payments.documents import (
    FinishedInvoice,
    FinishedLine,
    PayingParty,
    PostalAddress,
    from_minor_units,
)
from integrations.payments.stripe_events import StripeEvent, verify_webhook
from msp.outbox import lanes
from msp.outbox.lanes import Claim
from msp.outbox.models import InboundEvent
from msp.tenants.models import Tenant

#: What Stripe calls a state, and what we do; an uncollectible invoice is still open to us.
CONFIRMED = {"open": "open", "paid": "paid", "uncollectible": "open", "draft": "draft", "void": "void"}


@dataclass(frozen=True)
class Delivered:
    """What is true at Stripe now: ``state`` as in Collection.confirmed_state; ``page_url`` is where the client pays."""

    state: str
    page_url: str
    paid: Decimal = Decimal(0)
    paid_at: datetime | None = None


def deliver_collection(claim: Claim, *, now: datetime) -> None:
    """Deliver one claimed lane and settle it; never raises for what Stripe does."""
    try:
        delivered = deliver_one(claim.tenant_id, claim.object_id, now=now, deadline=lanes.CALL_DEADLINE)
    except TemporaryFailure as failure:
        _note(claim, outcome="temporary", detail=failure.reason, now=now)
        lanes.settle_later(
            claim, now=now, reason=failure.reason, retry_after=failure.retry_after, unknown=claim.unknown
        )
    except OutcomeUnknown as failure:
        _note(claim, outcome="unknown", detail=failure.reason, now=now)
        lanes.settle_later(claim, now=now, reason=failure.reason, unknown=True)
    except PermanentFailure as failure:
        _note(claim, outcome="permanent", detail=failure.reason, now=now)
        lanes.settle_stuck(claim, now=now, reason=failure.reason)
    else:
        _note(claim, outcome="done", detail=f"{delivered.state} {delivered.page_url}".strip(), now=now)
        lanes.settle_done(claim, now=now)


def deliver_one(tenant_id: int, collection_id: int, *, now: datetime, deadline: timedelta) -> Delivered:
    """Make the invoice at Stripe what we want it to be, and confirm it. Holds no transaction during the calls.

    ``deadline`` is for all calls together. Raises the failures of integrations.errors; NotFound for another tenant's.
    """
    collection = _collection(tenant_id, collection_id)
    config = config_of(collection.invoice.seller)
    call = stripe.Call(
        now=now,
        deadline_seconds=deadline // timedelta(seconds=1),
        allow_private=settings.BACKLEDGER.allow_private_destinations,
    )
    document, known = finished_invoice(frozen(collection.invoice)), _known_ids(collection)
    if collection.wanted_state == "void":
        stripe.void(config, document, known, call=call)
        gone = Delivered(state="void", page_url=collection.external_url, paid=collection.amount_paid)
        return _confirm(collection, gone, ids=known, now=now)
    pushed = stripe.push_invoice(config, document, known, call=call)
    delivered = Delivered(
        state=CONFIRMED.get(pushed.status, "open"),
        page_url=pushed.page_url or "",
        paid=from_minor_units(pushed.paid_minor, currency=document.currency),
        paid_at=pushed.paid_at,
    )
    _take_payment(collection, delivered, external_id=pushed.ids.invoice_id or "", now=now)
    return _confirm(collection, delivered, ids=pushed.ids, now=now)


def receive_stripe_event(
    tenant: Tenant, seller: Seller, headers: Mapping[str, str], body: bytes, *, now: datetime
) -> bool:
    """Take a callback: verify it, keep it once, and have the object it names looked at again; whether it was ours.

    Raises PermanentFailure for a callback that Stripe did not sign for this seller.
    """
    event = verify_webhook(config_of(seller), headers, body, now=now)
    with transaction.atomic():
        _, is_new = InboundEvent.objects.of(tenant).get_or_create(
            source=f"stripe:{seller.pk}",
            external_id=event.event_id,
            defaults={"received_at": now, "body": body, "state": "done", "headers": {"kind": event.kind}},
        )
        return apply_stripe_event(tenant.pk, event, now=now) if is_new else False


def apply_stripe_event(tenant_id: int, event: StripeEvent, *, now: datetime) -> bool:
    """A callback only hints that an object changed: mark its lane, so that delivery reads what is true now."""
    collections = Collection.objects.of(tenant_id).filter(external_ids__invoice_id=event.object_id)
    ids = list(collections.values_list("pk", flat=True))
    lanes.mark(tenant_id, "stripe", ids, now=now)
    return bool(ids)


def finished_invoice(snapshot: Mapping[str, Any]) -> FinishedInvoice:
    """The document as a payment service takes it; the tax is a line of its own."""
    first, last = (
        date.fromisoformat(snapshot["first_day"]),
        date.fromisoformat(snapshot["last_day"]) - timedelta(days=1),
    )
    lines = [
        FinishedLine(line["uid"], line["description"], Decimal(line["amount"]), first, last)
        for line in snapshot["lines"]
    ]
    return FinishedInvoice(
        invoice_id=snapshot["uid"],
        number=snapshot["number"],
        content_hash=hash_of(snapshot),
        currency=snapshot["currency"],
        issued_on=date.fromisoformat(snapshot["issued_on"]),
        due_on=date.fromisoformat(snapshot["due_on"]),
        paying=_paying(snapshot["bill_to"]),
        lines=(*lines, *_tax_lines(snapshot)),
        total=Decimal(snapshot["total"]),
        order_number=snapshot["bill_to"]["order_number"],
        note=snapshot["bill_to"]["tax_note"],
    )


def _tax_lines(snapshot: Mapping[str, Any]) -> tuple[FinishedLine, ...]:
    """One for each rate; documents of the first version had one rate for everything."""
    if snapshot["snapshot_version"] == 1:
        taxes: Sequence[Any] = [{"rate": snapshot["tax_rate"], "net": snapshot["net"], "tax": snapshot["tax"]}]
    else:
        taxes = snapshot["taxes"]
    charged = [each for each in taxes if Decimal(each["tax"])]
    return tuple(
        _tax_line(snapshot, each, key="tax" if len(charged) == 1 else f"tax{each['rate']}") for each in charged
    )


def _tax_line(snapshot: Mapping[str, Any], tax: Mapping[str, Any], *, key: str) -> FinishedLine:
    percent = format((Decimal(tax["rate"]) * 100).normalize(), "f")
    return FinishedLine(f"{snapshot['uid']}:{key}", f"Tax {percent} % of {tax['net']}", Decimal(tax["tax"]))


def _paying(bill_to: Mapping[str, Any]) -> PayingParty:
    address = [line.strip() for line in bill_to["address"].splitlines() if line.strip()]
    return PayingParty(
        bill_to_id=bill_to["uid"],
        name=bill_to["legal_name"],
        email=bill_to["email"],
        address=PostalAddress(
            line1=address[0] if address else "", line2=", ".join(address[1:]), country=bill_to["country"]
        ),
    )


def _collection(tenant_id: int, collection_id: int) -> Collection:
    found = Collection.objects.of(tenant_id).select_related("invoice__seller").filter(pk=collection_id).first()
    if found is None:
        raise NotFound("There is no such collection.")
    collection: Collection = found
    return collection


def config_of(seller: Seller) -> stripe.Config:
    """How to reach the seller's account. Raises PermanentFailure."""
    if not seller.stripe:
        raise PermanentFailure(f"{seller} has no Stripe key any more; set it, or settle the invoice by hand.")
    try:
        return config_from_json(stripe.Config, seller.stripe)
    except BadConfig as bad:
        raise PermanentFailure(f"The Stripe settings of {seller} cannot be used: {bad}") from bad


def _known_ids(collection: Collection) -> stripe.StripeIds:
    """Its own ids, else the customer that an earlier invoice of the same bill-to made at the same seller's account."""
    customer_id = collection.external_ids.get("customer_id")
    if not customer_id:
        earlier = Collection.objects.of(collection.tenant_id).filter(
            invoice__bill_to=collection.invoice.bill_to_id, invoice__seller=collection.invoice.seller_id
        )
        ids = earlier.exclude(external_ids={}).order_by("-pk").values_list("external_ids", flat=True).first()
        customer_id = (ids or {}).get("customer_id")
    return stripe.StripeIds(customer_id=customer_id, invoice_id=collection.external_ids.get("invoice_id"))


def _take_payment(collection: Collection, delivered: Delivered, *, external_id: str, now: datetime) -> None:
    """What was paid there since it was last looked at becomes a payment of ours, known by the sum reached with it."""
    known = Payment.objects.of(collection.tenant_id).filter(
        seller=collection.invoice.seller_id, source_id__startswith=f"stripe:{external_id}:"
    )
    fresh = delivered.paid - (known.aggregate(sum=Sum("amount"))["sum"] or 0)
    if external_id and fresh > 0:
        record_stripe_payment(
            collection.invoice,
            external_id=f"{external_id}:{delivered.paid.normalize():f}",
            amount=fresh,
            received_on=local_day(delivered.paid_at or now, zone=collection.invoice.tenant.timezone),
            now=now,
        )


def _note(claim: Claim, *, outcome: str, detail: str, now: datetime) -> None:
    lanes.note_attempt(claim, action="stripe", outcome=outcome, detail=detail, now=now)


def _confirm(collection: Collection, delivered: Delivered, *, ids: stripe.StripeIds, now: datetime) -> Delivered:
    found = {"customer_id": ids.customer_id, "invoice_id": ids.invoice_id}
    Collection.objects.of(collection.tenant_id).filter(pk=collection.pk).update(
        confirmed_state=delivered.state,
        external_ids={name: value for name, value in found.items() if value},
        external_url=delivered.page_url[:500],
        amount_paid=delivered.paid,
        paid_at=delivered.paid_at,
        updated_at=now,
    )
    return delivered
