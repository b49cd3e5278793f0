"""Who is charged for which selections on which days: subscriptions crossed with the dated links of the estate.

A subscription covers a client's selections (or one selection, or all of a reseller's clients) on the days on which the
agreement and it run, the client owned the selection, was the reseller's, and was active. A selection with an own
subscription leaves its client's pool for those days, so that nothing is charged twice. Read in a fixed number of
queries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from functools import lru_cache
from typing import Any

from django.db.models import Q

from billing.days import Period, days_within
from billing.models import Subscription
from billing.standing import States, read_states
from msp.estate.models import ClientResellerSpan, ClientStateSpan, SelectionClientSpan

Interval = tuple[date, date | None]


@dataclass(frozen=True, kw_only=True)
class Covered:
    """One selection under one subscription: its client (the first of the period) and the days it is charged for.

    ``name`` is what pooled days and workings call it: unique within the subscription. ``states`` are those in which it
    was not simply active.
    """

    selection: Any
    client: Any
    name: str
    days: frozenset[date]
    states: States = ()


@dataclass(frozen=True)
class Ownership:
    """The dated links of the estate within a period, by id."""

    selections_of: Mapping[int, Sequence[tuple[Any, Interval]]]
    owners_of: Mapping[int, Sequence[tuple[Any, Interval]]]
    clients_of: Mapping[int, Sequence[tuple[int, Interval]]]
    active: Mapping[int, Sequence[Interval]]
    apart: Mapping[int, Sequence[Interval]]
    suspended: Mapping[int, Sequence[Interval]]
    states: Mapping[int, States]


def subscriptions_of(
    tenant_id: int, *, period: Period, seller_id: int | None = None, bill_to_ids: Sequence[int] | None = None
) -> list[Subscription]:
    """What runs in the period, with plan, agreement and bill-to, of all sellers and bill-tos or of some; one query."""
    running = Subscription.objects.of(tenant_id).filter(
        Q(ends_on__isnull=True) | Q(ends_on__gt=period.first_day),
        Q(agreement__ends_on__isnull=True) | Q(agreement__ends_on__gt=period.first_day),
        starts_on__lt=period.last_day,
        agreement__starts_on__lt=period.last_day,
    )
    if seller_id is not None:
        running = running.filter(agreement__seller_id=seller_id)
    if bill_to_ids is not None:
        running = running.filter(agreement__bill_to_id__in=bill_to_ids)
    related = ("plan", "agreement", "agreement__bill_to", "client", "reseller", "selection")
    return list(running.select_related(*related).order_by("agreement__bill_to_id", "pk"))


def ownership_of(tenant_id: int, subscriptions: Sequence[Subscription], *, period: Period) -> Ownership:
    """The links that these subscriptions need, in five queries."""
    clients_of = _clients_of_resellers(tenant_id, [each.reseller_id for each in subscriptions], period=period)
    client_ids = {each.client_id for each in subscriptions if each.client_id}
    client_ids |= {client_id for spans in clients_of.values() for client_id, _ in spans}
    selections_of: dict[int, list[tuple[Any, Interval]]] = defaultdict(list)
    owners_of: dict[int, list[tuple[Any, Interval]]] = defaultdict(list)
    spans = SelectionClientSpan.objects.of(tenant_id).filter(_within(period), client_id__in=client_ids)
    for span in spans.select_related("selection__machine", "client").order_by("selection_id", "since"):
        selections_of[span.client_id].append((span.selection, (span.since, span.until)))
        owners_of[span.selection_id].append((span.client, (span.since, span.until)))
    of_state = _client_states(tenant_id, client_ids, period=period)
    return Ownership(
        selections_of=selections_of,
        owners_of=owners_of,
        clients_of=clients_of,
        active=of_state["active"],
        apart=_apart(tenant_id, list(owners_of), period=period),
        suspended=of_state["suspended"],
        states=read_states(tenant_id, (one for found in selections_of.values() for one, _ in found), period=period),
    )


def covered_by(subscription: Subscription, links: Ownership, *, period: Period) -> tuple[Covered, ...]:
    """The selections of a subscription that are charged on at least one day of the period, by name."""
    running = _running(subscription)
    days: dict[int, set[date]] = defaultdict(set)
    found: dict[int, tuple[Any, Any]] = {}
    charges_suspended = subscription.plan.charge_suspended == "yes"
    suspended: dict[int, list[Interval]] = defaultdict(list)
    for client_id, of_client in _clients(subscription, links):
        paused = links.suspended.get(client_id, ()) if charges_suspended else ()
        for selection, owned in links.selections_of.get(client_id, ()):
            if subscription.selection_id not in (None, selection.pk):
                continue
            standing = (*links.active.get(client_id, ()), *paused)
            charged = _days(running, period) & _days((of_client,), period) & _days((owned,), period)
            apart = tuple(links.apart.get(selection.pk, ())) if _pools(subscription) else ()
            days[selection.pk] |= (charged & _days(standing, period)) - _days(apart, period)
            suspended[selection.pk] += paused
            found.setdefault(selection.pk, (selection, _client(links, selection.pk, client_id)))
    named = _named([(*found[key], frozenset(days[key])) for key in found if days[key]], subscription)
    if not (links.states or charges_suspended):
        return named
    return tuple(_with_states(each, links, suspended[each.selection.pk]) for each in named)


def running_days(subscription: Subscription, *, period: Period) -> frozenset[date]:
    """The period's days on which the subscription and its agreement run."""
    return _days(_running(subscription), period)


