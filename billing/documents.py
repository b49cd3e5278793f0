"""Composes documents, one a bill-to and currency, from what its subscriptions cover, in a fixed number of queries.

Nothing here writes; the same input gives the same content and the same hash, whenever and however often it is composed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from billing.adjusting import NO_ADJUSTMENTS, Adjustments, DocumentKey
from billing.coverage import Covered, Ownership, covered_by, ownership_of
from billing.days import Period
from billing.deciding_days import Held
from billing.delta_lines import compose_delta
from billing.discount_lines import with_discounts
from billing.evidence import RunKey, RunProof, charged_figures, read_proofs
from billing.figures import Ledger, read_ledger
from billing.hashing import hash_of
from billing.lines import UNDECIDED, Composed, ComposedLine, Decisions, compose_line
from billing.metering import METERS
from billing.models import BillTo, Subscription
from billing.money import money_text, round_money
from billing.one_off_lines import with_one_offs
from billing.percentage_lines import compose_percentage
from billing.percentages import is_percentage
from billing.taxes import TaxTotal, tax_totals, taxes_record
from billing.taxing import Taxation, read_taxation, taxed

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Document:
    """The content of one invoice. ``content_hash`` covers all of it but not when it was composed."""

    bill_to: BillTo
    currency: str
    lines: tuple[ComposedLine, ...]
    held: tuple[Held, ...]
    net: Decimal
    tax: Decimal
    total: Decimal
    tax_rate: Decimal
    taxes: tuple[TaxTotal, ...]
    content_hash: str

    @property
    def key(self) -> DocumentKey:
        return (self.bill_to.pk, self.currency)


@dataclass(frozen=True)
class Material:
    """Everything that was read for a set of subscriptions."""

    covered: Mapping[int, tuple[Covered, ...]]
    links: Ownership
    ledger: Ledger
    proofs: Mapping[RunKey, RunProof]


def compose_documents(
    tenant_id: int,
    subscriptions: Sequence[Subscription],
    *,
    period: Period,
    cut_off: datetime,
    decisions: Mapping[DocumentKey, Decisions],
    adjustments: Adjustments = NO_ADJUSTMENTS,
) -> dict[DocumentKey, Document]:
    """The documents of these subscriptions as known at ``cut_off``; a bill-to with neither line nor hold has none.

    ``adjustments`` are the one-offs and discounts of their bill-tos; a one-off makes a document by itself.
    """
    sizes = [each for each in subscriptions if not is_percentage(each.plan)]
    material = _read(tenant_id, sizes, period=period, cut_off=cut_off)
    grouped: dict[DocumentKey, list[Subscription]] = defaultdict(list)
    for subscription in subscriptions:
        grouped[subscription.agreement.bill_to_id, subscription.plan.currency].append(subscription)
    sellers = {each.agreement.seller_id for each in subscriptions}
    sellers |= {each.agreement.seller_id for one_offs in adjustments.one_offs.values() for each in one_offs}
    taxation = read_taxation(tenant_id, sellers)
    documents = {}
    for key in (*grouped, *(key for key in adjustments.alone if key not in grouped)):
        group, decided = _in_order(grouped.get(key, [])), decisions.get(key, UNDECIDED)
        composed = _compose_group(group, material, taxation, period=period, decisions=decided)
        lines = _discounted(key, composed, group, adjustments, period=period)
        charged = with_one_offs(lines, adjustments.one_offs.get(key, ()), taxation, on=period.last_day - ONE_DAY)
        corrected = [compose_delta(each, decided) for each in adjustments.deltas.get(key, ())]
        lines = (*charged.lines, *(line for each in corrected for line in each.lines))
        held = tuple(held for each in composed for held in each.held) + charged.held
        held += tuple(held for each in corrected for held in each.held) + _negative(lines, key[1])
        if lines or held:
            bill_to = group[0].agreement.bill_to if group else adjustments.bill_to_of(key)
            documents[key] = document_of(bill_to, key[1], lines, held)
    return documents


def _read(tenant_id: int, subscriptions: Sequence[Subscription], *, period: Period, cut_off: datetime) -> Material:
    links = ownership_of(tenant_id, subscriptions, period=period)
    covered = {each.pk: covered_by(each, links, period=period) for each in subscriptions}
    selections = {one.selection.pk: one.selection for each in covered.values() for one in each}
    metrics = {each.plan.metric for each in subscriptions}
    largest = any(METERS[each.plan.meter].TAKES == "largest" for each in subscriptions)
    ledger = read_ledger(tenant_id, selections, metrics, period=period, cut_off=cut_off, largest=largest)
    figures = (
        figure
        for selection_id in selections
        for metric in metrics
        for figure in charged_figures(ledger, selection_id, metric).values()
    )
    return Material(covered, links, ledger, read_proofs(tenant_id, figures))


def _compose_group(
    group: Sequence[Subscription], material: Material, taxation: Taxation, *, period: Period, decisions: Decisions
) -> list[Composed]:
    """The lines of sizes, and after them those that are a percentage of them; each with its tax."""
    sizes = [each for each in group if not is_percentage(each.plan)]
    composed = [_composed(each, material, period=period, decisions=decisions) for each in sizes]
    lines, of = [each.line for each in composed if each.line], {each.pk: each for each in sizes}
    shares = [each for each in group if is_percentage(each.plan)]
    composed += [compose_percentage(each, lines, of, period=period) for each in shares]
    return [taxed(each, who, taxation, period=period) for each, who in zip(composed, (*sizes, *shares), strict=True)]


def _composed(subscription: Subscription, material: Material, *, period: Period, decisions: Decisions) -> Composed:
    covered = material.covered[subscription.pk]
    if not covered:
        held = _covers_nothing(subscription, material.links)
        return Composed(None, tuple(each for each in held if not set(each.keys) <= decisions.keys))
    return compose_line(subscription, covered, material.ledger, material.proofs, period=period, decisions=decisions)


def _covers_nothing(subscription: Subscription, links: Ownership) -> tuple[Held, ...]:
    """An active client with a plan and nothing to protect is most often a mistake: somebody must look."""
    if subscription.client_id is None or not links.active.get(subscription.client_id):
        return ()
    if links.selections_of.get(subscription.client_id):
        return ()  # it has selections, only none of them on these days or in this pool
    sentence = f"{subscription.client}: the plan {subscription.plan.name} covers nothing, as it has no selection."
    return (Held(sentence, (f"nothing:{subscription.pk}",)),)


def _discounted(
    key: DocumentKey,
    composed: Sequence[Composed],
    group: Sequence[Subscription],
    adjustments: Adjustments,
    *,
    period: Period,
) -> tuple[ComposedLine, ...]:
    """The lines of subscriptions with discounts after what they belong to."""
    lines, of = [each.line for each in composed if each.line], {each.pk: each for each in group}
    discounts = [each for name in {each.agreement_id for each in group} for each in adjustments.discounts.get(name, ())]
    return with_discounts(lines, of, discounts, period=period, currency=key[1])


def _negative(lines: Sequence[ComposedLine], currency: str) -> tuple[Held, ...]:
    """An invoice that would owe money to the payer is none: somebody must write a credit note, or credit less."""
    net = sum((line.amount for line in lines), Decimal(0))
    if net >= 0:
        return ()
    sentence = (
        f"It would come to {money_text(net, currency)}: credits and corrections are more than what is charged. Give "
        "the rest by a credit note, or withdraw the credit."
    )
    return (Held(sentence, ("negative:net",)),)


def document_of(bill_to: BillTo, currency: str, lines: tuple[ComposedLine, ...], held: tuple[Held, ...]) -> Document:
    """The document of these lines: summed, taxed and hashed."""
    net = round_money(sum((line.amount for line in lines), Decimal(0)), currency)
    taxes = tax_totals(lines, currency=currency)
    tax = round_money(sum((each.tax for each in taxes), Decimal(0)), currency)
    values: dict[str, Any] = {
        "currency": currency,
        "net": net,
        "tax": tax,
        "total": net + tax,
        "tax_rate": bill_to.tax_rate.normalize(),
    }
    content = {
        **values,
        "taxes": taxes_record(taxes),
        "lines": [vars(line) for line in lines],
        "held": [each.sentence for each in held],
    }
    return Document(bill_to=bill_to, lines=lines, held=held, taxes=taxes, content_hash=hash_of(content), **values)


def _in_order(group: Sequence[Subscription]) -> list[Subscription]:
    """By who it is for, then by date: the order of the lines."""

    def place(each: Subscription) -> tuple[str, str, str, int]:
        who = str(each.client or each.reseller)
        return who, str(each.selection or ""), each.starts_on.isoformat(), each.pk

    return sorted(group, key=place)
