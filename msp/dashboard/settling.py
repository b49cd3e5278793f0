"""What a person does to inbox items on their pages: says it to ``msp.ingest.inbox``, and any refusal to the person.

Items come from ``msp.dashboard.queries``, so they are within reach. What is read again is worked on at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from django.db import transaction

from msp import tasks
from msp.backups.models import BackupJob
from msp.dashboard.queries import InboxRow
from msp.dashboard.scope import Refused, Scope
from msp.estate.models import Client
from msp.estate.spans import Actor
from msp.ingest import inbox
from msp.ingest.assigning_many import Accepted, accept_suggestions, assign_each_to_new_job
from msp.ingest.models import InboxItem
from msp.ingest.suggesting import Suggestion, suggest

Answer = TypeVar("Answer")

#: Kept with what was dismissed without a word.
NO_WORD = "dismissed on the inbox page"


def is_assignable(item: InboxRow) -> bool:
    """Whether saying whose log it is would help."""
    return item.state == "open" and item.reason not in inbox.NOT_ASSIGNABLE


def assign_to_job(
    scope: Scope, items: Sequence[InboxRow], job: BackupJob, *, now: datetime, moved: bool = False
) -> None:
    """Runs of the items' (server, source job, item) belong to this job from now on; their logs are read again."""
    ids = [item.id for item in items]
    _say(lambda: inbox.assign_items(scope.tenant, ids, job_id=job.pk, moved=moved, actor=_actor(scope, now)))


def assign_each(scope: Scope, items: Sequence[InboxRow], client: Client, *, now: datetime) -> int:
    """Each name among the items becomes a new job of this client; answers how many."""
    ids, actor = [item.id for item in items], _actor(scope, now)
    return _say(lambda: assign_each_to_new_job(scope.tenant, ids, client_id=client.pk, actor=actor))


def accept_sure(scope: Scope, items: Sequence[InboxRow], *, now: datetime) -> Accepted:
    """Those whose one suggestion of high confidence says whose they are."""
    ids, actor = [item.id for item in items], _actor(scope, now)
    return _say(lambda: accept_suggestions(scope.tenant, ids, actor=actor))


def suggestions_for(scope: Scope, items: Sequence[InboxRow]) -> dict[int, tuple[Suggestion, ...]]:
    """By item id; a fixed number of queries."""
    ids = [item.id for item in items if is_assignable(item)]
    if not ids:
        return {}
    return suggest(scope.tenant.pk, InboxItem.objects.of(scope.tenant).filter(pk__in=ids))


def assign_to_new_job(scope: Scope, item: InboxRow, client: Client, *, name: str, now: datetime) -> BackupJob:
    """The same with a new job, and a new selection of its own, of this client; on the item's server."""
    return _say(
        lambda: inbox.assign_to_new_job(
            scope.tenant, [item.id], client_id=client.pk, name=name, actor=_actor(scope, now)
        )
    )


def dismiss(scope: Scope, items: Sequence[InboxRow], *, reason: str, now: datetime) -> None:
    """Put items away; nothing is deleted."""
    actor = _actor(scope, now, reason=reason.strip() or NO_WORD)
    _say(lambda: inbox.dismiss_items(scope.tenant, [item.id for item in items], actor=actor))


def read_again(scope: Scope, items: Sequence[InboxRow], *, now: datetime) -> None:
    """Put the receipts back on the queue, after the cause was mended."""
    _say(lambda: inbox.replay_items(scope.tenant, [item.id for item in items], actor=_actor(scope, now)))


def _say(act: Callable[[], Answer]) -> Answer:
    """Do it, then wake the worker; a refusal becomes the page's. Raises Refused."""
    try:
        with transaction.atomic():
            answer = act()
            transaction.on_commit(tasks.wake_processing)
    except (inbox.NotFound, inbox.CannotSettle) as error:
        raise Refused(error.reason) from error
    return answer


def _actor(scope: Scope, now: datetime, *, reason: str = "") -> Actor:
    return Actor(name=scope.actor, now=now, id=scope.actor_id, reason=reason)
