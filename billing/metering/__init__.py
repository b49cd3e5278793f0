"""Meters: each turns the days of a billing period into one measured size. One file each, listed in ``METERS``.

A client with several selections is measured in one of two ways: ``measure_pooled`` adds the selections up day by day
and meters the sums (one line a client and plan); ``combine`` adds up what was measured selection by selection.
For peaks the two differ: selections need not peak on the same day. ``measure_selections`` does what a plan says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, Protocol

from billing.days import DayValue, billable_days, pool_days
from billing.metering import count, cumulative_unique, daily_average, daily_maxima, last_day, peak_day, percentile_95
from billing.metering.measured import AcceptMissing, Measured, working_of
from billing.params import BadParams, fields_of, params_from_json
from billing.taking import Takes
from billing.working import Operand, Ref, Steps, Term, under_name

__all__ = [
    "METERS",
    "AcceptMissing",
    "Measured",
    "Meter",
    "combine",
    "measure",
    "measure_pooled",
    "measure_selections",
    "read_meter_params",
]


class Meter(Protocol):
    """What a module of this folder has; ``params`` is an instance of its ``Params``.

    ``TAKES`` is what a day brings in (``billing.taking``). ``WHOLE``: each selection counts whole, however few days it
    was billable, and the charge is prorated by the days on which the subscription runs.
    """

    @property
    def TAKES(self) -> Takes: ...  # noqa: N802

    @property
    def WHOLE(self) -> bool: ...  # noqa: N802

    @property
    def LABEL(self) -> str: ...  # noqa: N802

    @property
    def HELP(self) -> str: ...  # noqa: N802

    @property
    def Params(self) -> type[Any]: ...  # noqa: N802

    def measure(self, days: Sequence[DayValue], *, unit: str, params: Any) -> Measured:
        """The size of one selection's (or pool's) days of a period, each day once and in order."""
        ...


METERS: dict[str, Meter] = {
    "daily_average": daily_average,
    "daily_maxima": daily_maxima,
    "peak_day": peak_day,
    "percentile_95": percentile_95,
    "last_day": last_day,
    "cumulative_unique": cumulative_unique,
    "count": count,
}


def read_meter_params(meter: str, mapping: object, *, accept_missing: AcceptMissing | None = None) -> Any:
    """The ``Params`` of a plan's meter with this invoice's decision in. Raises BadParams."""
    if meter not in METERS:
        raise BadParams("meter", f"there is no meter {meter!r}; there are: {', '.join(METERS)}")
    params = params_from_json(METERS[meter].Params, mapping)
    for each in fields_of(METERS[meter].Params):
        if each.per_invoice and getattr(params, each.name) != each.default:
            raise BadParams(each.name, "this is decided for one invoice, not in a plan")
    return replace(params, accept_missing=accept_missing)


def measure(meter: str, days: Sequence[DayValue], *, unit: str, params: Any) -> Measured:
    """One selection's measured size by the meter of this name."""
    return METERS[meter].measure(days, unit=unit, params=params)


def measure_pooled(meter: str, selections: Mapping[str, Sequence[DayValue]], *, unit: str, params: Any) -> Measured:
    """Several selections added up day by day, then metered; the working names each day's parts."""
    return METERS[meter].measure(pool_days(selections), unit=unit, params=params)


def measure_selections(
    meter: str, selections: Mapping[str, Sequence[DayValue]], *, unit: str, params: Any, pool: str
) -> Measured:
    """What a plan measures of these selections: ``pool`` is "subscription" (their sum day by day) or "selection"."""
    if pool == "subscription" and not METERS[meter].WHOLE:
        return measure_pooled(meter, selections, unit=unit, params=params)
    parts = {name: measure(meter, days, unit=unit, params=params) for name, days in selections.items()}
    return combine(parts, of_days=billable_days(pool_days(selections)), whole=METERS[meter].WHOLE)


def combine(measured: Mapping[str, Measured], *, of_days: int, whole: bool = False) -> Measured:
    """Several selections' measured sizes added up, each by the share it was billable of ``of_days``, or ``whole``.

    ``of_days`` are the days the line is charged for, so a selection that was billable for 10 of 30 days counts a third.
    Raises ValueError if there is nothing to combine, units differ, or a part has more billable days than ``of_days``.
    """
    units = {part.unit for part in measured.values()}
    if len(units) != 1:
        raise ValueError(f"sizes can be combined only in one unit, not in {sorted(units)}")
    if any(part.billable_days > of_days for part in measured.values()):
        raise ValueError(f"a selection is billable on more than the {of_days} days of the line")
    unit = units.pop()
    names = sorted(measured)
    steps, entries = _side_by_side({name: measured[name] for name in names})
    shares: list[Operand] = [
        Ref(f"{name}/measured") if whole else _shared(steps, name, measured[name], of_days=of_days) for name in names
    ]
    exact = steps.add("measured", "add", *shares, label=f"{len(names)} selections added up", unit=unit)
    held = tuple(sorted({day for part in measured.values() for day in part.held_days}))
    working = working_of(steps, entries, unit=unit, held=held, billable=of_days)
    return Measured(exact=exact, unit=unit, working=working, held_days=held, billable_days=of_days)


def _side_by_side(measured: Mapping[str, Measured]) -> tuple[Steps, list[dict[str, Any]]]:
    steps: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    for name, part in measured.items():
        named_steps, named_days = under_name(part.working, name)
        steps += named_steps
        entries += named_days
    return Steps(days=entries, steps=steps), entries


def _shared(steps: Steps, name: str, part: Measured, *, of_days: int) -> Operand:
    """The part's size; reduced to its share of the days where it was not billable on all of them."""
    if part.billable_days == of_days:
        return Ref(f"{name}/measured")
    share = Term(Fraction(part.billable_days, of_days))
    label = f"{name}: billable on {part.billable_days} of {of_days} days"
    steps.add(f"{name}/share", "multiply", Ref(f"{name}/measured"), share, label=label, unit=part.unit)
    return Ref(f"{name}/share")
