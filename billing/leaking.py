"""Where money leaks in a month: what is protected and not charged, and what is charged and hardly deserved.

Of retail alone: wholesale rests on the same selections. An amount is what the days or bytes in question make of a line,
so that one sees at once what looking at it is worth. Reads only; called by the page and the API, which add what alerts
know. Drafts count like final documents; void ones do not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from typing import Any, Literal
from uuid import UUID

from billing.days import DayValue, Period
from billing.metering import measure
from billing.models import InvoiceLine, Plan, Subscription
from billing.money import round_money, share
from billing.percentages import PERCENTAGE
from billing.plans import meter_params_of, terms_of
from billing.pricing.rate import rate
from billing.reviewing import Unbilled, unbilled_between
from billing.units import size_of
from msp.estate.models import Client, Selection
from msp.tenants.models import Tenant

LeakKind = Literal["unplanned", "silent", "twice", "gone", "quota", "flagged"]

#: Days without a figure at the end of a month after which a selection on a plan is called silent.
SILENT_DAYS = 7
#: Unplanned selections that are priced, the largest first.
MOST_PRICED = 500


@dataclass(frozen=True)
class Leak:
    """One finding; ``amount`` in ``currency``, None where no price is known. ``line`` leads to the invoice line."""

    kind: LeakKind
    client: str
    what: str
    why: str
    amount: Decimal | None
    currency: str
    invoice: UUID | None = None
    line: UUID | None = None


@dataclass(frozen=True)
class Share:
    """What one selection on one line is charged. ``days`` are the billable ones with their state and quantity."""

    selection_id: int
    name: str
    client_id: int
    client: str
    invoice: UUID
    line: UUID
    currency: str
    amount: Decimal
    days: Mapping[date, tuple[str, int | None]]

    def part(self, days: Collection[date]) -> Decimal:
        """What these of its days come to."""
        return round_money(Fraction(self.amount) * Fraction(len(days), len(self.days)), self.currency)


@dataclass(frozen=True)
class Flagged:
    """Days from ``first`` to the one before ``last`` on which an incident said that a selection has no backup."""

    first: date
    last: date
    summary: str


def find_leaks(
    tenant: Tenant, *, period: Period, flagged: Mapping[int, Sequence[Flagged]], now: datetime
) -> tuple[Leak, ...]:
    """Every leak of a month, the largest amount first; ``flagged`` by selection id. A fixed number of queries."""
    shares = shares_of(tenant, period=period)
    selections = _selections(tenant, {each.selection_id for each in shares})
    leaks = [
        *_unplanned(tenant, period=period, now=now),
        *_silent(shares),
        *_twice(shares, selections),
        *_gone(shares, selections),
        *_over_quota(tenant, shares, selections),
        *_flagged(shares, flagged),
    ]
    return tuple(sorted(leaks, key=lambda each: (-abs(each.amount or Decimal(0)), each.kind, each.client, each.what)))


def shares_of(tenant: Tenant, *, period: Period) -> list[Share]:
    """The retail lines of a month, each divided among its selections by what they hold; one query."""
    lines = InvoiceLine.objects.of(tenant).filter(
        kind="usage", subscription__layer="retail", invoice__first_day=period.first_day, invoice__kind="regular"
    )
    lines = lines.exclude(invoice__state="void").order_by("pk")
    values = lines.values_list("uid", "amount", "evidence", "invoice__uid", "invoice__currency", "client_id")
    shares: list[Share] = []
    for line, amount, evidence, invoice, currency, client_id in values.iterator(chunk_size=200):
        shares += _divided(line, amount, evidence, invoice, currency, client_id)
    return shares


def _divided(
    line: UUID, amount: Decimal, evidence: Sequence[Mapping[str, Any]], invoice: UUID, currency: str, client_id: int
) -> Iterable[Share]:
    """By the bytes of their days; by their days where nothing was measured at all."""
    proofs = [(proof, days) for proof in evidence if (days := _billable(proof))]
    if not proofs:
        return
    weights = [sum(quantity or 0 for _, quantity in days.values()) for _, days in proofs]
    weights = weights if any(weights) else [len(days) for _, days in proofs]
    amounts = share(round_money(amount, currency), weights, currency=currency)
    for (proof, days), part in zip(proofs, amounts, strict=True):
        yield Share(
            proof["selection_id"], proof["name"], client_id, proof["client_name"], invoice, line, currency, part, days
        )


def _billable(proof: Mapping[str, Any]) -> dict[date, tuple[str, int | None]]:
    return {
        date.fromisoformat(day["day"]): (day["state"], day["quantity"])
        for day in proof["days"]
        if day["state"] != "not_billable"
    }


def _unplanned(tenant: Tenant, *, period: Period, now: datetime) -> Iterable[Leak]:
    found = unbilled_between(tenant, first_day=period.first_day, last_day=period.last_day, cut_off=now)
    own, common = _plans(tenant, {each.client_id for each in found})
    for place, each in enumerate(found):
        plan = own.get(each.client_id) or common
        amount = _price(plan, each, period=period) if plan and place < MOST_PRICED else None
        at = f"at most, on plan {plan.name}" if plan else "no plan to price it by"
        why = f"Measured on {each.days} of {len(period)} days, and nobody is charged ({at})."
        yield Leak("unplanned", each.client, each.selection, why, amount, plan.currency if plan and amount else "")


def _plans(tenant: Tenant, client_ids: Collection[int]) -> tuple[dict[int, Plan], Plan | None]:
    """The plan that each client is on with something else, and the one that most clients are on."""
    running = Subscription.objects.of(tenant).filter(layer="retail", ends_on__isnull=True).select_related("plan")
    running = running.exclude(plan__price=PERCENTAGE)
    own: dict[int, Plan] = {}
    counted: Counter[int] = Counter()
    plans: dict[int, Plan] = {}
    for each in running.order_by("pk"):
        counted[each.plan_id] += 1
        plans[each.plan_id] = each.plan
        if each.client_id in client_ids:
            own[each.client_id] = each.plan
    common = max(counted, key=lambda plan_id: (counted[plan_id], -plan_id), default=None)
    return own, plans[common] if common else None


def _price(plan: Plan, found: Unbilled, *, period: Period) -> Decimal | None:
    """The largest size on the days on which it was measured, on the terms of a plan."""
    if plan.unit == "each":
        return None
    days = [DayValue(day=day, state="measured", quantity=found.largest_bytes) for day in period.days()[: found.days]]
    measured = measure(plan.meter, days, unit=plan.unit, params=meter_params_of(plan, accept_missing=None))
    proration = Fraction(found.days, len(period))
    return rate(measured, terms=terms_of(plan), currency=plan.currency, proration=proration).amount


def _silent(shares: Sequence[Share]) -> Iterable[Leak]:
    for each in shares:
        silent = _silent_days(each)
        if len(silent) >= SILENT_DAYS:
            since = min(silent)
            why = f"On a plan, and silent since {since}: {len(silent)} of its {len(each.days)} days rest on no figure."
            yield _leak("silent", each, why, each.part(silent))


def _silent_days(each: Share) -> list[date]:
    """Late and missing days after the last one that was measured."""
    measured = [day for day, (state, _) in each.days.items() if state == "measured"]
    last = max(measured, default=date.min)
    return [day for day, (state, _) in each.days.items() if state in ("late", "missing") and day > last]


def _twice(shares: Sequence[Share], selections: Mapping[int, Selection]) -> Iterable[Leak]:
    """The same selection on two lines of a day; two selections of one machine that hold the same folders."""
    of_selection: dict[int, list[Share]] = defaultdict(list)
    of_machine: dict[tuple[int, object], list[Share]] = defaultdict(list)
    for each in shares:
        of_selection[each.selection_id].append(each)
        selection = selections.get(each.selection_id)
        place = (selection.machine_id or selection.host) if selection else None
        if place:
            of_machine[each.client_id, place].append(each)
    for group in of_selection.values():
        for first, second in combinations(group, 2):
            days = first.days.keys() & second.days.keys()
            if first.line != second.line and days:
                why = f"On another line as well on {len(days)} days."
                yield _leak("twice", second, why, min(first.part(days), second.part(days)))
    for group in of_machine.values():
        yield from _overlapping(group, selections)


def _overlapping(group: Sequence[Share], selections: Mapping[int, Selection]) -> Iterable[Leak]:
    for first, second in combinations(group, 2):
        days = first.days.keys() & second.days.keys()
        if first.selection_id == second.selection_id or not days:
            continue
        root = _common_root(selections[first.selection_id].roots, selections[second.selection_id].roots)
        if root:
            smaller = min((first, second), key=lambda each: each.amount)
            other = second if smaller is first else first
            why = f"{root} of this machine is charged with {other.name} as well."
            yield _leak("twice", smaller, why, smaller.part(days))


def _common_root(first: Sequence[object], second: Sequence[object]) -> str:
    """A folder that both hold, "" if there is none."""
    for one in first:
        for other in second:
            inner, outer = sorted((_folder(str(one)), _folder(str(other))), key=len, reverse=True)
            if inner == outer or inner.startswith(outer.rstrip("/") + "/"):
                return str(one) if _folder(str(one)) == inner else str(other)
    return ""


def _folder(path: str) -> str:
    """Windows does not tell small letters from capitals."""
    if "\\" in path or path[1:2] == ":":
        path = path.replace("\\", "/").lower()
    return path.rstrip("/") or "/"


def _gone(shares: Sequence[Share], selections: Mapping[int, Selection]) -> Iterable[Leak]:
    for each in shares:
        selection = selections.get(each.selection_id)
        machine = selection.machine if selection else None
        if selection and machine and machine.state == "retired" and selection.state != "retired":
            why = f"Its machine {machine.name} is retired, the selection is not, and {len(each.days)} days are charged."
            yield _leak("gone", each, why, each.amount)


def _over_quota(tenant: Tenant, shares: Sequence[Share], selections: Mapping[int, Selection]) -> Iterable[Leak]:
    """What is held above what was sold: on a flat plan nobody pays for it."""
    of_client: dict[int, list[Share]] = defaultdict(list)
    for each in shares:
        of_client[each.client_id].append(each)
        quota = selections[each.selection_id].quota_bytes if each.selection_id in selections else None
        yield from _above([each], quota, what=each.name)
    quotas = Client.objects.of(tenant).filter(pk__in=list(of_client), quota_bytes__isnull=False)
    for client_id, quota in quotas.values_list("pk", "quota_bytes"):
        yield from _above(of_client[client_id], quota, what="all selections")


def _above(shares: Sequence[Share], quota: int | None, *, what: str) -> Iterable[Leak]:
    sizes: dict[date, int] = defaultdict(int)
    for each in shares:
        for day, (_, quantity) in each.days.items():
            sizes[day] += quantity or 0
    average = Fraction(sum(sizes.values()), len(sizes)) if sizes else Fraction(0)
    if quota is None or average <= quota:
        return
    first = shares[0]
    amount = sum((Fraction(each.amount) for each in shares if each.currency == first.currency), Fraction(0))
    worth = round_money(Fraction(amount * (average - quota), average), first.currency)
    shown = f"{_gb(average)} GB on average, {_gb(Fraction(quota))} GB agreed"
    yield Leak("quota", first.client, what, f"{shown}.", worth, first.currency, first.invoice, first.line)


def _flagged(shares: Sequence[Share], flagged: Mapping[int, Sequence[Flagged]]) -> Iterable[Leak]:
    for each in shares:
        found = flagged.get(each.selection_id, ())
        days = {day for day in each.days if any(one.first <= day < one.last for one in found)}
        if days:
            why = f"Charged on {len(days)} days on which we said: {found[0].summary}"
            yield _leak("flagged", each, why, each.part(days))


def _leak(kind: LeakKind, each: Share, why: str, amount: Decimal) -> Leak:
    return Leak(kind, each.client, each.name, why, amount, each.currency, each.invoice, each.line)


def _selections(tenant: Tenant, ids: Collection[int]) -> dict[int, Selection]:
    rows = Selection.objects.of(tenant).filter(pk__in=list(ids)).select_related("machine")
    return {row.pk: row for row in rows}


def _gb(size: Fraction) -> str:
    return format(round_money(Fraction(size, size_of("GB")), "EUR"), ",f")
