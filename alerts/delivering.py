"""Delivers tickets: claims their lanes, makes the calls outside any transaction, settles.

What is told is the difference between the wanted and the confirmed state, so an outage collapses to what is still true.
A creation whose answer was lost is never simply repeated: the ticket is looked up by our reference first, and where the
system cannot be searched a person decides. ``told_at`` of incidents is set by a confirmed delivery only.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from alerts import pacing
from alerts.letters import Update, first_letter, update_letter
from alerts.looking import first_look_after
from alerts.models import ClientCompany, Destination, Incident, Ticket, TicketUpdate
from alerts.ticketing import SOLVED, load_cards, new_reference
from integrations.configuration import BadConfig, config_from_json
from integrations.errors import OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.tickets import GATEWAYS
from integrations.tickets.contract import Call, Created, Gateway, NewTicket, Priority, Thread, TicketText
from msp.outbox import lanes
from msp.outbox.lanes import Claim

PRIORITIES: dict[str, Priority] = {"info": "low", "warning": "normal", "critical": "high"}

#: What has a ticket that people closed there opened again: its problem lasts, or another one has joined it.
PERSISTING = frozenset({"persists", "joined"})

#: A paused or switched-off destination is looked at again after this long.
PAUSE = timedelta(minutes=15)


@dataclass(frozen=True)
class Errand:
    """Everything one delivery needs, read in one go before any call. ``incidents``: (number of the update, id)."""

    claim: Claim
    ticket: Ticket
    destination: Destination
    gateway: Gateway
    config: Any
    updates: tuple[Update, ...]
    incidents: tuple[tuple[int, int], ...]
    last_seq: int
    allow_private: bool

    def call(self, *, action: str, now: datetime) -> Call:
        """The idempotency key names the ticket, the action and how far it tells: a repeat has the same."""
        return Call(
            now=now,
            deadline_seconds=lanes.CALL_DEADLINE.total_seconds(),
            idempotency_key=f"{self.ticket.reference}.{action}.{self.last_seq}",
            allow_private=self.allow_private,
        )

    @property
    def thread(self) -> Thread:
        return Thread(reference=self.ticket.reference, external_id=self.ticket.external_id, values=self.ticket.thread)


def deliver_ticket(claim: Claim, *, now: datetime, allow_private: bool | None = None) -> None:
    """Deliver one claimed lane and settle it; never raises for what the other system does.

    ``allow_private`` None leaves it to the settings; the demonstration says True for a desk of its own on this machine.
    """
    try:
        errand = read_errand(claim, allow_private=allow_private)
    except BadConfig as error:
        lanes.settle_stuck(claim, now=now, reason=f"The destination's settings cannot work: {error}.")
        return
    if errand.destination.paused_at is not None or not errand.destination.enabled:
        reason = errand.destination.pause_reason or "The destination is switched off."
        lanes.settle_later(claim, now=now, reason=reason, retry_after=PAUSE.total_seconds(), unknown=claim.unknown)
        return
    action = choose_action(errand)
    wait = pacing.take(errand.destination, action, now=now) if action in pacing.COSTS else None
    if wait is not None:
        lanes.settle_wait(claim, now=now, until=now + wait)
        pacing.queue_waiting(errand.destination, after=wait, now=now)
        return
    if action == "close" and may_have_closed(errand):
        settle_unknown(errand, action=action, reason="The worker ended while it closed the ticket.", now=now)
        return
    try:
        ACTIONS[action](errand, now=now)
    except TemporaryFailure as failure:
        lanes.note_attempt(claim, action=action, outcome="temporary", detail=failure.reason, now=now)
        lanes.settle_later(
            claim, now=now, reason=failure.reason, retry_after=failure.retry_after, unknown=claim.unknown
        )
        spare(errand, now=now)
    except PermanentFailure as failure:
        lanes.note_attempt(claim, action=action, outcome="permanent", detail=failure.reason, now=now)
        lanes.settle_stuck(claim, now=now, reason=failure.reason, unknown=claim.unknown)
    except OutcomeUnknown as failure:
        lanes.note_attempt(claim, action=action, outcome="unknown", detail=failure.reason, now=now)
        settle_unknown(errand, action=action, reason=failure.reason, now=now)
        spare(errand, now=now)


def spare(errand: Errand, *, now: datetime) -> None:
    """A destination that hangs or fails is left alone for a moment, so that its other tickets, each waiting for its
    own deadline, do not keep the workers from everybody else's.
    """
    tickets = Ticket.objects.of(errand.claim.tenant_id).filter(destination=errand.destination.pk)
    lanes.put_off(errand.claim.tenant_id, "ticket", tickets.values("pk"), now=now)


def read_errand(claim: Claim, *, allow_private: bool | None = None) -> Errand:
    """Raises BadConfig when the destination's settings cannot be used."""
    ticket = Ticket.objects.of(claim.tenant_id).select_related("destination", "client").get(pk=claim.object_id)
    rows = list(TicketUpdate.objects.of(claim.tenant_id).filter(ticket=ticket, seq__gt=ticket.told_seq).order_by("seq"))
    incidents = tuple((row.seq, row.incident_id) for row in rows if row.incident_id is not None)
    cards = load_cards(claim.tenant_id, {incident_id for _, incident_id in incidents})
    gateway = GATEWAYS[ticket.destination.gateway]
    return Errand(
        claim=claim,
        ticket=ticket,
        destination=ticket.destination,
        gateway=gateway,
        config=config_from_json(gateway.Config, ticket.destination.config),
        updates=tuple(Update(row.kind, row.text, row.at, cards.get(row.incident_id or 0)) for row in rows),
        incidents=incidents,
        last_seq=rows[-1].seq if rows else ticket.told_seq,
        allow_private=settings.BACKLEDGER.allow_private_destinations if allow_private is None else allow_private,
    )


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
    tickets_of(errand).update(create_attempted_at=now, thread={**ticket.thread, "attempted": str(errand.last_seq)})
    cards = [update.card for update in errand.updates if update.card is not None and update.card.is_open]
    body = first_letter(list({card.uid: card for card in cards}.values()), base_url=settings.BACKLEDGER.base_url)
    if "before" in ticket.thread:
        body = f"This continues ticket {ticket.thread['before']}, which was closed there.\n\n{body}"
    new = NewTicket(
        reference=ticket.reference,
        text=TicketText(subject=ticket.subject, body=body),
        priority=PRIORITIES[ticket.severity],
        client=ticket.client.name if ticket.client else "",
        company=company_of(ticket),
        values={"client_code": ticket.client.code if ticket.client else ""},
    )
    try:
        created = errand.gateway.create(errand.config, new, call=errand.call(action="create", now=now))
    except (TemporaryFailure, PermanentFailure):
        tickets_of(errand).update(create_attempted_at=None)
        raise
    confirm_created(errand, created, outcome="done", now=now)


