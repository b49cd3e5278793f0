"""One errand of delivery: everything that a call about a ticket needs, read in one go before any call.

``alerts.delivering`` makes the calls, ``alerts.confirming`` writes down what the other system confirmed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings

from alerts.answer_routes import values_for_mail
from alerts.card_loading import load_cards
from alerts.models import ClientCompany, Destination, Ticket, TicketUpdate
from alerts.routing import SHARED
from alerts.ticketing import SOLVED
from alerts.wording_templates import load_templates, note_failures
from alerts.words.cards import Update
from alerts.words.languages import language_of
from alerts.words.letters import update_letter
from alerts.words.templates import choose_template, word_opening
from integrations.configuration import config_from_json
from integrations.recording import Recorder
from integrations.tickets import GATEWAYS
from integrations.tickets.contract import Call, Gateway, Thread, TicketText
from msp.outbox import lanes
from msp.outbox.lanes import Claim


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
    record: Recorder = field(default_factory=Recorder)

    def call(self, *, action: str, now: datetime) -> Call:
        """The idempotency key names the ticket, the action and how far it tells: a repeat has the same."""
        return Call(
            now=now,
            deadline_seconds=lanes.CALL_DEADLINE.total_seconds(),
            idempotency_key=f"{self.ticket.reference}.{action}.{self.last_seq}",
            allow_private=self.allow_private,
            record=self.record,
        )

    @property
    def thread(self) -> Thread:
        values = {**self.ticket.thread, **values_for_mail(self.ticket, self.config)}
        return Thread(reference=self.ticket.reference, external_id=self.ticket.external_id, values=values)


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


def company_of(ticket: Ticket) -> str:
    """The id that the ticket system has for the ticket's client; "" where nobody has said which."""
    chosen = ClientCompany.objects.of(ticket.tenant_id).filter(
        destination=ticket.destination_id, client=ticket.client_id
    )
    return chosen.values_list("company_id", flat=True).first() or ""


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


def opening(errand: Errand, *, now: datetime) -> TicketText:
    """The first message: every problem that is still there, in the words of the template that holds. One that cannot
    be used is noted with the destination.
    """
    ticket, language = errand.ticket, language_of(errand.ticket.language)
    cards = {update.card.uid: update.card for update in errand.updates if update.card is not None}
    before = ticket.thread.get("before")
    templates = () if ticket.group_key == SHARED else load_templates(ticket.tenant_id)
    worded = word_opening(
        choose_template(templates, route_id=ticket.route_id, language=language.code),
        [card for card in cards.values() if card.is_open],
        subject=ticket.subject,
        reference=ticket.reference,
        language=language,
        base_url=settings.BACKLEDGER.base_url,
        opening=language.say("continues", ticket=before) if before else "",
    )
    if worded.failures:
        note_failures(ticket.tenant_id, {ticket.destination_id: " ".join(worded.failures)}, now=now)
    return TicketText(subject=worded.subject, body=worded.letter.text, html=worded.letter.html)


def letter(errand: Errand) -> TicketText:
    """A further message, or the last."""
    base_url = settings.BACKLEDGER.base_url
    told = update_letter(errand.updates, language=language_of(errand.ticket.language), base_url=base_url, solved=SOLVED)
    return TicketText(subject=errand.ticket.subject, body=told.text, html=told.html)
