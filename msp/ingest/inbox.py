"""What a person does to inbox items: assign, dismiss, read again; each in one transaction with its audit entries.

Called by the dashboard and the API. Assigning is remembered: every open item of the same (server, source job, item) is
settled with it, their receipts are read again, and the next log of that key finds its job by itself. Items of another
tenant, and items that somebody settled meanwhile, are not found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import Q

from msp.backups.changing import move_job_server
from msp.backups.models import BackupJob, JobSelectionSpan, JobState
from msp.estate.models import BackupServer, Client, Selection, SelectionClientSpan
from msp.estate.spans import Actor
from msp.ingest.making import kept_roots
from msp.ingest.models import Assignment, InboxItem, Receipt
from msp.ingest.replaying import requeue
from msp.tenants import audit
from msp.tenants.models import Tenant

#: Reasons that a job cannot mend: the log itself could not be read, or is not to be trusted.
NOT_ASSIGNABLE = frozenset({"unrecognised", "unreadable", "conflict", "failed"})

Key = tuple[int | None, str, str]


class NotFound(Exception):
    """There is no such open item, job or client in this tenant; ``reason`` is a sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CannotSettle(Exception):
    """It is understood and turned down; ``reason`` is a sentence for the person."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def assign_items(tenant: Tenant, item_ids: Collection[int], *, job_id: int, actor: Actor, moved: bool = False) -> int:
    """Runs like these belong to this job from now on; answers how many receipts are read again.

    ``moved``: the job moved to their server; its runs and clocks stay. Raises NotFound, CannotSettle.
    """
    with transaction.atomic():
        items = find_open(tenant, item_ids)
        refuse_unassignable(items)
        job = BackupJob.objects.of(tenant).filter(pk=job_id).first()
        if job is None:
            raise NotFound("There is no such backup job.")
        if moved:
            move_job_server(tenant, job.pk, server=only_server(items), actor=actor)
        return remember(tenant, items, job, actor=actor)


def assign_to_new_job(
    tenant: Tenant, item_ids: Collection[int], *, client_id: int, name: str, actor: Actor
) -> BackupJob:
    """The same with a new job, and a new selection of its own, of this client. Raises NotFound, CannotSettle."""
    with transaction.atomic():
        items = find_open(tenant, item_ids)
        refuse_unassignable(items)
        client = Client.objects.of(tenant).filter(pk=client_id).first()
        if client is None:
            raise NotFound("There is no such client.")
        job = make_job(tenant, only_server(items), client, name=name.strip(), like=items[0], actor=actor)
        remember(tenant, items, job, actor=actor)
    return job


def dismiss_items(tenant: Tenant, item_ids: Collection[int], *, actor: Actor) -> int:
    """Put items away, with a reason; nothing is deleted. Raises NotFound, CannotSettle."""
    if not actor.reason.strip():
        raise CannotSettle("Say why: the reason is kept with what was dismissed.")
    with transaction.atomic():
        items = find_open(tenant, item_ids)
        receipts = Receipt.objects.of(tenant).filter(pk__in={item.receipt_id for item in items})
        list(receipts.order_by("pk").select_for_update())
        settle(tenant, items, state="dismissed", actor=actor)
        close_receipts(tenant, {item.receipt_id for item in items})
        write_audit(tenant, items, "inbox item dismissed", {"state": "dismissed"}, actor=actor)
    return len(items)


def replay_items(tenant: Tenant, item_ids: Collection[int], *, actor: Actor) -> int:
    """Read the receipts of these items again, after the cause was mended. Raises NotFound, CannotSettle."""
    with transaction.atomic():
        items = find_open(tenant, item_ids)
        queued = requeue(tenant.pk, {item.receipt_id for item in items}, now=actor.now)
        if not queued.receipt_ids:
            raise CannotSettle("Their contents are no longer kept, so they cannot be read again.")
        write_audit(tenant, items, "inbox item replayed", {"state": "waiting"}, actor=actor)
    return len(queued.receipt_ids)


# --- steps: queue, receipts and items are locked in this order, as the line does it ------------------------------


def find_open(tenant: Tenant, item_ids: Collection[int]) -> list[InboxItem]:
    """The open items, in the order of their ids. Raises NotFound."""
    wanted = set(item_ids)
    rows = InboxItem.objects.of(tenant).filter(pk__in=wanted, state="open").select_related("server")
    items = list(rows.order_by("pk"))
    if not wanted or len(items) < len(wanted):
        raise NotFound("There is no such open item: somebody may have settled it already.")
    return items


def refuse_unassignable(items: Iterable[InboxItem]) -> None:
    for item in items:
        if item.reason in NOT_ASSIGNABLE:
            raise CannotSettle("This log could not be read, so a job does not help: mend the cause and replay it.")
        if item.server_id is None and not item.source_job and not item.item:
            raise CannotSettle(
                "This log names neither a server nor a job nor a host, so nothing can be remembered: "
                "send it with the key of a backup server, or with a job's name."
            )


def remember(tenant: Tenant, items: Sequence[InboxItem], job: BackupJob, *, actor: Actor) -> int:
    """Write the assignments, settle every open item of the same keys, read their receipts again."""
    keys = {key_of(item) for item in items}
    rows = [
        Assignment(server_id=server, source_job=source_job, item=item, job=job, origin="person", created_at=actor.now)
        for server, source_job, item in sorted(keys, key=lambda key: (key[0] or 0, key[1], key[2]))
    ]
    Assignment.objects.of(tenant).bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["tenant", "server", "source_job", "item"],
        update_fields=["job", "origin", "rule"],
    )
    alike = find_alike(tenant, keys)
    refuse_settled(items, still_open=alike)
    queued = requeue(tenant.pk, {item.receipt_id for item in alike}, now=actor.now)
    settle(tenant, alike, state="settled", actor=actor)
    write_audit(tenant, items, "inbox item assigned", {"job_id": job.pk, "job": job.name}, actor=actor)
    return len(queued.receipt_ids)


def refuse_settled(items: Iterable[InboxItem], *, still_open: Iterable[InboxItem]) -> None:
    """Of two people who say whose these are at once, the second is told, and leaves nothing. Raises NotFound.

    Writing the assignment made the second wait for the first, so what is open now is certain.
    """
    if not {item.pk for item in items} <= {item.pk for item in still_open}:
        raise NotFound("Somebody has settled one of these already: look again.")


def key_of(item: InboxItem) -> Key:
    return item.server_id, item.source_job, item.item


def find_alike(tenant: Tenant, keys: Collection[Key]) -> list[InboxItem]:
    """Every open, assignable item with one of these keys."""
    alike = Q()
    for server_id, source_job, item in keys:
        alike |= Q(server_id=server_id, source_job=source_job, item=item)
    rows = InboxItem.objects.of(tenant).filter(alike, state="open").exclude(reason__in=NOT_ASSIGNABLE)
    return list(rows.order_by("pk"))


def settle(tenant: Tenant, items: Sequence[InboxItem], *, state: str, actor: Actor) -> None:
    """Raises NotFound when somebody settled one of them meanwhile."""
    rows = InboxItem.objects.of(tenant).filter(pk__in=[item.pk for item in items], state="open")
    if rows.update(state=state, settled_at=actor.now, settled_by=actor.name[:200]) < len(items):
        raise NotFound("Somebody has settled one of these already: look again.")


def close_receipts(tenant: Tenant, receipt_ids: Collection[int]) -> None:
    """Receipts with nothing open any more leave the inbox: done if runs came of them, else dismissed."""
    still_open = InboxItem.objects.of(tenant).filter(receipt_id__in=receipt_ids, state="open")
    rows = Receipt.objects.of(tenant).filter(pk__in=receipt_ids, state="inbox")
    rows = rows.exclude(pk__in=still_open.values("receipt_id"))
    rows.filter(runs__gt=0).update(state="done")
    rows.filter(runs=0).update(state="dismissed")


def write_audit(
    tenant: Tenant, items: Iterable[InboxItem], action: str, after: Mapping[str, Any], *, actor: Actor
) -> None:
    for item in items:
        audit.record(
            tenant,
            actor=actor.name,
            actor_id=actor.id,
            action=action,
            subject_kind="inbox item",
            subject_id=item.pk,
            subject=item.source_job or item.item or item.host or item.reason,
            before={"state": "open", "reason": item.reason},
            after=after,
            reason=actor.reason,
            now=actor.now,
        )


# --- a new job ---------------------------------------------------------------------------------------------------


def only_server(items: Sequence[InboxItem]) -> BackupServer:
    servers = {item.server_id: item.server for item in items}
    server = items[0].server
    if len(servers) != 1 or server is None:
        raise CannotSettle("A new job needs one backup server: these logs came from several, or from none.")
    return server


def make_job(
    tenant: Tenant, server: BackupServer, client: Client, *, name: str, like: InboxItem, actor: Actor
) -> BackupJob:
    """A job with a selection of its own, which has been the client's since it became one (late logs are its, too).

    ``like`` tells the host and roots of what it protects.
    """
    if not name:
        raise CannotSettle("Give the new job a name.")
    label = f"{server.name}: {name}"
    if len(label) > 200:
        raise CannotSettle("The name of the new job is too long.")
    since = first_day(tenant, client, actor=actor)
    selection = make_selection(tenant, client, label=label, like=like, actor=actor)
    SelectionClientSpan.objects.of(tenant).create(selection=selection, client=client, since=since)
    job: BackupJob = BackupJob.objects.of(tenant).create(
        server=server,
        selection=selection,
        name=name,
        product=str(like.told.get("product", ""))[:60],
        registered_at=actor.now,
    )
    JobSelectionSpan.objects.of(tenant).create(job=job, selection=selection, since=since)
    JobState.objects.of(tenant).create(job=job, check_after=actor.now)
    return job


def make_selection(tenant: Tenant, client: Client, *, label: str, like: InboxItem, actor: Actor) -> Selection:
    """Raises CannotSettle when there is one of this name, even one that was made at this moment."""
    try:
        with transaction.atomic():
            selection: Selection = Selection.objects.of(tenant).create(
                client=client,
                name=label,
                host=like.host.lower(),
                roots=kept_roots(like.told.get("roots", ())),
                registered_at=actor.now,
            )
    except IntegrityError as error:
        raise CannotSettle(
            f'{client.name} has a selection "{label}" already: choose another name, or its job.'
        ) from error
    return selection


def first_day(tenant: Tenant, client: Client, *, actor: Actor) -> date:
    return min(client.registered_at, actor.now).astimezone(ZoneInfo(tenant.timezone)).date()
