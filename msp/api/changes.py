"""Changes that the API makes to what is protected: the ground's functions in one transaction, then a fresh look.

What a change touches is evaluated anew: a zone or a state moves deadlines, a quota moves the client's own rule. That
follows the change's own transaction, since the line locks clocks in an order of its own. A reseller's key changes
its own clients, and cannot give them away.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from rest_framework.exceptions import PermissionDenied, ValidationError

from alerts.acting import settings_changed
from alerts.enabling import enable_jobs_of
from alerts.evaluating import mark_due
from msp.api import queries
from msp.api.authentication import Caller
from msp.api.resources.base import only_given
from msp.backups import changing as jobs
from msp.backups.models import BackupJob
from msp.estate import changing, spans
from msp.estate.changing import CLIENT_TERMS, SERVER_VALUES, RegisteredServer
from msp.estate.models import BackupServer, Client
from msp.estate.spans import Actor, Taken
from msp.tenants.models import Reseller

#: Of a client: what moves deadlines, tellings or tickets of its jobs.
MOVES_JOBS = frozenset({"state", "reseller", "timezone", "tickets_enabled"})


def register_client(caller: Caller, values: Mapping[str, Any], *, actor: Actor) -> Client:
    """A new client; of the key's own reseller if it has one."""
    given = dict(values)
    given["reseller"] = _reseller_of_new(caller, given.get("reseller"))
    try:
        return spans.register_client(caller.tenant, actor=actor, **given)
    except Taken as taken:
        raise _taken(taken, visible=_sees_client(caller, taken.uid)) from None


def change_client(caller: Caller, client: Client, values: Mapping[str, Any], *, actor: Actor) -> None:
    """State and reseller dated, the rest as it is from now on; all or nothing."""
    on = values.get("on") or spans.today_of(caller.tenant, actor.now)
    is_enabled = bool(values.get("tickets_enabled")) and not client.tickets_enabled
    with transaction.atomic():
        if is_enabled:
            enable_jobs_of(caller.tenant, client)
        if "state" in values:
            spans.set_client_state(caller.tenant, client.pk, state=values["state"], on=on, actor=actor)
        if "reseller" in values:
            reseller = _reseller_of_change(caller, values["reseller"])
            spans.set_client_reseller(caller.tenant, client.pk, reseller=reseller, on=on, actor=actor)
        changing.change_client(caller.tenant, client.pk, only_given(values, *CLIENT_TERMS), actor=actor)
    if MOVES_JOBS & set(values):
        settings_changed(caller.tenant, now=actor.now)
    mark_due(caller.tenant.pk, "client", [client.pk], now=actor.now)


def register_server(caller: Caller, values: Mapping[str, Any], *, actor: Actor) -> RegisteredServer:
    """A new backup server with its key; a reseller names the client it serves."""
    given = _with_client(caller, values)
    if given.get("client") is None and not caller.reach.whole_tenant:
        raise ValidationError({"client": ["Name the client of yours that this server is for."]})
    try:
        return changing.register_server(caller.tenant, actor=actor, **given)
    except Taken as taken:
        raise _taken(taken, visible=_sees_server(caller, taken.uid)) from None


def change_server(caller: Caller, server: BackupServer, values: Mapping[str, Any], *, actor: Actor) -> None:
    given = only_given(_with_client(caller, values), *SERVER_VALUES)
    if "client" in given and given["client"] is None and not caller.reach.whole_tenant:
        raise PermissionDenied("A reseller's key cannot take a server away from its clients.")
    try:
        changing.change_server(caller.tenant, server.pk, given, actor=actor)
    except Taken as taken:
        raise _taken(taken, visible=_sees_server(caller, taken.uid)) from None
    if "state" in given:
        settings_changed(caller.tenant, now=actor.now)


def change_job(caller: Caller, job: BackupJob, values: Mapping[str, Any], *, actor: Actor) -> None:
    jobs.change_job(caller.tenant, job.pk, only_given(values, *jobs.JOB_VALUES), actor=actor)
    settings_changed(caller.tenant, now=actor.now)


def end_of_old_keys(now: datetime, *, keep_hours: int) -> datetime:
    """Until when a server may still use the key that is being replaced."""
    return now + timedelta(hours=keep_hours)


def _reseller_of_new(caller: Caller, uid: Any) -> Reseller | None:
    own: Reseller | None = caller.key.reseller
    if own is not None and uid not in (None, own.uid):
        raise PermissionDenied("A reseller's key makes clients of its own reseller only.")
    return own if own is not None else _named_reseller(caller, uid)


def _reseller_of_change(caller: Caller, uid: Any) -> Reseller | None:
    if caller.key.reseller is not None and uid != caller.key.reseller.uid:
        raise PermissionDenied("A reseller's key cannot give a client to somebody else.")
    return _named_reseller(caller, uid)


def _named_reseller(caller: Caller, uid: Any) -> Reseller | None:
    if uid is None:
        return None
    reseller = queries.find_reseller(caller.reach, uid)
    if reseller is None:
        raise ValidationError({"reseller": ["There is no such reseller."]})
    return reseller


def _with_client(caller: Caller, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with the client itself in place of its UUID."""
    given = dict(values)
    if given.get("client") is not None:
        client = queries.find_client(caller.reach, given["client"])
        if client is None:
            raise ValidationError({"client": ["There is no such client."]})
        given["client"] = client
    return given


def _taken(taken: Taken, *, visible: bool) -> Taken:
    """A name that is in use beyond the caller's reach is taken all the same, but not told by whom."""
    return taken if visible else Taken("This is in use already; choose another.", None)


def _sees_client(caller: Caller, uid: Any) -> bool:
    return queries.find_client(caller.reach, uid) is not None


def _sees_server(caller: Caller, uid: Any) -> bool:
    return queries.servers(caller.reach, {}).filter(uid=uid).exists()
