"""The difference between two months of a line, taken apart: one thing is changed at a time, and priced anew each time.

In this order: the days charged, selections that went, selections that came, the size of each selection, days without a
figure, figures that a person corrected, the plan. Each part is the amount after its change minus the amount before it,
both by the code that prices invoices, so that the parts add up to the difference to the cent. Days are compared by
their place in the month. Nothing here reads or writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal

from billing.coverage import Covered
from billing.days import DayValue, Period, billable_days
from billing.deciding_days import DecidedDays
from billing.exact import number_text, rounded
from billing.lines import rated_of
from billing.metering import AcceptMissing
from billing.models import Subscription
from billing.units import size_of

PartKind = Literal["new", "gone", "days", "left", "joined", "size", "gap", "correction", "price", "other"]
#: Selections whose size is told one by one; what is smaller stands together.
MOST_TOLD = 20
UNTOLD = frozenset({"late", "missing"})
PLACES = 2


@dataclass(frozen=True, kw_only=True)
class Part:
    """One reason: ``amount`` of the difference, and why in words. ``subject`` is a selection's name or empty."""

    kind: PartKind
    subject: str
    amount: Decimal
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Side:
    """A line of one month: its days by selection, what it is charged by, and what it came to.

    ``corrected`` are the days of a selection whose figure is a person's.
    """

    subscription: Subscription
    period: Period
    amount: Decimal
    accepted: AcceptMissing
    days: Mapping[str, tuple[DayValue, ...]]
    covered: Mapping[str, Covered]
    corrected: Mapping[str, frozenset[date]]

    @property
    def unit(self) -> str:
        return str(self.subscription.plan.unit)

    @property
    def charged_days(self) -> int:
        """Days on which at least one selection is charged."""
        return len({day.day for days in self.days.values() for day in days if day.quantity is not None})


@dataclass
class _State:
    """Between the two months: changed step by step, and priced after each."""

    subscription: Subscription
    period: Period
    accepted: AcceptMissing
    days: dict[str, tuple[DayValue, ...]]
    covered: dict[str, Covered]
    amount: Decimal
    parts: list[Part] = field(default_factory=list)

    def told(self, kind: PartKind, sentence: str, *, subject: str = "") -> None:
        """Price what stands now, and write down what the last change came to; nothing if it came to nothing."""
        amount = self._priced()
        if amount != self.amount:
            part = Part(kind=kind, subject=subject, amount=amount - self.amount, sentence=sentence)
            self.parts.append(part)
        self.amount = amount

    def _priced(self) -> Decimal:
        decided = [DecidedDays(self.covered[uid], days, ()) for uid, days in self.days.items() if billable_days(days)]
        if not decided:
            return Decimal(0)
        return rated_of(self.subscription, decided, period=self.period, accept_missing=self.accepted).amount


def take_apart(before: Side, now: Side) -> tuple[Part, ...]:
    """The parts of ``now.amount - before.amount``, in the order of this module."""
    state = _State(
        subscription=before.subscription,
        period=before.period,
        accepted=before.accepted,
        days=dict(before.days),
        covered=dict(before.covered),
        amount=before.amount,
    )
    state.told("other", "The month before is reckoned otherwise by today's program.")
    _change_days(state, before, now)
    _drop_selections(state, before, now)
    _add_selections(state, before, now)
    _change_sizes(state, before, now)
    _change_marked(state, now)
    _change_plan(state, before, now)
    rest = now.amount - state.amount
    if rest:
        state.parts.append(Part(kind="other", subject="", amount=rest, sentence="What cannot be told apart."))
    return tuple(state.parts)


def _change_days(state: _State, before: Side, now: Side) -> None:
    """The calendar and the charged days of this month, with the sizes of the month before."""
    plan = state.subscription.plan
    state.subscription, state.period, state.accepted = copy(now.subscription), now.period, now.accepted
    state.subscription.plan = plan
    first, last = before.charged_days, now.charged_days
    for uid, days in before.days.items():
        if uid in now.days:
            state.days[uid] = _with_sizes(now.days[uid], _sizes(days))
            state.covered[uid] = now.covered[uid]
        else:
            state.days[uid] = _with_sizes(_whole(now.period), _sizes(days))
    more, count = ("more" if last > first else "fewer"), abs(last - first)
    words = f"{count} {more} {'day' if count == 1 else 'days'} charged ({last} instead of {first})"
    if not count:
        words = f"other days charged, {last} of {len(now.period)} instead of {first} of {len(before.period)}"
    state.told("days", words)


def _drop_selections(state: _State, before: Side, now: Side) -> None:
    for uid in [each for each in before.days if each not in now.days]:
        del state.days[uid]
        name, average = before.covered[uid].name, _average(before.days[uid])
        state.told("left", f"{name} is charged no longer ({_sized(average, before.unit)})", subject=name)


def _add_selections(state: _State, before: Side, now: Side) -> None:
    for uid in [each for each in now.days if each not in before.days]:
        state.days[uid], state.covered[uid] = now.days[uid], now.covered[uid]
        name, average = now.covered[uid].name, _average(now.days[uid])
        state.told("joined", f"{name} is charged for the first time ({_sized(average, now.unit)})", subject=name)


def _change_sizes(state: _State, before: Side, now: Side) -> None:
    """Measured days, selection by selection, the largest change first; carried and corrected days stay for later."""
    common = [uid for uid in now.days if uid in before.days]
    ranked = sorted(common, key=lambda uid: -abs(_average(now.days[uid]) - _average(before.days[uid])))
    for uid in ranked[:MOST_TOLD]:
        _measure(state, now, uid)
        name = now.covered[uid].name
        state.told("size", _grown(before.days[uid], now.days[uid], name=name, unit=before.unit), subject=name)
    for uid in ranked[MOST_TOLD:]:
        _measure(state, now, uid)
    state.told("size", f"{len(ranked[MOST_TOLD:])} further selections changed a little")


