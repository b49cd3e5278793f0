"""Finds what the lines of a usage file are about: clients, selections and machines by their exact names.

Nothing is guessed: what is there twice, or was another client's on that day, is refused with a sentence. In three
queries whatever the number of lines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Q

from billing.metrics import BY_NAME
from billing.usage_files import RefusedLine, UsageRow
from msp.estate.models import Client, Selection, SelectionClientSpan
from msp.estate.spans import today_of
from msp.tenants.models import Tenant


@dataclass(frozen=True)
class Placed:
    """A line with the selection and client it is about."""

    row: UsageRow
    selection: Selection
    client: Client


@dataclass(frozen=True)
class _Known:
    """Clients by name and by code; spans (selection, since, until) by client id; the days that can be entered."""

    clients: Mapping[str, Mapping[int, Client]]
    spans: Mapping[int, Sequence[Any]]
    first_day: date
    today: date


class _Unplaced(Exception):
    pass


def place_rows(
    tenant: Tenant, rows: Sequence[UsageRow], *, now: Any
) -> tuple[tuple[Placed, ...], tuple[RefusedLine, ...]]:
    """Each line's selection and client, and the lines that name none, several, or a day that cannot be."""
    known = _read(tenant, rows, now=now)
    placed: list[Placed] = []
    refused: list[RefusedLine] = []
    first: dict[tuple[int, date, str], int] = {}
    for row in rows:
        try:
            found = _place(row, known)
        except _Unplaced as why:
            refused.append(RefusedLine(row.line, str(why)))
            continue
        key = (found.selection.pk, row.day, row.metric)
        if key in first:
            sentence = f"The line is about the same day of {found.selection.name} as line {first[key]}."
            refused.append(RefusedLine(row.line, sentence))
        first.setdefault(key, row.line)
        placed.append(found)
    return tuple(placed), tuple(refused)


def _read(tenant: Tenant, rows: Sequence[UsageRow], *, now: Any) -> _Known:
    words = {row.client for row in rows}
    clients: dict[str, dict[int, Client]] = defaultdict(dict)
    for client in Client.objects.of(tenant).filter(Q(name__in=words) | Q(code__in=words)):
        clients[client.name][client.pk] = client
        clients[client.code][client.pk] = client
    spans: dict[int, list[Any]] = defaultdict(list)
    ids = {identity for found in clients.values() for identity in found}
    owned = SelectionClientSpan.objects.of(tenant).filter(client_id__in=ids).select_related("selection__machine")
    for span in owned.order_by("selection_id", "since"):
        spans[span.client_id].append(span)
    return _Known(clients, spans, today_of(tenant, tenant.created_at), today_of(tenant, now))


def _place(row: UsageRow, known: _Known) -> Placed:
    _check_day(row, known)
    clients = known.clients.get(row.client, {})
    if len(clients) != 1:
        many = f"{len(clients)} clients are called {row.client!r}: write the code of the one you mean."
        raise _Unplaced(many if clients else f"There is no client {row.client!r}: write its name or code exactly.")
    (client,) = clients.values()
    selection = _selection(row, client, known.spans.get(client.pk, ()))
    return Placed(row, selection, client)


def _check_day(row: UsageRow, known: _Known) -> None:
    if row.day > known.today:
        raise _Unplaced(f"{row.day} is not here yet.")
    if row.day < known.first_day:
        raise _Unplaced(f"{row.day} lies before {known.first_day}, the day on which this account began.")


def _selection(row: UsageRow, client: Client, spans: Sequence[Any]) -> Selection:
    """The one selection that the client owned on that day under these names."""
    named = [span for span in spans if _is_named(span.selection, row)]
    if not named:
        raise _Unplaced(f"{client.name} has no {_asked(row)}: write the names exactly.")
    then = {span.selection_id: span.selection for span in named if _held(span, row.day)}
    if not then:
        raise _Unplaced(f"{client.name} did not own the {_asked(row)} on {row.day}: name the client of that day.")
    if len(then) > 1:
        raise _Unplaced(f"{client.name} has {len(then)} selections that are the {_asked(row)}: name the selection.")
    (selection,) = then.values()
    found: Selection = selection
    return found


def _is_named(selection: Selection, row: UsageRow) -> bool:
    if row.selection and selection.name != row.selection:
        return False
    return not row.machine or (selection.machine is not None and selection.machine.name == row.machine)


def _held(span: Any, day: date) -> bool:
    return bool(span.since <= day and (span.until is None or span.until > day))


def _asked(row: UsageRow) -> str:
    if row.selection and row.machine:
        return f"selection {row.selection!r} on a machine {row.machine!r}"
    return f"selection {row.selection!r}" if row.selection else f"selection on a machine {row.machine!r}"


def unit_of(metric: str) -> str:
    """What the figures of a metric are: bytes, or things."""
    return "things" if BY_NAME[metric].unit == "each" else "bytes"
