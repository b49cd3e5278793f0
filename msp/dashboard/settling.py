"""What a person does to inbox items: assign, dismiss, replay; each hands over to ingest, and says no in a sentence.

Called by the inbox pages. Items come from ``msp.dashboard.queries``, so they are within reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msp.dashboard.queries import InboxRow
from msp.dashboard.scope import Refused, Scope
from msp.estate.models import Client


def open_items(items: Sequence[InboxRow]) -> Sequence[InboxRow]:
    """The items, all still open; raises Refused when one was settled meanwhile."""
    if any(item.state != "open" for item in items):
        raise Refused("Somebody has settled this already: load the inbox again.")
    return items


def assign_to_job(scope: Scope, items: Sequence[InboxRow], job_id: int, *, now: datetime) -> None:
    raise NotImplementedError


def assign_to_new_job(scope: Scope, items: Sequence[InboxRow], client: Client, *, name: str, now: datetime) -> None:
    raise NotImplementedError


def dismiss(scope: Scope, items: Sequence[InboxRow], *, reason: str, now: datetime) -> None:
    raise NotImplementedError


def replay(scope: Scope, items: Sequence[InboxRow], *, now: datetime) -> None:
    raise NotImplementedError
