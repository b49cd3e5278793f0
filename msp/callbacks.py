"""The address that ticket systems call: ``/hooks/<key>/``, one for each destination.

A callback is proven by its gateway before anything of it is kept, is kept once, and has the tickets it names looked at;
nothing else in it is believed. What cannot be proven is refused, counted with the destination and logged. The answer
tells a stranger nothing but that.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from alerts.looking import look_soon
from alerts.models import Destination
from alerts.ticket_calls import keep_callback
from alerts.words.cards import one_line
from integrations.configuration import BadConfig, config_from_json
from integrations.errors import DeliveryFailure, PermanentFailure
from integrations.http import redact
from integrations.tickets import GATEWAYS, Call, TicketEvent, secrets_of
from msp.outbox.models import InboundEvent
from msp.tasks import wake_looking
from msp.tenants.models import LookupKey

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1_000_000
#: Whoever calls waits for the answer; only one gateway asks anything meanwhile.
SECONDS = 5.0
PATIENCE = timedelta(minutes=1)


@csrf_exempt
@require_POST
def take_callback(request: HttpRequest, key: str) -> HttpResponse:
    """202 for a proven callback, also for one that came before; 401 for one that is not proven; 404 for no such key."""
    now = datetime.now(UTC)
    found = LookupKey.objects.filter(kind="hook", value=key).first()
    row = None if found is None else Destination.objects.of(found.tenant_id).filter(pk=found.object_id).first()
    if row is None:
        return JsonResponse({"detail": "There is no such address."}, status=404)
    if int(request.headers.get("content-length") or 0) > MAX_BODY_BYTES:
        return JsonResponse({"detail": f"A callback may have {MAX_BODY_BYTES} bytes."}, status=413)
    try:
        events, secrets = prove(row, request.headers, request.body, now=now)
    except (DeliveryFailure, BadConfig) as failure:
        refuse(row, failure.reason)
        return JsonResponse({"detail": "The callback is not proven to come from the ticket system."}, status=401)
    if keep(row, events, now=now):
        wake_looking()
    verdicts = {event.external_id[:200]: told_of(event) for event in events}
    keep_callback(row, verdicts, dict(request.headers), request.body, secrets=secrets, now=now)
    return JsonResponse({"taken": len(events)}, status=202)


def told_of(event: TicketEvent) -> str:
    """What we made of a callback, for people to read."""
    status = f" It says that the ticket is now {one_line(event.status, length=100)}." if event.status else ""
    return f"Proven; the ticket is looked at.{status}"


def prove(
    row: Destination, headers: Mapping[str, str], body: bytes, *, now: datetime
) -> tuple[tuple[TicketEvent, ...], tuple[str, ...]]:
    """The events of a callback, and the secrets that must not be shown with it.

    Raises DeliveryFailure or BadConfig for one that is not proven; secrets taken out.
    """
    gateway = GATEWAYS[row.gateway]
    config = config_from_json(gateway.Config, row.config)
    call = Call(now=now, deadline_seconds=SECONDS, allow_private=settings.BACKLEDGER.allow_private_destinations)
    try:
        return gateway.read_webhook(config, dict(headers), body, call=call), secrets_of(config)
    except DeliveryFailure as failure:
        raise PermanentFailure(redact(failure.reason, secrets_of(config))) from None


def refuse(row: Destination, reason: str) -> None:
    """Count it where a person who sets callbacks up looks."""
    log.warning("a callback to destination %s of tenant %s was refused: %s", row.pk, row.tenant_id, reason)
    rows = Destination.objects.of(row.tenant_id).filter(pk=row.pk)
    rows.update(callbacks_refused=F("callbacks_refused") + 1, last_refusal=reason[:500])


def keep(row: Destination, events: tuple[TicketEvent, ...], *, now: datetime) -> int:
    """Keep each event once and have its ticket looked at. A repeat is looked at as well, but not within the minute:
    some systems send the very same bytes for two changes. Answers how many tickets of ours are due.
    """
    with transaction.atomic():
        fresh: set[str] = set()
        repeated: set[str] = set()
        for event in events:
            _, is_new = InboundEvent.objects.of(row.tenant_id).get_or_create(
                source=f"ticket:{row.pk}",
                external_id=event.event_id[:200],
                defaults={
                    "received_at": now,
                    "body": b"",
                    "state": "done",
                    "headers": {"ticket": event.external_id[:200], "status": event.status[:100]},
                },
            )
            (fresh if is_new else repeated).add(event.external_id)
        again = look_soon(row.tenant_id, row.pk, repeated, now=now, unless_within=PATIENCE)
        return look_soon(row.tenant_id, row.pk, fresh, now=now) + again