def company_of(ticket: Ticket) -> str:
    """The id that the ticket system has for the ticket's client; "" where nobody has said which."""
    chosen = ClientCompany.objects.of(ticket.tenant_id).filter(
        destination=ticket.destination_id, client=ticket.client_id
    )
    return chosen.values_list("company_id", flat=True).first() or ""


def find(errand: Errand, *, now: datetime) -> None:
    """After a creation whose outcome is unknown: look it up by our reference, as soon as the search tells the truth."""
    wait = errand.gateway.find_after(errand.config)
    attempted_at = errand.ticket.create_attempted_at or now
    if wait is None:
        reason = (
            "The ticket may or may not have been created, and this destination cannot be searched: look for "
            f"{errand.ticket.reference} there, then say here whether it exists."
        )
        lanes.settle_stuck(errand.claim, now=now, reason=reason, unknown=True)
        return
    if now < attempted_at + wait:
        seconds = (attempted_at + wait - now).total_seconds()
        lanes.settle_later(
            errand.claim, now=now, reason="Waiting until a search can tell.", retry_after=seconds, unknown=True
        )
        return
    found = errand.gateway.find(errand.config, errand.ticket.reference, call=errand.call(action="find", now=now))
    if found is not None:
        confirm_created(errand, found, outcome="found", now=now)
        return
    tickets_of(errand).update(create_attempted_at=None)
    lanes.note_attempt(errand.claim, action="find", outcome="done", detail="It does not exist there.", now=now)
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
        lanes.note_attempt(errand.claim, action="reopen", outcome="permanent", detail=failure.reason, now=now)
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


# --- settling ----------------------------------------------------------------------------------------------------


def confirm_created(errand: Errand, created: Created, *, outcome: str, now: datetime) -> None:
    """Store the id there; what the first message told is told. Anything newer leaves the lane out of step."""
    first_look = first_look_after(errand.ticket)
    confirm(
        errand,
        action="create",
        outcome=outcome,
        detail=created.external_id,
        told_seq=errand.last_seq if outcome == "done" else attempted_seq(errand.ticket),
        now=now,
        external_id=created.external_id,
        external_url=created.url or "",
        confirmed_state="open",
        created_there_at=now,
        check_after=None if first_look is None else now + first_look,
        thread={**errand.ticket.thread, "sequence": "0"},
    )


