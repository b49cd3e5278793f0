"""Why did it change: a line, or a whole document, against the month before, in parts that add up to the difference.

For pages and the API. Days and amounts are those that stand on the two documents; what each reason comes to is reckoned
anew by ``billing.waterfall`` when somebody asks. A fixed number of queries, however many lines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from billing.days import Period
from billing.metering import AcceptMissing
from billing.models import Invoice, InvoiceLine
from billing.money import round_money
from billing.refusals import NotFound
from billing.waterfall import Part, Side, as_side, take_apart
from billing.working import explain
from msp.estate.models import Selection
from msp.tenants.models import Tenant

RELATED = (
    "invoice", "subscription__plan", "subscription__agreement", "subscription__client", "subscription__reseller",
    "subscription__selection",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ComparedDay:
    """A place in the month (1 to 31): what all selections of the line were charged by then and now, in bytes."""

    place: int
    before_day: date | None
    before: int | None
    day: date | None
    now: int | None

    @property
    def difference(self) -> int | None:
        return None if self.before is None or self.now is None else self.now - self.before


@dataclass(frozen=True, kw_only=True)
class LineChange:
    """A line against the month before; ``uid`` or ``before_uid`` is empty where there is none.

    ``parts`` add up to ``difference``; ``words`` say it in one sentence; the steps are sentences of the workings.
    """

    uid: UUID | None
    before_uid: UUID | None
    before_invoice: UUID | None
    description: str
    before: Decimal
    now: Decimal
    difference: Decimal
    currency: str
    unit: str
    words: str
    parts: tuple[Part, ...]
    days: tuple[ComparedDay, ...]
    steps_before: tuple[str, ...]
    steps_now: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DocumentChange:
    """All lines of a document, and those of the month before that it has no longer, by the size of the difference."""

    first_day: date
    before_first_day: date
    before: Decimal
    now: Decimal
    difference: Decimal
    currency: str
    lines: tuple[LineChange, ...]


def why_line_changed(tenant: Tenant, line_uid: UUID) -> LineChange:
    """One line of this tenant. Raises NotFound."""
    line = InvoiceLine.objects.of(tenant).select_related(*RELATED).filter(uid=line_uid).first()
    if line is None:
        raise NotFound("There is no such invoice line.")
    now = _lines(tenant, line.invoice_id)
    pairs = _paired(_lines_before(tenant, line.invoice), now)
    pair = next(pair for pair in pairs if pair[1] is not None and pair[1].pk == line.pk)
    return _change(pair, _selections(tenant, [pair]), currency=line.invoice.currency)


def why_document_changed(tenant: Tenant, invoice_uid: UUID) -> DocumentChange:
    """A client's month. Raises NotFound."""
    invoice = Invoice.objects.of(tenant).filter(uid=invoice_uid).first()
    if invoice is None:
        raise NotFound("There is no such invoice.")
    pairs = _paired(_lines_before(tenant, invoice), _lines(tenant, invoice.pk))
    selections = _selections(tenant, pairs)
    changes = [_change(pair, selections, currency=invoice.currency) for pair in pairs]
    before = sum((each.before for each in changes), Decimal(0))
    now = sum((each.now for each in changes), Decimal(0))
    return DocumentChange(
        first_day=invoice.first_day,
        before_first_day=_month_before(invoice),
        before=before,
        now=now,
        difference=now - before,
        currency=invoice.currency,
        lines=tuple(sorted(changes, key=lambda each: (-abs(each.difference), each.description))),
    )


Pair = tuple[InvoiceLine | None, InvoiceLine | None]


def _lines(tenant: Tenant, invoice_id: int) -> list[InvoiceLine]:
    rows = InvoiceLine.objects.of(tenant).filter(invoice_id=invoice_id).select_related(*RELATED)
    return list(rows.order_by("position"))


def _lines_before(tenant: Tenant, invoice: Invoice) -> list[InvoiceLine]:
    """Those of the living documents of the month before, from the same seller to the same payer."""
    rows = InvoiceLine.objects.of(tenant).filter(
        invoice__seller=invoice.seller_id,
        invoice__bill_to=invoice.bill_to_id,
        invoice__currency=invoice.currency,
        invoice__kind=invoice.kind,
        invoice__first_day=_month_before(invoice),
    )
    rows = rows.exclude(invoice__state="void").select_related(*RELATED)
    return list(rows.order_by("invoice_id", "position"))


def _month_before(invoice: Invoice) -> date:
    day: date = invoice.first_day - timedelta(days=1)
    return day.replace(day=1)


def _paired(before: Sequence[InvoiceLine], now: Sequence[InvoiceLine]) -> list[Pair]:
    """Lines of the same thing; of several (a change of plan within a month) the last with the last."""
    waiting: dict[tuple[Any, ...], list[InvoiceLine]] = defaultdict(list)
    for line in before:
        waiting[_key(line)].append(line)
    pairs: list[Pair] = []
    for line in reversed(now):
        known = waiting[_key(line)]
        pairs.append((known.pop() if known else None, line))
    pairs.reverse()
    return pairs + [(line, None) for lines in waiting.values() for line in lines]


