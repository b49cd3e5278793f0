"""Which roles may open a page of money or settings, and which may change what is on it.

``needs`` wraps a view in ``staff_page`` and one of the rights below. What a role may never see is answered 404 where it
concerns other people's clients, 403 with a sentence where the page itself is known. Foreign objects are 404 by reach.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpResponse
from django.views.decorators.http import require_POST

from msp.dashboard.scope import Refused, Scope, StaffRequest, StaffView, staff_page

NOT_HERE = "There is no such page, or it is not yours to see."


@dataclass(frozen=True)
class Right:
    """``holds`` decides by the scope; otherwise ``sentence`` is shown with ``status``."""

    holds: Callable[[Scope], bool]
    sentence: str
    status: int = 403


#: Invoices as documents: the tenant's money people, and a reseller for what its own seller invoices.
INVOICES = Right(lambda scope: scope.may_see_money or not scope.whole_tenant, "Your role does not see prices.")
#: Runs, plans, subscriptions, sellers; and every change of money.
MONEY = Right(lambda scope: scope.may_see_money and scope.whole_tenant, "Your role does not see prices.")
#: Settings as read by anyone of the tenant itself.
SETTINGS = Right(lambda scope: scope.whole_tenant, NOT_HERE, status=404)
#: Operation: rules, silences, servers, clients, jobs.
OPERATE = Right(lambda scope: scope.whole_tenant and scope.may_write, "Your role may look at this but not change it.")
#: Where tickets go, who may come in, and what was changed by whom.
OWN = Right(lambda scope: scope.may_configure, "Only an owner may see and change this.")


def require(request: StaffRequest, right: Right) -> None:
    """Raises Refused unless the person has the right. A reseller's staff is told that nothing is there."""
    if right.holds(request.scope):
        return
    if not request.scope.whole_tenant:
        raise Refused(NOT_HERE, status=404)
    raise Refused(right.sentence, status=right.status)


def needs(right: Right, *, to_change: Right | None = None) -> Callable[[StaffView], StaffView]:
    """A page for those with the right; its POST needs ``to_change`` as well."""

    def wrap(view: StaffView) -> StaffView:
        @functools.wraps(view)
        def wrapped(request: StaffRequest, *args: object, **values: object) -> HttpResponse:
            require(request, right)
            if request.method == "POST" and to_change is not None:
                require(request, to_change)
            return view(request, *args, **values)

        return staff_page(wrapped)

    return wrap


def action(right: Right) -> Callable[[StaffView], StaffView]:
    """A change: POST only, for those with the right."""
    return lambda view: require_POST(needs(right)(view))