def attempted_seq(ticket: Ticket) -> int:
    """How far the creation told that was attempted last; at least the first update."""
    return int(ticket.thread.get("attempted", "1"))


def confirm_told(errand: Errand, *, action: str, now: datetime, **values: Any) -> None:
    confirm(
        errand,
        action=action,
        outcome="done",
        detail=errand.ticket.external_id,
        told_seq=errand.last_seq,
        now=now,
        **values,
    )


def confirm(
    errand: Errand, *, action: str, outcome: str, detail: str, told_seq: int, now: datetime, **values: Any
) -> None:
    """Write what the other system has confirmed: incidents, ticket and lane, locked in this order as everywhere.

    If the claim is lost by now, nothing is written: whoever has it looks for himself.
    """
    with transaction.atomic():
        set_told(errand, told_seq=told_seq, now=now)
        tickets_of(errand).update(told_seq=told_seq, confirmed_at=now, **values)
        lanes.note_attempt(errand.claim, action=action, outcome=outcome, detail=detail, now=now)
        if not finish(errand, told_seq=told_seq, now=now):
            transaction.set_rollback(True)


def finish(errand: Errand, *, told_seq: int, now: datetime) -> bool:
    """Settle as done when all is told; else come back at once for the rest. False when the claim is lost."""
    Destination.objects.of(errand.claim.tenant_id).filter(pk=errand.destination.pk).update(last_delivered_at=now)
    current = tickets_of(errand).values("last_seq", "wanted_state", "confirmed_state").get()
    if current["last_seq"] > told_seq or current["wanted_state"] != current["confirmed_state"]:
        return lanes.settle_again(errand.claim, now=now)
    return lanes.settle_done(errand.claim, now=now)


def set_told(errand: Errand, *, told_seq: int, now: datetime) -> None:
    told = {incident_id for seq, incident_id in errand.incidents if seq <= told_seq}
    mark_told(errand.claim.tenant_id, errand.ticket.pk, told, now=now)


def mark_told(tenant_id: int, ticket_id: int, incident_ids: Collection[int], *, now: datetime) -> None:
    """Note that these incidents were told, in the caller's transaction; locks them in order of fingerprint.

    Only those still on this ticket: one that is back belongs to another round, of which nobody has heard yet.
    """
    rows = Incident.objects.of(tenant_id).filter(pk__in=incident_ids, ticket=ticket_id)
    locked = list(rows.order_by("fingerprint").select_for_update(no_key=True).values_list("pk", flat=True))
    incidents = Incident.objects.of(tenant_id).filter(pk__in=locked)
    incidents.filter(told_at__isnull=True).update(told_at=now)
    incidents.update(last_told_at=now)
    incidents.filter(state="open").update(check_after=now)


def settle_unknown(errand: Errand, *, action: str, reason: str, now: datetime) -> None:
    """The call may have worked. A creation is looked up. A comment is repeated with the same id: told twice is better
    than a problem that nobody heard of. A closing is repeated only where the system can be asked, since a second
    closing mail may open the ticket again: elsewhere a person looks.
    """
    if action == "close" and errand.gateway.find_after(errand.config) is None:
        lanes.settle_stuck(errand.claim, now=now, reason=f"{reason} Look whether the ticket is closed.", unknown=True)
    else:
        lanes.settle_later(errand.claim, now=now, reason=reason, unknown=True)


# --- small things ------------------------------------------------------------------------------------------------


def tickets_of(errand: Errand) -> Any:
    """The ticket's row as a query, so that updates never overwrite what others changed meanwhile."""
    return Ticket.objects.of(errand.claim.tenant_id).filter(pk=errand.ticket.pk)


def may_have_closed(errand: Errand) -> bool:
    """A closing was begun, its end is not known, and the other system cannot be asked."""
    return (
        errand.claim.unknown and "closing" in errand.ticket.thread and errand.gateway.find_after(errand.config) is None
    )


def next_sequence(errand: Errand) -> int:
    return int(errand.ticket.thread.get("sequence", "0")) + 1


def letter(errand: Errand) -> TicketText:
    body = update_letter(errand.updates, base_url=settings.BACKLEDGER.base_url) or SOLVED
    return TicketText(subject=errand.ticket.subject, body=body)
