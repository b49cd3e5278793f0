"""Delivers tickets: makes the call that a claimed lane is due, outside any transaction, and settles.

What is told is the difference between the wanted and the confirmed state, so an outage collapses to what is still true.
A creation whose answer was lost is never simply repeated: the ticket is looked up by our reference first, and where the
system cannot be searched a person decides. What was confirmed is written by ``alerts.confirming``.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from alerts import failing, pacing
from alerts.answer_routes import values_for_mail
from alerts.confirming import confirm_created, confirm_told
from alerts.errands import (
    Errand,
    company_of,
    letter,
    may_have_closed,
    next_sequence,
    opening,
    read_errand,
    tickets_of,
)
from alerts.models import Ticket
from alerts.ticket_calls import keep_sent
from alerts.ticketing import new_reference
from integrations.configuration import BadConfig
from integrations.errors import DeliveryFailure, OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.tickets.contract import NewTicket, Priority
from msp.outbox import lanes
from msp.outbox.lanes import Claim

PRIORITIES: dict[str, Priority] = {"info": "low", "warning": "normal", "critical": "high"}

#: What has a ticket that people closed there opened again: its problem lasts, or another one has joined it.
PERSISTING = frozenset({"persists", "joined"})

#: A paused or switched-off destination is looked at again after this long.
PAUSE = timedelta(minutes=15)

#: A creation may still be under way in a system that was slow or stood still: that a ticket is not there is believed
#: when a search says so again, this much after the first that did.
UNDER_WAY = timedelta(minutes=1)


def deliver_ticket(claim: Claim, *, now: datetime, allow_private: bool | None = None) -> None:
    """Deliver one claimed lane and settle it; never raises for what the other system does.

    ``allow_private`` None leaves it to the settings; the demonstration says True for a desk of its own on this machine.
    """
    try:
        errand = read_errand(claim, allow_private=allow_private)
    except BadConfig as error:
        give_up(claim, reason=f"The destination's settings cannot work: {error}.", now=now)
        return
    action = choose_action(errand)
    if is_held_back(errand, action, now=now):
        reason = errand.destination.pause_reason or "The destination is switched off."
        again = failing.PROBE_EVERY if failing.is_paused_by_itself(errand.destination) else PAUSE
        lanes.settle_later(claim, now=now, reason=reason, retry_after=again.total_seconds(), unknown=claim.unknown)
        return
    wait = pacing.take(errand.destination, action, now=now) if action in pacing.COSTS else None
    if wait is not None:
        lanes.settle_wait(claim, now=now, until=now + wait)
        pacing.queue_waiting(errand.destination, after=wait, now=now)
        return
    if action == "close" and may_have_closed(errand):
        settle_unknown(errand, action=action, reason="The worker ended while it closed the ticket.", now=now)
        return
    try:
        act(errand, action, now=now)
    except TemporaryFailure as failure:
        lanes.note_attempt(claim, action=action, outcome="temporary", detail=failure.reason, now=now)
        lanes.settle_later(
            claim, now=now, reason=failure.reason, retry_after=failure.retry_after, unknown=claim.unknown
        )
        spare(errand, reason=failure.reason, now=now)
    except PermanentFailure as failure:
        lanes.note_attempt(claim, action=action, outcome="permanent", detail=failure.reason, now=now)
        refuse(errand, reason=failure.reason, now=now)
    except OutcomeUnknown as failure:
        lanes.note_attempt(claim, action=action, outcome="unknown", detail=failure.reason, now=now)
        settle_unknown(errand, action=action, reason=failure.reason, now=now)
        spare(errand, reason=failure.reason, now=now)
    finally:
        keep_sent(errand.ticket, errand.record, action=action, now=now)


def act(errand: Errand, action: str, *, now: datetime) -> None:
    """Make the call. No reason for its failure holds a secret, whatever the other system gave as its words."""
    try:
        ACTIONS[action](errand, now=now)
    except DeliveryFailure as failure:
        failure.reason = errand.record.without_secrets(failure.reason)
        raise


def is_held_back(errand: Errand, action: str, *, now: datetime) -> bool:
    """Whether its destination takes nothing now. One that paused itself is tried with a ticket now and then."""
    destination = errand.destination
    if destination.paused_at is None and destination.enabled:
        return False
    return action not in pacing.COSTS or not failing.take_probe(destination, now=now)


def spare(errand: Errand, *, reason: str, now: datetime) -> None:
    """A destination that hangs or fails is left alone for a moment, so that its other tickets, each waiting for its
    own deadline, do not keep the workers from everybody else's; one that keeps failing is paused.
    """
    tickets = Ticket.objects.of(errand.claim.tenant_id).filter(destination=errand.destination.pk)
    lanes.put_off(errand.claim.tenant_id, "ticket", tickets.values("pk"), now=now)
    failing.note_failure(errand.destination, reason=reason, now=now)


def refuse(errand: Errand, *, reason: str, now: datetime) -> None:
    """Repeating does not help, unless all tickets are refused alike: by a destination that has paused itself."""
    if failing.is_paused_by_itself(errand.destination):
        again = failing.PROBE_EVERY.total_seconds()
        lanes.settle_later(errand.claim, now=now, reason=reason, retry_after=again, unknown=errand.claim.unknown)
        return
    give_up(errand.claim, reason=reason, unknown=errand.claim.unknown, now=now)
    failing.note_failure(errand.destination, reason=reason, now=now)


def give_up(claim: Claim, *, reason: str, unknown: bool = False, now: datetime) -> None:
    """Only a person can help: it is shown, mailed, and an incident of the destination."""
    with transaction.atomic():
        if lanes.settle_stuck(claim, now=now, reason=reason, unknown=unknown):
            failing.note_refusal(claim.tenant_id, claim.object_id, now=now)


def settle_unknown(errand: Errand, *, action: str, reason: str, now: datetime) -> None:
    """The call may have worked. A creation is looked up. A comment is repeated with the same id: told twice is better
    than a problem that nobody heard of. A closing is repeated only where the system can be asked, since a second
    closing mail may open the ticket again: elsewhere a person looks.
    """
    if action == "close" and errand.gateway.find_after(errand.config) is None:
        give_up(errand.claim, reason=f"{reason} Look whether the ticket is closed.", unknown=True, now=now)
    else:
        lanes.settle_later(errand.claim, now=now, reason=reason, unknown=True)


def choose_action(errand: Errand) -> str:
    """The one call that brings the other system nearer to what is wanted."""
    ticket = errand.ticket
    is_wanted = ticket.wanted_state == "open"
    if ticket.confirmed_state == "none" and ticket.create_attempted_at is None and not is_wanted:
        return "forget"
    if errand.destination.dry_run:
        return "dry_run"
    if ticket.confirmed_state == "none":
        return "create" if ticket.create_attempted_at is None else "find"
    if ticket.confirmed_state == "closed" and is_wanted and any(one.kind in PERSISTING for one in errand.updates):
        return "reopen" if can_reopen(errand) else "renew"
    if ticket.confirmed_state == "closed" or (is_wanted and not errand.updates):
        return "agree"
    return "comment" if is_wanted else "close"


# --- actions -----------------------------------------------------------------------------------------------------


def create(errand: Errand, *, now: datetime) -> None:
    """Open the ticket there. That we try is stored first: should the answer be lost, it is looked up, not repeated."""
    if not lanes.extend(errand.claim, now=now):
        return
    ticket = errand.ticket
    thread = {**ticket.thread, "attempted": str(errand.last_seq)}
    thread.pop("missed_at", None)
    tickets_of(errand).update(create_attempted_at=now, thread=thread)
    new = NewTicket(
        reference=ticket.reference,
        text=opening(errand, now=now),
        priority=PRIORITIES[ticket.severity],
        client=ticket.client.name if ticket.client else "",
        company=company_of(ticket),
        values={
            "client_code": ticket.client.code if ticket.client else "",
            **values_for_mail(ticket, errand.config),
        },
    )
    try:
        created = errand.gateway.create(errand.config, new, call=errand.call(action="create", now=now))
    except (TemporaryFailure, PermanentFailure):
        tickets_of(errand).filter(create_attempted_at=now).update(create_attempted_at=None)
        raise
    confirm_created(errand, created, outcome="done", now=now)


def find(errand: Errand, *, now: datetime) -> None:
    """After a creation whose outcome is unknown: look it up by our reference, as soon as the search tells the truth."""
    wait = errand.gateway.find_after(errand.config)
    attempted_at = errand.ticket.create_attempted_at or now
    if wait is None:
        reason = (
            "The ticket may or may not have been created, and this destination cannot be searched: look for "
            f"{errand.ticket.reference} there, then say here whether it exists."
        )
        give_up(errand.claim, reason=reason, unknown=True, now=now)
        return
    earliest = max(attempted_at + wait, UNDER_WAY + (missed_at(errand) or attempted_at))
    if now < earliest:
        seconds = (earliest - now).total_seconds()
        lanes.settle_later(
            errand.claim, now=now, reason="Waiting until a search can tell.", retry_after=seconds, unknown=True
        )
        return
    found = errand.gateway.find(errand.config, errand.ticket.reference, call=errand.call(action="find", now=now))
    if found is not None:
        confirm_created(errand, found, outcome="found", now=now)
    else:
        note_missing(errand, now=now)


def missed_at(errand: Errand) -> datetime | None:
    """When a search first did not find the ticket whose creation is in doubt."""
    stored = errand.ticket.thread.get("missed_at")
    return None if stored is None else datetime.fromisoformat(stored)


def note_missing(errand: Errand, *, now: datetime) -> None:
    """Once it was missed twice it may be created again. A worker that is late changes nothing of a newer attempt."""
    lanes.note_attempt(errand.claim, action="find", outcome="done", detail="It does not exist there.", now=now)
    rows = tickets_of(errand).filter(create_attempted_at=errand.ticket.create_attempted_at)
    if missed_at(errand) is None:
        rows.update(thread={**errand.ticket.thread, "missed_at": now.isoformat()})
        reason = "It is not there; looking once more before it is created again."
        lanes.settle_later(errand.claim, now=now, reason=reason, retry_after=UNDER_WAY.total_seconds(), unknown=True)
    else:
        rows.update(create_attempted_at=None)
        lanes.settle_later(errand.claim, now=now, reason="", retry_after=1)


def comment(errand: Errand, *, now: datetime) -> None:
    if not lanes.extend(errand.claim, now=now):
        return
    sequence = next_sequence(errand)
    errand.gateway.comment(
        errand.config, errand.thread, letter(errand), sequence=sequence, call=errand.call(action="comment", now=now)
    )
    confirm_told(errand, action="comment", now=now, thread={**errand.ticket.thread, "sequence": str(sequence)})


def can_reopen(errand: Errand) -> bool:
    """Whether the same ticket is to be opened again; else a new one follows it."""
    is_asked = errand.destination.on_persist != "new" and errand.ticket.gone_at is None
    return is_asked and "reopen" in errand.gateway.abilities(errand.config)


def reopen(errand: Errand, *, now: datetime) -> None:
    """People closed it there and the problem lasts: open it again and say so. A ticket that is closed for good is
    followed by a new one.
    """
    if not lanes.extend(errand.claim, now=now):
        return
    sequence = next_sequence(errand)
    call = errand.call(action="reopen", now=now)
    try:
        errand.gateway.reopen(errand.config, errand.thread, letter(errand), sequence=sequence, call=call)
    except PermanentFailure as failure:
        reason = errand.record.without_secrets(failure.reason)
        lanes.note_attempt(errand.claim, action="reopen", outcome="permanent", detail=reason, now=now)
        renew(errand, now=now)
        return
    thread = {**errand.ticket.thread, "sequence": str(sequence)}
    confirm_told(errand, action="reopen", now=now, confirmed_state="open", thread=thread)


def renew(errand: Errand, *, now: datetime) -> None:
    """The old ticket stays closed; a new one is opened under a reference of its own and names the old one."""
    ticket = errand.ticket
    with transaction.atomic():
        tickets_of(errand).update(
            reference=new_reference(),
            confirmed_state="none",
            external_id="",
            external_url="",
            create_attempted_at=None,
            their_status="",
            their_assignee="",
            their_number="",
            gone_at=None,
            check_after=None,
            thread={"before": ticket.external_id},
        )
        detail = f"A new ticket follows {ticket.external_id}."
        lanes.note_attempt(errand.claim, action="renew", outcome="done", detail=detail, now=now)
        lanes.settle_again(errand.claim, now=now)


def close(errand: Errand, *, now: datetime) -> None:
    """The final words and the closing, the last call of a ticket: a message after it would open the ticket again.

    That we try is stored first, so that a worker which dies in the call leaves a trace.
    """
    if not lanes.extend(errand.claim, now=now):
        return
    sequence = next_sequence(errand)
    tickets_of(errand).update(thread={**errand.ticket.thread, "closing": str(sequence)})
    try:
        errand.gateway.close(
            errand.config, errand.thread, letter(errand), sequence=sequence, call=errand.call(action="close", now=now)
        )
    except (TemporaryFailure, PermanentFailure):
        tickets_of(errand).update(thread=errand.ticket.thread)
        raise
    confirm_told(
        errand,
        action="close",
        now=now,
        confirmed_state="closed",
        thread={**errand.ticket.thread, "sequence": str(sequence)},
    )


def forget(errand: Errand, *, now: datetime) -> None:
    """The problem ended before anybody was told: nothing to tell any more."""
    with transaction.atomic():
        tickets_of(errand).update(told_seq=errand.last_seq, confirmed_state="closed")
        lanes.note_attempt(
            errand.claim, action="forget", outcome="done", detail="Solved before it was told; nothing sent.", now=now
        )
        lanes.settle_done(errand.claim, now=now)


def agree(errand: Errand, *, now: datetime) -> None:
    """Nothing differs any more."""
    lanes.settle_done(errand.claim, now=now)


def dry_run(errand: Errand, *, now: datetime) -> None:
    """The destination only shows what it would do. Nobody counts as told, and the lane stays out of step: once the
    destination is in earnest, what is still true is told.
    """
    ticket = errand.ticket
    would = "close" if ticket.wanted_state == "closed" else "open or update"
    detail = f"Would {would} {ticket.reference}: {ticket.subject}"
    with transaction.atomic():
        if errand.claim.attempts == 0:
            lanes.note_attempt(errand.claim, action="dry run", outcome="done", detail=detail, now=now)
        seconds = PAUSE.total_seconds()
        lanes.settle_later(errand.claim, now=now, reason=f"Dry run. {detail}", retry_after=seconds)


ACTIONS = {
    "create": create,
    "find": find,
    "comment": comment,
    "close": close,
    "reopen": reopen,
    "renew": renew,
    "forget": forget,
    "agree": agree,
    "dry_run": dry_run,
}