def _measure(state: _State, now: Side, uid: str) -> None:
    later = now.corrected.get(uid, frozenset())
    state.days[uid] = tuple(
        was if new.state in UNTOLD or new.day in later else new
        for was, new in zip(state.days[uid], now.days[uid], strict=True)
    )


def _change_marked(state: _State, now: Side) -> None:
    """Days without a figure of their own, then those that a person corrected."""
    common = [uid for uid in state.days if uid in now.days]
    gaps = {day.day for uid in common for day in now.days[uid] if day.state in UNTOLD}
    for uid in common:
        corrected = now.corrected.get(uid, frozenset())
        state.days[uid] = tuple(
            was if new.day in corrected else new for was, new in zip(state.days[uid], now.days[uid], strict=True)
        )
    state.told("gap", f"{_listed(gaps)} without a figure: the last one was carried, or the day left out")
    corrected_days = {day for uid in common for day in now.corrected.get(uid, ())}
    for uid in common:
        state.days[uid] = now.days[uid]
    state.told("correction", f"{_listed(corrected_days)} corrected by a person")


def _change_plan(state: _State, before: Side, now: Side) -> None:
    state.subscription = now.subscription
    was, plan = before.subscription.plan, now.subscription.plan
    state.told("price", f"plan {plan} instead of {was}")


def _whole(period: Period) -> tuple[DayValue, ...]:
    return tuple(DayValue(day=day, state="measured", quantity=0) for day in period.days())


def _sizes(days: Sequence[DayValue]) -> list[int | None]:
    """By place in the month what was charged, or else the nearest charge before it, or the first one."""
    sizes = [day.quantity for day in days]
    last = next((size for size in sizes if size is not None), None)
    filled: list[int | None] = []
    for size in sizes:
        last = last if size is None else size
        filled.append(last)
    return filled


def _with_sizes(days: Sequence[DayValue], sizes: Sequence[int | None]) -> tuple[DayValue, ...]:
    """These days with the sizes of another month, place by place; days that are not billable stay so."""
    return tuple(
        day if day.state == "not_billable" else _sized_day(day, sizes[min(place, len(sizes) - 1)])
        for place, day in enumerate(days)
    )


def _sized_day(day: DayValue, size: int | None) -> DayValue:
    quantity = day.quantity if size is None else size
    if quantity is None:
        return day
    return replace(day, state="measured", quantity=quantity, last_quantity=quantity, parts=())


def _average(days: Iterable[DayValue]) -> Fraction:
    charged = [day.quantity for day in days if day.quantity is not None]
    return Fraction(sum(charged), len(charged)) if charged else Fraction(0)


def _grown(before: Sequence[DayValue], now: Sequence[DayValue], *, name: str, unit: str) -> str:
    """In words: by how much on average, and the day of the largest step that way."""
    was, new = _average(before), _average(now)
    verb = "grew" if new >= was else "shrank"
    words = f"{name} {verb} by {_sized(abs(new - was), unit)} on average ({_sized(was, unit)} to {_sized(new, unit)})"
    step = _largest_step([*before, *now], up=new >= was)
    if step is None:
        return words
    sign = "+" if new >= was else "-"
    return f"{words}, the largest step on {step[0].day} {step[0]:%B} ({sign}{_sized(step[1], unit)})"


def _largest_step(days: Sequence[DayValue], *, up: bool) -> tuple[date, Fraction] | None:
    charged = [(day.day, day.quantity) for day in days if day.quantity is not None]
    steps = [
        (later[0], Fraction(later[1] - earlier[1] if up else earlier[1] - later[1]))
        for earlier, later in pairwise(charged)
    ]
    largest = max(steps, key=lambda step: step[1], default=None)
    return largest if largest is not None and largest[1] > 0 else None


def _sized(quantity: Fraction, unit: str) -> str:
    shown = rounded(Fraction(quantity, size_of(unit)), places=PLACES)
    return f"{number_text(shown)} {unit}"


def _listed(days: Iterable[date]) -> str:
    """ "12 October" or "3 days from 12 October on"."""
    found = sorted(days)
    if not found:
        return "no day"
    first = f"{found[0].day} {found[0]:%B}"
    return first if len(found) == 1 else f"{len(found)} days from {first} on"


def as_side(told: Sequence[Mapping[str, Any]], selections: Mapping[str, Any], **values: Any) -> Side:
    """A side from a line's evidence; ``selections`` are the estate's, by UUID as text."""
    days = {each["selection"]: _days(each["days"]) for each in told}
    return Side(
        days=days,
        covered={
            each["selection"]: Covered(
                selection=selections.get(each["selection"]),
                client=None,
                name=each["name"],
                days=frozenset(day.day for day in days[each["selection"]] if day.state != "not_billable"),
            )
            for each in told
        },
        corrected={
            each["selection"]: frozenset(date.fromisoformat(day["day"]) for day in each["days"] if "corrected" in day)
            for each in told
        },
        **values,
    )


def _days(told: Sequence[Mapping[str, Any]]) -> tuple[DayValue, ...]:
    days: list[DayValue] = []
    last: int | None = None
    for each in told:
        quantity = each["quantity"]
        last = last if quantity is None else quantity
        days.append(
            DayValue(day=date.fromisoformat(each["day"]), state=each["state"], quantity=quantity, last_quantity=last)
        )
    return tuple(days)
