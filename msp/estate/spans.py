"""Changes what a client or selection is from a day on: the only writer of dated spans and of the column beside them.

A span says what held on which local days of the tenant's zone, so that a month can be billed again after a change. A
change is dated today or earlier, never before what holds now began: older history may be billed already and stays as it
was written. The owner's row is locked first (rows that refer to it do not wait for that); each change writes its audit
entry in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import IntegrityError, transaction
from django.db.models import Min

from msp.estate.models import (
    CLIENT_STATES,
    SELECTION_STATES,
    Client,
    ClientResellerSpan,
    ClientStateSpan,
    Selection,
    SelectionClientSpan,
    SelectionStateSpan,
)
from msp.tenants import audit
from msp.tenants.models import Reseller, Tenant


class BadChange(ValueError):
    """A change that cannot be made: ``field`` names what is wrong with it, ``reason`` is a sentence for the person."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


class Taken(Exception):
    """Something with this name or code is there already; ``uid`` is its, ``reason`` a sentence."""

    def __init__(self, reason: str, uid: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        self.uid = uid


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who makes a change, why and when; ``id`` is the person's, None for a program."""

    name: str
    now: datetime
    id: int | None = None
    reason: str = ""


def today_of(tenant: Tenant, now: datetime) -> date:
    """The local day of this moment in the tenant's zone."""
    return now.astimezone(ZoneInfo(tenant.timezone)).date()


def checked_zone(name: str) -> str:
    """``name`` if it is a time zone. Raises BadChange."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadChange("timezone", f'"{name}" is no time zone; write one such as Europe/Berlin.') from error
    return name


def register_client(
    tenant: Tenant,
    *,
    name: str,
    code: str,
    actor: Actor,
    state: str = "active",
    reseller: Reseller | None = None,
    timezone: str = "",
    quota_bytes: int | None = None,
    tickets_enabled: bool | None = None,
    language: str = "",
    notes: str = "",
) -> Client:
    """A new client with its first spans, from today on; without a word about tickets it is observed where the tenant
    observes what is new. Raises Taken when the code is in use, BadChange.
    """
    zone = checked_zone(timezone or tenant.timezone)
    _check_state(state)
    values: dict[str, Any] = {"name": name, "state": state, "reseller": reseller, "timezone": zone}
    enabled = not tenant.observe_new if tickets_enabled is None else tickets_enabled
    values |= {"quota_bytes": quota_bytes, "tickets_enabled": enabled, "language": language, "notes": notes}
    try:
        with transaction.atomic():
            client: Client = Client.objects.of(tenant).create(code=code, registered_at=actor.now, **values)
            since = today_of(tenant, actor.now)
            ClientStateSpan.objects.of(tenant).create(client=client, state=state, since=since)
            ClientResellerSpan.objects.of(tenant).create(client=client, reseller=reseller, since=since)
            record_change(tenant, client, "client registered", {}, {"code": code, "state": state}, actor=actor)
    except IntegrityError:
        existing = Client.objects.of(tenant).filter(code=code).first()
        if existing is None:
            raise
        raise Taken(f'The code "{code}" belongs to the client {existing.name} already.', existing.uid) from None
    return client


def set_client_state(tenant: Tenant, client_id: int, *, state: str, on: date, actor: Actor) -> Client:
    """From that day on the client is in this state. Raises BadChange; the same state again changes nothing."""
    _check_state(state)
    with transaction.atomic():
        client: Client = Client.objects.of(tenant).select_for_update(no_key=True).get(pk=client_id)
        if client.state == state:
            return client
        begin_span(tenant, ClientStateSpan, {"client_id": client.pk}, {"state": state}, on=on, now=actor.now)
        before, client.state = client.state, state
        client.save(update_fields=["state"])
        record_change(tenant, client, "client state", {"state": before}, {"state": state, "on": str(on)}, actor=actor)
    return client


def set_client_reseller(tenant: Tenant, client_id: int, *, reseller: Reseller | None, on: date, actor: Actor) -> Client:
    """From that day on the client belongs to this reseller, or to none. Raises BadChange."""
    with transaction.atomic():
        client: Client = Client.objects.of(tenant).select_for_update(no_key=True).get(pk=client_id)
        wanted = None if reseller is None else _of_tenant(tenant, Reseller, reseller.pk).pk
        if client.reseller_id == wanted:
            return client
        begin_span(tenant, ClientResellerSpan, {"client_id": client.pk}, {"reseller_id": wanted}, on=on, now=actor.now)
        before, client.reseller_id = client.reseller_id, wanted
        client.save(update_fields=["reseller"])
        after = {"reseller_id": wanted, "on": str(on)}
        record_change(tenant, client, "client reseller", {"reseller_id": before}, after, actor=actor)
    return client


def move_selection(tenant: Tenant, selection_id: int, *, client: Client, on: date, actor: Actor) -> Selection:
    """From that day on the selection belongs to this client. Raises BadChange, Taken."""
    with transaction.atomic():
        selection: Selection = Selection.objects.of(tenant).select_for_update(no_key=True).get(pk=selection_id)
        wanted = _of_tenant(tenant, Client, client.pk).pk
        if selection.client_id == wanted:
            return selection
        namesake = Selection.objects.of(tenant).filter(client_id=wanted, name=selection.name).first()
        if namesake is not None:
            raise Taken(f"{client.name} has a selection named {selection.name} already.", namesake.uid)
        begin_span(
            tenant, SelectionClientSpan, {"selection_id": selection.pk}, {"client_id": wanted}, on=on, now=actor.now
        )
        before, selection.client_id = selection.client_id, wanted
        # The machine stays with its client: a moved selection is on none until somebody says on which.
        selection.machine_id = None
        selection.save(update_fields=["client", "machine"])
        after = {"client_id": wanted, "on": str(on)}
        record_change(tenant, selection, "selection moved", {"client_id": before}, after, actor=actor)
    return selection


def set_selection_state(tenant: Tenant, selection_id: int, *, state: str, on: date, actor: Actor) -> Selection:
    """From that day on the selection is in this state. Raises BadChange; the same state again changes nothing."""
    if state not in SELECTION_STATES:
        raise BadChange("state", f"A selection is {', '.join(SELECTION_STATES[:-1])} or {SELECTION_STATES[-1]}.")
    with transaction.atomic():
        selection: Selection = Selection.objects.of(tenant).select_for_update(no_key=True).get(pk=selection_id)
        if selection.state == state:
            return selection
        _begin_states(tenant, selection)
        begin_span(tenant, SelectionStateSpan, {"selection_id": selection.pk}, {"state": state}, on=on, now=actor.now)
        before, selection.state = selection.state, state
        selection.save(update_fields=["state"])
        after = {"state": state, "on": str(on)}
        record_change(tenant, selection, "selection state", {"state": before}, after, actor=actor)
    return selection


def _begin_states(tenant: Tenant, selection: Selection) -> None:
    """A selection whose state never changed has no span yet: its state until now held since it was there."""
    if SelectionStateSpan.objects.of(tenant).filter(selection=selection).exists():
        return
    registered = today_of(tenant, selection.registered_at)
    owned = SelectionClientSpan.objects.of(tenant).filter(selection=selection).aggregate(first=Min("since"))["first"]
    since = min(registered, owned or registered)
    SelectionStateSpan.objects.of(tenant).create(selection=selection, state=selection.state, since=since)


def begin_span(
    tenant: Tenant, spans: Any, owner: Mapping[str, int], values: Mapping[str, Any], *, on: date, now: datetime
) -> None:
    """End the owner's open span on that day and begin one with these values; the owner's row is locked by the caller.

    ``spans`` is the model. A span that would hold for no day is replaced. Raises BadChange for a day that is ahead or
    lies before the open span.
    """
    if on > today_of(tenant, now):
        raise BadChange("on", f"A change cannot be dated ahead: {on} is not here yet.")
    open_span = spans.objects.of(tenant).select_for_update().filter(**owner, until__isnull=True).first()
    if open_span is not None and on < open_span.since:
        sentence = f"The change cannot begin on {on}: what holds now began on {open_span.since}."
        raise BadChange("on", f"{sentence} Choose that day or a later one.")
    if open_span is not None and on == open_span.since:
        open_span.delete()
    elif open_span is not None:
        open_span.until = on
        open_span.save(update_fields=["until"])
    spans.objects.of(tenant).create(**owner, **values, since=on)


def record_change(
    tenant: Tenant, subject: Any, action: str, before: Mapping[str, Any], after: Mapping[str, Any], *, actor: Actor
) -> None:
    """The audit entry of one change of a client, selection, server or job."""
    audit.record(
        tenant,
        actor=actor.name,
        actor_id=actor.id,
        action=action,
        subject_kind=type(subject).__name__.lower(),
        subject_id=subject.pk,
        subject=str(subject),
        before=before or None,
        after=after,
        reason=actor.reason,
        now=actor.now,
    )


def _check_state(state: str) -> None:
    if state not in CLIENT_STATES:
        raise BadChange("state", f'A client is {", ".join(CLIENT_STATES[:-1])} or {CLIENT_STATES[-1]}, not "{state}".')


def _of_tenant(tenant: Tenant, model: Any, identity: int) -> Any:
    """The row within the tenant's wall; raises its DoesNotExist."""
    return model.objects.of(tenant).get(pk=identity)
