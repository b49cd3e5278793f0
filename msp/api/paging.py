"""Pages of a list by cursor: a page begins after the last row of the one before, whatever was added meanwhile.

The cursor holds the values the list is ordered by, with the id last, so that every row has its place. All of an
order goes one way: up, or down with a leading minus on each name.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from rest_framework.request import Request

from msp.api.refusals import BadQuery

PAGE_SIZE, LARGEST_PAGE = 50, 200
#: What a list's address may hold besides its filters.
PAGE_PARAMETERS = frozenset({"cursor", "limit"})
LARGEST_ID = 2**63 - 1


@dataclass(frozen=True)
class Page:
    """Rows of one page and the address of the next (a path of ours), None at the end."""

    rows: list[Any]
    next: str | None


def _read_id(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_ID:
        raise ValueError("no id")
    return value


def _read_moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("no zone")
    return moment


def _read_day(value: Any) -> date:
    return date.fromisoformat(value)


READERS: dict[str, Callable[[Any], Any]] = {"id": _read_id, "moment": _read_moment, "day": _read_day}


@dataclass(frozen=True)
class Order:
    """Names to order by and how their values are read back from a cursor (a name in READERS); the last is unique."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]

    @property
    def downwards(self) -> bool:
        return self.names[0].startswith("-")

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(name.lstrip("-") for name in self.names)


BY_ID = Order(("id",), ("id",))
NEWEST_FIRST = Order(("-id",), ("id",))


def read_page(request: Request, rows: QuerySet[Any], order: Order) -> Page:
    """The page the request asks for; one query. Raises BadQuery."""
    limit = _read_limit(request.query_params.get("limit"))
    cursor = request.query_params.get("cursor")
    if cursor is not None:
        rows = rows.filter(_beyond(order, read_cursor(cursor, order)))
    found = list(rows.order_by(*order.names)[: limit + 1])
    more = len(found) > limit
    return Page(found[:limit], _next_address(request, make_cursor(found[limit - 1], order)) if more else None)


def make_cursor(row: Any, order: Order) -> str:
    """Where the list goes on after this row."""
    values = [getattr(row, name) for name in order.fields]
    plain = [value.isoformat() if isinstance(value, date) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode().rstrip("=")


def read_cursor(cursor: str, order: Order) -> list[Any]:
    """The values in a cursor of ours. Raises BadQuery for any other text."""
    try:
        values = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        return [READERS[kind](value) for kind, value in zip(order.kinds, values, strict=True)]
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise BadQuery({"cursor": ["This is not a cursor of this list; begin without one."]}) from error


def _beyond(order: Order, values: list[Any]) -> Q:
    """Rows after these values: the first name beyond, or equal and the next beyond, and so on."""
    side = "lt" if order.downwards else "gt"
    beyond = Q()
    equal = Q()
    for name, value in zip(order.fields, values, strict=True):
        beyond |= equal & Q(**{f"{name}__{side}": value})
        equal &= Q(**{name: value})
    # The first condition alone lets the database begin at the right place of its index.
    return Q(**{f"{order.fields[0]}__{side}e": values[0]}) & beyond


def _read_limit(text: str | None) -> int:
    if text is None:
        return PAGE_SIZE
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= LARGEST_PAGE):
        raise BadQuery({"limit": [f"A page has from 1 to {LARGEST_PAGE} rows."]})
    return int(text)


def _next_address(request: Request, cursor: str) -> str:
    kept = {name: value for name, value in request.query_params.items() if name != "cursor"}
    return f"{request.path}?{urlencode(kept | {'cursor': cursor})}"
