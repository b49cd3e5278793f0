"""The portal's door: a page for whoever came in by a link that is still good.

The link's uid is kept in the session; every page looks again. Like ``scope`` for the staff, this reads the clock.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from billing.models import PortalLink
from billing.portal import good_link, open_by_key
from billing.refusals import NotFound

SESSION_LINK = "portal"
OVER = "This link is not good any more, or never was. Ask whoever sends your invoices for a new one."


class PortalRequest(HttpRequest):
    """What a page of the portal gets."""

    link: PortalLink
    now: datetime


def come_in(request: HttpRequest, key: str) -> bool:
    """Keep the link of this key in a session of its own, if it is good."""
    link = open_by_key(key, now=timezone.now())
    if link is None:
        return False
    request.session.cycle_key()
    request.session[SESSION_LINK] = [link.tenant_id, str(link.uid)]
    return True


def portal_page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A page for whoever came in by a link that is still good, in the tenant's time zone."""

    @never_cache
    @functools.wraps(view)
    def wrapped(request: HttpRequest, **values: object) -> HttpResponse:
        tenant_id, uid = request.session.get(SESSION_LINK, (0, ""))
        now = timezone.now()
        link = good_link(tenant_id, uuid.UUID(uid), now=now) if uid else None
        if link is None:
            return show_over(request)
        request.link, request.now = link, now  # type: ignore[attr-defined]
        with timezone.override(link.tenant.timezone):
            try:
                return view(request, **values)
            except NotFound as missing:
                return show_page(request, "portal/missing.html", {"reason": missing.reason}, status=404)

    return wrapped


def show_page(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """With what every page of the portal has; links that lead to pages of the staff are left out by ``portal``."""
    link: PortalLink = request.link  # type: ignore[attr-defined]
    pages = {"contract_page": "portal-size-contract", "document_page": "portal-document"}
    shared = {"portal": True, "link": link, "now": request.now}  # type: ignore[attr-defined]
    return render(request, template, pages | shared | context, status=status)


def show_over(request: HttpRequest) -> HttpResponse:
    return render(request, "portal/over.html", {"reason": OVER}, status=404)