def running_share(subscription: Subscription, *, period: Period) -> Fraction:
    """The share of the period's days on which the subscription and its agreement run."""
    return Fraction(len(running_days(subscription, period=period)), len(period))


def _named(found: Iterable[tuple[Any, Any, frozenset[date]]], subscription: Subscription) -> tuple[Covered, ...]:
    taken: set[str] = set()
    covered = []
    for selection, client, days in sorted(found, key=lambda each: (each[1].name, each[0].name, each[0].pk)):
        name = selection.name if subscription.client_id else f"{client.name}: {selection.name}"
        name = name if name not in taken else f"{name} ({selection.pk})"
        taken.add(name)
        covered.append(Covered(selection=selection, client=client, name=name, days=days))
    return tuple(covered)


def _with_states(covered: Covered, links: Ownership, suspended: Sequence[Interval]) -> Covered:
    """Its own states, and the days on which its client was suspended where those are charged too."""
    own = links.states.get(covered.selection.pk, ())
    return replace(covered, states=(*own, *(("suspended", interval) for interval in suspended)))


def _clients(subscription: Subscription, links: Ownership) -> Iterable[tuple[int, Interval]]:
    if subscription.client_id:
        return [(subscription.client_id, (date.min, None))]
    return links.clients_of.get(subscription.reseller_id or 0, ())


def _client(links: Ownership, selection_id: int, client_id: int) -> Any:
    return next(client for client, _ in links.owners_of[selection_id] if client.pk == client_id)


def _pools(subscription: Subscription) -> bool:
    """Whether it covers whatever a client has; wholesale covers every selection, whatever it is sold on as."""
    return subscription.layer == "retail" and subscription.selection_id is None


def _running(subscription: Subscription) -> tuple[Interval, ...]:
    agreement = subscription.agreement
    ends = [end for end in (subscription.ends_on, agreement.ends_on) if end is not None]
    return ((max(subscription.starts_on, agreement.starts_on), min(ends, default=None)),)


@lru_cache(maxsize=65536)
def _days(intervals: tuple[Interval, ...], period: Period) -> frozenset[date]:
    """The period's days in any of these intervals; most of a fleet share a few of them."""
    return frozenset(filter(days_within(intervals), period.days()))


def _within(period: Period) -> Q:
    return Q(since__lt=period.last_day) & (Q(until__isnull=True) | Q(until__gt=period.first_day))


def _clients_of_resellers(
    tenant_id: int, reseller_ids: Iterable[int | None], *, period: Period
) -> dict[int, list[tuple[int, Interval]]]:
    spans = ClientResellerSpan.objects.of(tenant_id).filter(
        _within(period), reseller_id__in={each for each in reseller_ids if each}
    )
    clients: dict[int, list[tuple[int, Interval]]] = defaultdict(list)
    for span in spans.order_by("client_id", "since"):
        clients[span.reseller_id].append((span.client_id, (span.since, span.until)))
    return clients


def _client_states(
    tenant_id: int, client_ids: Iterable[int], *, period: Period
) -> dict[str, dict[int, list[Interval]]]:
    """When each client was active, and when suspended."""
    of_state: dict[str, dict[int, list[Interval]]] = {"active": defaultdict(list), "suspended": defaultdict(list)}
    spans = ClientStateSpan.objects.of(tenant_id).filter(_within(period), client_id__in=client_ids, state__in=of_state)
    for client_id, state, since, until in spans.values_list("client_id", "state", "since", "until"):
        of_state[state][client_id].append((since, until))
    return of_state


def _apart(tenant_id: int, selection_ids: Sequence[int], *, period: Period) -> dict[int, list[Interval]]:
    """Days on which a selection has a retail subscription of its own, with whichever seller."""
    own = Subscription.objects.of(tenant_id).filter(
        Q(ends_on__isnull=True) | Q(ends_on__gt=period.first_day),
        layer="retail",
        selection_id__in=selection_ids,
        starts_on__lt=period.last_day,
    )
    apart: dict[int, list[Interval]] = defaultdict(list)
    rows = own.values_list("selection_id", "starts_on", "ends_on", "agreement__starts_on", "agreement__ends_on")
    for selection_id, starts, ends, signed, over in rows:
        last = min([each for each in (ends, over) if each is not None], default=None)
        apart[selection_id].append((max(starts, signed), last))
    return apart
