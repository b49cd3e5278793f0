"""Tickets: what we want them to be, what the other system has confirmed, and every call that was made."""

from __future__ import annotations

import uuid
from dataclasses import replace

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from alerts import sending_again
from alerts.call_queries import read_calls
from alerts.desk_queries import read_their_side
from alerts.queries import find_ticket, list_tickets
from alerts.tickets_by_hand import answer_unknown
from integrations.errors import PermanentFailure
from msp.dashboard.paging import asked_page
from msp.dashboard.scope import Refused, StaffRequest, found, staff_action, staff_page
from msp.dashboard.typing_in import free_text

PAGE = 50
SENT_AGAIN = {
    "free": "The ticket is tried again now.",
    "hurry": "The ticket is tried now.",
    "repeat": "The last words are said once more, in the same ticket.",
}
STANDINGS = (("", "Open"), ("untold", "Out of step"), ("stuck", "Stuck"), ("closed", "Closed"), ("all", "All"))


@staff_page
def list_all(request: StaffRequest) -> HttpResponse:
    """Tickets by standing."""
    page, standing = asked_page(request, size=PAGE), request.GET.get("standing", "")
    text = free_text(request.GET, "text", most=100)
    tickets = list_tickets(request.scope.reach, standing=standing, text=text, limit=page.size, offset=page.offset)
    context = {
        "tickets": tickets,
        "page": replace(page, total=tickets.total),
        "standing": standing if standing in dict(STANDINGS) else "all",
        "standings": STANDINGS,
        "text": text,
    }
    return render(request, "tickets.html", context)


@staff_page
def show_ticket(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """One ticket with its updates, its calls and its incidents."""
    ticket = found(find_ticket(request.scope.reach, uid, now=request.now), "ticket")
    reach = request.scope.reach
    context = {
        "ticket": ticket,
        "there": read_their_side(reach, ticket.row.id),
        "calls": read_calls(reach, ticket.row.id),
    }
    return render(request, "ticket.html", context)


@staff_action
def say_whether_it_exists(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """A call's answer was lost and the other system cannot be searched: a person looked and says what is there."""
    ticket = found(find_ticket(request.scope.reach, uid, now=request.now), "ticket").row
    if not ticket.stuck or not ticket.unknown:
        raise Refused("Nothing is unknown about this ticket any more.")
    exists, external_id = request.POST.get("exists") == "yes", free_text(request.POST, "external_id", most=200)
    try:
        answer_unknown(
            request.scope.tenant,
            str(uid),
            exists=exists,
            external_id=external_id,
            actor=request.scope.actor,
            now=request.now,
        )
    except PermanentFailure as failure:
        raise Refused(failure.reason) from failure
    messages.success(request, "Noted: delivery goes on from there.")
    return redirect("ticket", uid)


@staff_action
def send_again(request: StaffRequest, uid: uuid.UUID) -> HttpResponse:
    """Tries a stuck or waiting ticket now; once confirmed, repeats the last words of one that was told everything."""
    ticket = found(find_ticket(request.scope.reach, uid, now=request.now), "ticket").row
    seen = request.POST.get("seen", "")
    try:
        way = sending_again.send_again(
            request.scope.tenant,
            ticket.id,
            seen_seq=int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 10 else None,
            actor=request.scope.actor,
            actor_id=request.scope.actor_id,
            now=request.now,
        )
    except sending_again.NotNow as refusal:
        raise Refused(str(refusal)) from refusal
    messages.success(request, SENT_AGAIN[way])
    return redirect("ticket", uid)
