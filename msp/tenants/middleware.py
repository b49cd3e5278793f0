"""Finds the membership of whoever is logged in, once a request; every staff page reads ``request.membership``."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from msp.tenants.models import Membership

SESSION_TENANT = "tenant"


class MembershipMiddleware:
    """Sets ``request.membership``: of the tenant chosen in the session, else the first; None when logged out."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.membership = find_membership(request)  # type: ignore[attr-defined]
        return self.get_response(request)


def find_membership(request: HttpRequest) -> Membership | None:
    """The membership this request acts under; a suspended tenant gives none."""
    if not request.user.is_authenticated:
        return None
    memberships = (
        Membership.unwalled.filter(user_id=request.user.pk, tenant__state="active")
        .select_related("tenant", "reseller", "user")
        .order_by("id")
    )
    chosen = request.session.get(SESSION_TENANT)
    found = memberships.filter(tenant_id=chosen).first() if chosen else None
    result: Membership | None = found or memberships.first()
    return result
