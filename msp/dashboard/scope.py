"""Who looks, and what they may see and do: every staff page begins here.

``staff_page`` wraps a view: it sends strangers to the login, puts ``Scope`` and the moment on the request, shows times
in the tenant's zone, and turns a ``Refused`` into a sentence on a page. Views pass ``scope.reach`` to every query; that
is what keeps a reseller to its own clients.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from msp.estate.queries import Reach
from msp.tenants.models import Membership, Tenant

T = TypeVar("T")

WRITERS = frozenset({"owner", "technician"})
MONEY = frozenset({"owner", "billing"})


class Refused(Exception):
    """A request is understood and turned down; ``sentence`` tells the person why, ``status`` is 403, 404 or 409."""

    def __init__(self, sentence: str, *, status: int = 409) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status


@dataclass(frozen=True)
class Scope:
    """What one person may see and do in one tenant. ``reseller_ids`` None: all clients of the tenant."""

    tenant: Tenant
    role: str
    actor: str
    actor_id: int
    reseller_ids: frozenset[int] | None
    may_write: bool
    may_see_money: bool
    may_configure: bool

    @property
    def reach(self) -> Reach:
        """What queries narrow their rows by."""
        return Reach(self.tenant.pk, self.reseller_ids)

    @property
    def whole_tenant(self) -> bool:
        """Whether the inbox and other things without a client may be seen."""
        return self.reseller_ids is None


class StaffRequest(HttpRequest):
    """What a view under ``staff_page`` gets."""

    scope: Scope
    now: datetime
    membership: Membership
    htmx: Any


StaffView = Callable[..., HttpResponse]


def scope_of(membership: Membership) -> Scope:
    """The rights that follow from a role."""
    return Scope(
        tenant=membership.tenant,
        role=membership.role,
        actor=membership.user.email,
        actor_id=membership.user_id,
        reseller_ids=None if membership.reseller_id is None else frozenset({membership.reseller_id}),
        may_write=membership.role in WRITERS,
        may_see_money=membership.role in MONEY,
        may_configure=membership.role == "owner",
    )


def staff_page(view: StaffView) -> StaffView:
    """A page for people who are logged in and belong to a tenant."""

    @login_required
    @never_cache
    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **values: Any) -> HttpResponse:
        membership: Membership | None = getattr(request, "membership", None)
        if membership is None:
            return redirect("no-tenant")
        staff = cast("StaffRequest", request)
        staff.scope, staff.now = scope_of(membership), timezone.now()
        with timezone.override(staff.scope.tenant.timezone):
            try:
                return view(staff, *args, **values)
            except Refused as refused:
                return show_refusal(request, refused)

    return wrapped


def staff_action(view: StaffView) -> StaffView:
    """A change: POST only, by people who may write."""

    @functools.wraps(view)
    def wrapped(request: StaffRequest, *args: Any, **values: Any) -> HttpResponse:
        if not request.scope.may_write:
            raise Refused("Your role may look at this but not change it.", status=403)
        return view(request, *args, **values)

    return require_POST(staff_page(wrapped))


def found(thing: T | None, what: str) -> T:
    """The thing, or a page that says it is not there; what lies beyond one's reach is not there either."""
    if thing is None:
        raise Refused(f"There is no such {what}, or it is not yours to see.", status=404)
    return thing


def show_refusal(request: HttpRequest, refused: Refused) -> HttpResponse:
    """The sentence on a page, or alone when htmx asked."""
    template = "parts/refusal.html" if getattr(request, "htmx", False) else f"{refused.status}.html"
    return render(request, template, {"sentence": refused.sentence}, status=refused.status)
