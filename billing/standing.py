"""In which state a selection was on which day, as far as it was not simply active: seeding, suspended, retired.

The dated spans of ``msp.estate`` say so. A selection that none of them speaks of has the state of its own row, on every
day: so it is with what was marked before states were dated. One query.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from django.db.models import Q

from billing.days import Period, days_within
from msp.estate.models import SelectionStateSpan

Interval = tuple[date, date | None]
#: (state, interval) pairs of a selection, the active ones left out.
States = Sequence[tuple[str, Interval]]
ALWAYS: Interval = (date.min, None)


def read_states(tenant_id: int, selections: Iterable[Any], *, period: Period) -> dict[int, list[tuple[str, Interval]]]:
    """The states of these selections within the period, by id; whatever is active throughout is left out."""
    odd = {selection.pk: selection.state for selection in selections}
    spans = SelectionStateSpan.objects.of(tenant_id).filter(
        Q(until__isnull=True) | Q(until__gt=period.first_day), since__lt=period.last_day, selection_id__in=odd
    )
    told: dict[int, list[tuple[str, Interval]]] = defaultdict(list)
    for selection_id, state, since, until in spans.values_list("selection_id", "state", "since", "until"):
        told[selection_id].append((state, (since, until)))
    states = {
        selection_id: told.get(selection_id, [(state, ALWAYS)])
        for selection_id, state in odd.items()
        if selection_id in told or state != "active"
    }
    return {
        selection_id: [each for each in found if each[0] != "active"]
        for selection_id, found in states.items()
        if any(state != "active" for state, _ in found)
    }


def days_in(states: States, state: str, days: Iterable[date]) -> frozenset[date]:
    """Those of the days on which it was in this state."""
    intervals = [interval for each, interval in states if each == state]
    return frozenset(filter(days_within(intervals), days)) if intervals else frozenset()


def is_undated(states: States, state: str) -> bool:
    """Whether it is in this state without a day since when."""
    return (state, ALWAYS) in states
