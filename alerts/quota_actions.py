"""What follows a long quota overrun: notes since when it lasts, and suspends the client where the rule is set to.

Called by evaluating in its transaction, with the client's own state row locked and its incident written: that one has
said beforehand when it would happen, and says now that it does. The change is the estate's own, with its dated span and
audit entry; a client that is suspended already is left alone, so nothing is done twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial

import orjson
from django.db import connection, transaction

from alerts.acting import settings_changed
from alerts.facts import Checked, Finding
from alerts.rules import quota_overrun
from msp.estate.models import Client
from msp.estate.spans import Actor, set_client_state, today_of
from msp.tenants.models import Tenant

ACTOR = "the rule Quota overrun"
#: States from which a client is suspended; any other was chosen by a person.
SUSPENDED_FROM = ("trial", "active")


def follow_overruns(tenant_id: int, answers: Iterable[Checked], *, now: datetime) -> None:
    """Do what these answers ask for, if they are about quotas; else nothing, and without a statement."""
    findings = [one.answer for one in answers if one.kind == quota_overrun.KIND and isinstance(one.answer, Finding)]
    begun = [one.fingerprint for one in findings if one.evidence["over"] and one.evidence["over_since"] is None]
    if begun:
        note_beginning(tenant_id, begun, now=now)
    due = [one for one in findings if one.evidence["action"] == "suspend"]
    if due:
        suspend(Tenant.objects.get(pk=tenant_id), due, now=now)


def note_beginning(tenant_id: int, fingerprints: Sequence[str], *, now: datetime) -> None:
    """From now on it is known to be over: the moment stands in the evidence of the open incident until it ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE alerts_incident SET evidence = evidence || %s::jsonb "
            "WHERE tenant_id = %s AND fingerprint = ANY(%s) AND state = 'open'",
            [orjson.dumps({"over_since": now.isoformat()}).decode(), tenant_id, list(fingerprints)],
        )


def suspend(tenant: Tenant, findings: Iterable[Finding], *, now: datetime) -> None:
    """Suspend the clients of these findings from today on, in the order of their ids."""
    reasons = {finding.subject.id: finding.summary for finding in findings}
    clients = Client.objects.of(tenant).filter(pk__in=reasons, state__in=SUSPENDED_FROM)
    suspended = sorted(clients.values_list("pk", flat=True))
    for client_id in suspended:
        actor = Actor(name=ACTOR, now=now, reason=reasons[client_id])
        set_client_state(tenant, client_id, state="suspended", on=today_of(tenant, now), actor=actor)
    if suspended:
        # Its jobs are looked at anew by a transaction of its own: their clocks come before that of the client in the
        # order of locks. Should that one be lost, their heartbeat does it within a day.
        transaction.on_commit(partial(settings_changed, tenant, now=now), robust=True)
