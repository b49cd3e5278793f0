"""The address that Stripe calls: ``/hooks/stripe/<key>/``, one for each seller.

A callback is kept once if Stripe signed it for this seller within five minutes; it only has the invoice looked at
again. What is not signed is refused, counted with the seller and logged; the answer tells a stranger nothing but that.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing.callback_addresses import seller_at
from billing.collecting import receive_stripe_event
from billing.models import Seller
from integrations.errors import PermanentFailure
from msp.tasks import wake_delivery

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1_000_000


@csrf_exempt
@require_POST
def take_stripe_callback(request: HttpRequest, key: str) -> HttpResponse:
    """200 for a signed callback, also for one that came before; 401 for another; 404 for no such key."""
    seller = seller_at(key)
    if seller is None:
        return JsonResponse({"detail": "There is no such address."}, status=404)
    if int(request.headers.get("content-length") or 0) > MAX_BODY_BYTES:
        return JsonResponse({"detail": f"A callback may have {MAX_BODY_BYTES} bytes."}, status=413)
    now = datetime.now(UTC)
    try:
        ours = receive_stripe_event(seller.tenant, seller, request.headers, request.body, now=now)
    except PermanentFailure as failure:
        refuse(seller, failure.reason)
        return JsonResponse({"detail": "The callback is not proven to come from Stripe."}, status=401)
    if ours:
        wake_delivery()
    return JsonResponse({"taken": True})


def refuse(seller: Seller, reason: str) -> None:
    """Count it where a person who sets Stripe up looks."""
    log.warning("a callback to seller %s of tenant %s was refused: %s", seller.pk, seller.tenant_id, reason)
    rows = Seller.objects.of(seller.tenant_id).filter(pk=seller.pk)
    rows.update(callbacks_refused=F("callbacks_refused") + 1, last_refusal=reason[:500])