def _key(line: InvoiceLine) -> tuple[Any, ...]:
    """The same client, selection or reseller, whatever the plan; what is no usage, by its kind and client."""
    each = line.subscription
    if each is None:
        return (line.kind, line.client_id, line.description)
    code = each.plan.code if line.kind == "percentage" else ""
    return (line.kind, each.layer, each.selection_id, each.client_id, each.reseller_id, code)


def _selections(tenant: Tenant, pairs: Sequence[Pair]) -> dict[str, Selection]:
    uids = {told["selection"] for pair in pairs for line in pair if line is not None for told in line.evidence}
    rows = Selection.objects.of(tenant).filter(uid__in=uids).select_related("machine")
    return {str(each.uid): each for each in rows}


def _change(pair: Pair, selections: Mapping[str, Selection], *, currency: str) -> LineChange:
    before, now = pair
    shown: Any = now or before
    amounts = (before.amount if before else Decimal(0), now.amount if now else Decimal(0))
    parts = _parts(before, now, selections)
    return LineChange(
        uid=now.uid if now else None,
        before_uid=before.uid if before else None,
        before_invoice=before.invoice.uid if before else None,
        description=shown.description,
        before=amounts[0],
        now=amounts[1],
        difference=amounts[1] - amounts[0],
        currency=currency,
        unit=shown.unit,
        words=_words(amounts[1] - amounts[0], parts, currency=currency),
        parts=parts,
        days=_days(before, now),
        steps_before=tuple(explain(before.working)) if before else (),
        steps_now=tuple(explain(now.working)) if now else (),
    )


def _parts(
    before: InvoiceLine | None, now: InvoiceLine | None, selections: Mapping[str, Selection]
) -> tuple[Part, ...]:
    if before is None and now is not None:
        return (Part(kind="new", subject="", amount=now.amount, sentence="There was no such line the month before"),)
    if now is None and before is not None:
        return (Part(kind="gone", subject="", amount=-before.amount, sentence="There is no such line any more"),)
    sides = [_side(line, selections) for line in (before, now) if line is not None]
    if any(side is None for side in sides) or len(sides) != 2:
        return _unmeasured(before, now)
    return take_apart(*[side for side in sides if side is not None])


def _unmeasured(before: InvoiceLine | None, now: InvoiceLine | None) -> tuple[Part, ...]:
    """A line that rests on no days: a percentage of other lines, a charge, a credit."""
    if before is None or now is None or before.amount == now.amount:
        return ()
    bases = [
        sum((Decimal(each["amount"]) for each in line.working.get("lines", ())), Decimal(0)) for line in (before, now)
    ]
    sentence = "Another amount was agreed"
    if now.kind == "percentage":
        sentence = f"What it is a share of comes to {bases[1]} instead of {bases[0]}"
        if bases[0] == bases[1]:
            sentence = "Another share of the same amount"
    return (Part(kind="other", subject="", amount=now.amount - before.amount, sentence=sentence),)


def _side(line: InvoiceLine, selections: Mapping[str, Selection]) -> Side | None:
    if line.kind != "usage" or line.subscription is None or not line.evidence:
        return None
    return as_side(
        line.evidence,
        selections,
        subscription=line.subscription,
        period=Period(first_day=line.invoice.first_day, last_day=line.invoice.last_day),
        amount=line.amount,
        accepted=_accepted(line.working),
    )


def _accepted(working: Mapping[str, Any]) -> AcceptMissing:
    carried = any(day["state"] == "missing" and day["charged"] is not None for day in working["days"])
    return "carry" if carried else "exclude"


def _days(before: InvoiceLine | None, now: InvoiceLine | None) -> tuple[ComparedDay, ...]:
    was, new = _sums(before), _sums(now)
    days = []
    for place in range(max(len(was), len(new))):
        first = was[place] if place < len(was) else (None, None)
        later = new[place] if place < len(new) else (None, None)
        days.append(ComparedDay(place=place + 1, before_day=first[0], before=first[1], day=later[0], now=later[1]))
    return tuple(days)


def _sums(line: InvoiceLine | None) -> list[tuple[date | None, int | None]]:
    """Each day with what all selections together were charged by; None where none was."""
    sums: dict[str, int | None] = {}
    for told in line.evidence if line else ():
        for day in told["days"]:
            known = sums.get(day["day"])
            sums[day["day"]] = known if day["quantity"] is None else (known or 0) + day["quantity"]
    return [(date.fromisoformat(day), quantity) for day, quantity in sorted(sums.items())]


def _words(difference: Decimal, parts: Sequence[Part], *, currency: str) -> str:
    """ "+4.20 EUR: files grew by 38 GB on average (+3.90); 2 more days charged (+0.30)"."""
    if not difference:
        return f"Nothing changed in the amount{': ' if parts else '.'}" + _reasons(parts, currency)
    return f"{_signed(difference, currency)} {currency}: {_reasons(parts, currency)}"


def _reasons(parts: Sequence[Part], currency: str) -> str:
    ranked = sorted(parts, key=lambda part: -abs(part.amount))
    return "; ".join(f"{part.sentence} ({_signed(part.amount, currency)})" for part in ranked)


def _signed(amount: Decimal, currency: str) -> str:
    return f"{round_money(amount, currency):+f}"
