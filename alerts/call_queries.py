"""What pages and the API show of the calls about a ticket: what was sent, what came back, callbacks received.

Destinations are the MSP's own, and what is said there may concern more than one client: whoever does not see the whole
tenant, a reseller, is shown none of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerts.models import TicketCall
from msp.estate.queries import Reach

MOST_SHOWN = 60


@dataclass(frozen=True)
class CallRow:
    """One exchange. ``request_headers`` and ``answer_headers`` as lines."""

    at: datetime
    direction: str
    action: str
    method: str
    address: str
    request_headers: str
    request: str
    status: int | None
    answer_headers: str
    answer: str
    verdict: str
    took_ms: int | None

    @property
    def tone(self) -> str:
        """As badges have it: good, warning or failure."""
        if self.direction == "received":
            return "good"
        if self.status is None:
            return "warning"
        return "good" if self.status < 300 else "failure"


@dataclass(frozen=True)
class Calls:
    """The latest calls of a ticket, newest first; ``further`` are kept but not shown."""

    rows: tuple[CallRow, ...]
    further: int


def calls_within(reach: Reach, ticket_id: int) -> Any:
    """The calls of a ticket that was found within reach, as a query."""
    rows = TicketCall.objects.of(reach.tenant_id).filter(ticket=ticket_id)
    return rows if reach.whole_tenant else rows.none()


def read_calls(reach: Reach, ticket_id: int) -> Calls:
    """For the ticket's page."""
    rows = calls_within(reach, ticket_id)
    latest = list(rows.order_by("-id")[: MOST_SHOWN + 1])
    further = rows.count() - MOST_SHOWN if len(latest) > MOST_SHOWN else 0
    return Calls(tuple(_row(row) for row in latest[:MOST_SHOWN]), further)


def _row(row: TicketCall) -> CallRow:
    return CallRow(
        at=row.at,
        direction=row.direction,
        action=row.action,
        method=row.method,
        address=row.address,
        request_headers=_lines(row.request_headers),
        request=row.request,
        status=row.status,
        answer_headers=_lines(row.answer_headers),
        answer=row.answer,
        verdict=row.verdict,
        took_ms=row.took_ms,
    )


def _lines(headers: dict[str, str]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in headers.items())
