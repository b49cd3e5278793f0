"""Assign many: ticked inbox items at once, each to a new job of one client, or as their best suggestions say.

Called by the dashboard and the API; each call is one transaction, with an audit entry for every item. To one job:
``inbox.assign_items`` takes any number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace

from django.db import transaction

from msp.estate.models import Client
from msp.estate.spans import Actor
from msp.ingest.inbox import (
    CannotSettle,
    Key,
    NotFound,
    assign_items,
    find_open,
    key_of,
    make_job,
    only_server,
    refuse_unassignable,
    remember,
)
from msp.ingest.models import InboxItem
from msp.ingest.suggesting import Suggestion, suggest
from msp.tenants.models import Tenant

#: Items in one go: a page or a few, so that nobody waits for the locks of a whole inbox.
MOST_TOGETHER = 500


@dataclass(frozen=True)
class Accepted:
    """How many items were assigned as suggested, and how many had nothing of high confidence."""

    assigned: int
    left: int


def assign_each_to_new_job(tenant: Tenant, item_ids: Collection[int], *, client_id: int, actor: Actor) -> int:
    """A new job of this client for each name among the items; answers how many. Raises NotFound, CannotSettle."""
    with transaction.atomic():
        items = _find_bounded(tenant, item_ids)
        refuse_unassignable(items)
        client = Client.objects.of(tenant).exclude(state="deleted").filter(pk=client_id).first()
        if client is None:
            raise NotFound("There is no such client.")
        keys = _by_key(items)
        for same in keys.values():
            make_for(tenant, same, client, actor=actor)
    return len(keys)


def accept_suggestions(tenant: Tenant, item_ids: Collection[int], *, actor: Actor) -> Accepted:
    """Assign those items whose best suggestion is of high confidence and the only such one. Raises NotFound."""
    with transaction.atomic():
        items = _find_bounded(tenant, item_ids)
        suggested = suggest(tenant.pk, items)
        done = 0
        for same in _by_key(items).values():
            best = only_sure(suggested.get(same[0].pk, ()))
            if best is None:
                continue
            accept_one(tenant, same, best, actor=replace(actor, reason=actor.reason or best.reason))
            done += len(same)
    return Accepted(done, len(items) - done)


def accept_one(tenant: Tenant, items: list[InboxItem], suggestion: Suggestion, *, actor: Actor) -> None:
    if suggestion.job_id is not None:
        ids, moved = [item.pk for item in items], suggestion.kind == "move"
        assign_items(tenant, ids, job_id=suggestion.job_id, moved=moved, actor=actor)
        return
    make_for(tenant, items, Client.objects.of(tenant).get(pk=suggestion.client_id), actor=actor)


def only_sure(suggestions: Collection[Suggestion]) -> Suggestion | None:
    """The one of high confidence; None where there are two, which cannot both be right."""
    sure = [one for one in suggestions if one.confidence == "high"]
    jobs = [one for one in sure if one.job_id is not None]
    chosen = jobs or sure
    return chosen[0] if len(chosen) == 1 else None


def make_for(tenant: Tenant, items: list[InboxItem], client: Client, *, actor: Actor) -> None:
    """A new job, named as the log has it."""
    first = items[0]
    name = " / ".join(part for part in (first.source_job, first.item) if part)
    name = name or " ".join(part for part in (str(first.told.get("product", first.format)), "on", first.host) if part)
    job = make_job(tenant, only_server(items), client, name=name, like=first, actor=actor)
    remember(tenant, items, job, actor=actor)


def _find_bounded(tenant: Tenant, item_ids: Collection[int]) -> list[InboxItem]:
    if len(item_ids) > MOST_TOGETHER:
        raise CannotSettle(f"At most {MOST_TOGETHER} items at a time.")
    return find_open(tenant, item_ids)


def _by_key(items: Collection[InboxItem]) -> dict[Key, list[InboxItem]]:
    """Items of the same key stand and fall together: one decision settles them all."""
    keys: dict[Key, list[InboxItem]] = defaultdict(list)
    for item in items:
        keys[key_of(item)].append(item)
    return keys
