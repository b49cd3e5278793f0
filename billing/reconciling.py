"""Compares our final invoices with what a seller's Stripe account holds, and says every difference in a sentence.

Run nightly by a task, and by the command ``reconcile_stripe``. It changes nothing there and nothing in our books; an
invoice of ours that differs is marked to be looked at again, since a callback may have been lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from django.conf import settings

from billing.collecting import CONFIRMED, config_of
from billing.models import Collection, Reconciliation, Seller
from integrations.errors import DeliveryFailure
from integrations.payments import stripe
from integrations.payments.documents import from_minor_units, to_minor_units
from integrations.payments.stripe import TheirInvoice
from msp.outbox import lanes
from msp.tenants.models import Tenant

DifferenceKind = Literal["missing there", "unknown here", "total", "state", "paid", "twice"]

#: How far back the nightly comparison looks.
DAYS = 45
#: Listing a large account takes a while; it is read in pages of a hundred.
SECONDS = 120
#: What was final for a shorter time may be on its way.
UNDER_WAY = timedelta(hours=2)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing on which the books differ; ``number`` is the invoice's, ``there`` the id at Stripe, "" if none."""

    kind: DifferenceKind
    number: str
    there: str
    sentence: str


def reconcile(seller: Seller, *, now: datetime, days: int = DAYS) -> Reconciliation:
    """Compare what was made there in these days, and keep what was found. Never raises for what Stripe does."""
    since = (now - timedelta(days=days)).date()
    found: tuple[Difference, ...] = ()
    failure, compared = "", 0
    try:
        theirs = _listed(seller, since=since, now=now)
        ours = _ours(seller, since=since)
        compared, found = len(theirs), tuple(differences(ours, theirs, now=now))
        _look_again(seller, ours, found, now=now)
    except DeliveryFailure as failed:
        failure = failed.reason
    made: Reconciliation = Reconciliation.objects.of(seller.tenant_id).create(
        seller=seller, at=now, since=since, compared=compared, differences=[asdict(each) for each in found],
        failure=failure,
    )  # fmt: skip
    return made


def reconcile_due(*, now: datetime, every: timedelta = timedelta(hours=20)) -> int:
    """Compare every seller with Stripe that was not compared for so long; answers how many were."""
    done = 0
    for seller in _collecting_sellers():
        last = Reconciliation.objects.of(seller.tenant_id).filter(seller=seller).order_by("-at").first()
        if last is None or last.at <= now - every:
            reconcile(seller, now=now)
            done += 1
    return done


def _collecting_sellers() -> Iterable[Seller]:
    """Of every tenant those with a Stripe account."""
    for tenant in Tenant.objects.order_by("pk"):
        yield from Seller.objects.of(tenant).exclude(stripe=None).order_by("pk")


def differences(ours: Sequence[Collection], theirs: Sequence[TheirInvoice], *, now: datetime) -> Iterable[Difference]:
    """Every difference between our collections and their invoices, ours first."""
    by_our_id: dict[str, list[TheirInvoice]] = {}
    for each in theirs:
        by_our_id.setdefault(each.our_id, []).append(each)
    for collection in ours:
        yield from _compare(collection, by_our_id.get(str(collection.invoice.uid), []), now=now)
    known = {str(collection.invoice.uid) for collection in ours}
    for each in theirs:
        if each.our_id not in known and each.status != "draft":
            yield _unknown(each)


def _compare(collection: Collection, there: Sequence[TheirInvoice], *, now: datetime) -> Iterable[Difference]:
    invoice = collection.invoice
    if not there:
        fresh = invoice.finalised_at is not None and invoice.finalised_at > now - UNDER_WAY
        if collection.wanted_state != "void" and not fresh:
            sentence = f"{invoice.number} over {invoice.total} {invoice.currency} is not at Stripe."
            yield Difference(kind="missing there", number=invoice.number, there="", sentence=sentence)
        return
    if len(there) > 1:
        ids = ", ".join(each.invoice_id for each in there)
        sentence = f"{invoice.number} exists {len(there)} times at Stripe: {ids}."
        yield Difference(kind="twice", number=invoice.number, there=there[0].invoice_id, sentence=sentence)
    yield from _compare_one(collection, there[0])


def _compare_one(collection: Collection, there: TheirInvoice) -> Iterable[Difference]:
    invoice = collection.invoice
    total = to_minor_units(invoice.total, currency=invoice.currency)
    if (there.currency, there.total_minor) != (invoice.currency, total):
        shown = f"{from_minor_units(there.total_minor, currency=there.currency)} {there.currency}"
        sentence = f"{invoice.number} is {invoice.total} {invoice.currency} here and {shown} at Stripe."
        yield Difference(kind="total", number=invoice.number, there=there.invoice_id, sentence=sentence)
    state = "void" if collection.wanted_state == "void" else collection.confirmed_state
    if CONFIRMED.get(there.status, "open") != state:
        sentence = f"{invoice.number} is {there.status} at Stripe and {state} here."
        yield Difference(kind="state", number=invoice.number, there=there.invoice_id, sentence=sentence)
    paid = from_minor_units(there.paid_minor, currency=there.currency)
    if paid != collection.amount_paid:
        sentence = f"{paid} {there.currency} of {invoice.number} is paid at Stripe, {collection.amount_paid} here."
        yield Difference(kind="paid", number=invoice.number, there=there.invoice_id, sentence=sentence)


def _unknown(there: TheirInvoice) -> Difference:
    shown = f"{from_minor_units(there.total_minor, currency=there.currency)} {there.currency}"
    whose = "says it is ours, but is none of ours" if there.our_id else "was not made by us"
    sentence = f"{there.number or there.invoice_id} over {shown} is {there.status} at Stripe and {whose}."
    return Difference(kind="unknown here", number=there.number, there=there.invoice_id, sentence=sentence)


def _listed(seller: Seller, *, since: date, now: datetime) -> tuple[TheirInvoice, ...]:
    call = stripe.Call(now=now, deadline_seconds=SECONDS, allow_private=settings.BACKLEDGER.allow_private_destinations)
    return stripe.list_invoices(config_of(seller), since=since, call=call)


def _ours(seller: Seller, *, since: date) -> list[Collection]:
    rows = Collection.objects.of(seller.tenant_id).filter(
        invoice__seller=seller, service="stripe", invoice__finalised_at__date__gte=since
    )
    return list(rows.select_related("invoice").defer("invoice__snapshot").order_by("pk"))


def _look_again(seller: Seller, ours: Sequence[Collection], found: Sequence[Difference], *, now: datetime) -> None:
    """A lost callback is the likeliest reason: reading the invoice again settles it."""
    numbers = {each.number for each in found if each.kind in ("missing there", "state", "paid")}
    lanes.mark(seller.tenant_id, "stripe", [row.pk for row in ours if row.invoice.number in numbers], now=now)


def latest_of(tenant_id: int) -> Mapping[int, Reconciliation]:
    """The latest comparison of each seller, by its id."""
    rows = Reconciliation.objects.of(tenant_id).order_by("seller_id", "-at").distinct("seller_id")
    return {row.seller_id: row for row in rows.select_related("seller")}


def counted(found: Sequence[Mapping[str, str]]) -> Mapping[str, int]:
    """How many differences there are of each kind."""
    return Counter(each["kind"] for each in found)
