"""What people do to several ticked incidents at once: take in hand, put off, take over, close with a reason.

Those beyond reach, and those that closed meanwhile, are passed over; each of the others gets its own event and audit
entry.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from alerts import acting
from alerts.queries import incidents_within
from alerts.wording import count_words
from msp.dashboard.scope import Refused, StaffRequest, staff_action
from msp.dashboard.typing_in import free_text
from msp.dashboard.until import moment_chosen
from msp.dashboard.views.incidents import safe_back

MOST = 200


@staff_action
def act_on_ticked(request: StaffRequest) -> HttpResponse:
    """Do what the pressed button says to all ticked incidents."""
    pressed = "snooze" if request.POST.get("until") else request.POST.get("do", "")
    if pressed not in ACTIONS:
        raise Refused("Choose what is to be done with the ticked incidents.")
    make, done = ACTIONS[pressed]
    try:
        action = make(request)
    except acting.CannotAct as refusal:
        raise Refused(str(refusal)) from refusal
    reachable = incidents_within(request.scope.reach).filter(uid__in=ticked(request)).values_list("uid", flat=True)
    number = acting.act_on_several(request.scope.tenant, list(reachable), action)
    messages.success(request, f"{count_words(number, 'incident')} {done}.")
    return redirect(safe_back(request, "incidents"))


def ticked(request: StaffRequest) -> list[uuid.UUID]:
    """The ids of the ticked rows; at most 200, what is no id is passed over."""
    uids = []
    for typed in request.POST.getlist("item")[:MOST]:
        try:
            uids.append(uuid.UUID(typed))
        except ValueError:
            continue
    return uids


def _acknowledging(request: StaffRequest) -> acting.Action:
    return acting.acknowledging(
        actor=request.scope.actor, note=free_text(request.POST, "note", most=2000), now=request.now
    )


def _snoozing(request: StaffRequest) -> acting.Action:
    until = moment_chosen(request.POST.get("until", ""), now=request.now, zone=request.scope.tenant.timezone)
    if until is None:
        raise acting.CannotAct("Choose until when they are put off.")
    return acting.snoozing(
        actor=request.scope.actor, until=until, note=free_text(request.POST, "note", most=2000), now=request.now
    )


def _taking(request: StaffRequest) -> acting.Action:
    return acting.assigning(request.membership, actor=request.scope.actor, now=request.now)


def _closing(request: StaffRequest) -> acting.Action:
    return acting.closing(actor=request.scope.actor, reason=free_text(request.POST, "note", most=2000), now=request.now)


#: By the name of the button: what is done, and what the message says.
ACTIONS: Mapping[str, tuple[Callable[[StaffRequest], acting.Action], str]] = {
    "acknowledge": (_acknowledging, "acknowledged"),
    "snooze": (_snoozing, "put off"),
    "take": (_taking, "assigned to you"),
    "close": (_closing, "closed"),
}
