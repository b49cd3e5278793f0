"""osTicket: tickets by its API, which can do no more than open them and take mails.

A further message is a mail from the submitter that names the ticket's number, handed to the API instead of a mail
server; osTicket puts it into the thread. Its API closes nothing and finds nothing: the last words say that the problem
is over, people close the ticket, and a creation whose answer was lost waits for a person. Sources: osTicket's
documentation "HTTP POST ticket creation" and "E-mail piping", and its source's reading of mails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any, Final

from integrations.configuration import BadConfig, secrets_of, setting
from integrations.errors import DeliveryFailure, OutcomeUnknown, PermanentFailure
from integrations.tickets.contract import (
    Ability,
    Call,
    Choice,
    Company,
    Created,
    NewTicket,
    Reference,
    Standing,
    Thread,
    TicketEvent,
    TicketText,
)
from integrations.tickets.json_api import Api, check_address, one_line, open_text_problem

LABEL: Final = "osTicket"
#: Nothing limits calls by default; one every two seconds is a guest's share of a small PHP site.
CALLS_PER_MINUTE: Final = 30
VERIFIED: Final = ""
MAX_SUBJECT: Final = 200
_NUMBER: Final = re.compile(rb"\s*\"?([A-Za-z0-9-]{1,30})\"?\s*")
_ADDRESS: Final = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,200}")


@dataclass(frozen=True)
class Config:
    """One osTicket, and as whom tickets are opened in it."""

    url: str = setting("Address", help="Where its first page is, such as https://support.example.com")
    api_key: str = setting("API key", secret=True, help="It belongs to the address that our calls come from.")
    email: str = setting("Submitter's email", help="As whom we open tickets; use a mailbox of Backledger's own.")
    mailbox: str = setting("The help desk's email", help="The address that osTicket takes mails at.")
    name: str = setting("Submitter's name", default="Backledger")
    topic: str = setting("Help topic", default="", help="Its number. Empty: osTicket's default.")
    priority_low: str = setting("Priority for low", default="1", help="By its number.")
    priority_normal: str = setting("Priority for normal", default="2")
    priority_high: str = setting("Priority for high", default="3")
    priority_urgent: str = setting("Priority for urgent", default="4")
    alert: bool = setting("Alert agents", kind="switch", default=True)

    def __post_init__(self) -> None:
        check_address(self.url, field="url")
        for name in ("email", "mailbox"):
            if not _ADDRESS.fullmatch(getattr(self, name)):
                raise BadConfig(name, "This must be a mail address.")
        for name in ("topic", "priority_low", "priority_normal", "priority_high", "priority_urgent"):
            if not re.fullmatch(r"[0-9]{1,9}", getattr(self, name)) and (name != "topic" or self.topic):
                raise BadConfig(name, "This must be the number that osTicket gives it.")


def abilities(config: Config) -> frozenset[Ability]:
    """Its API reads nothing, opens nothing again and calls nobody."""
    return frozenset()


def find_after(config: Config) -> timedelta | None:
    """None: tickets cannot be searched, so a creation of unknown outcome is never repeated by itself."""
    return None


def presumed_id(config: Config, reference: Reference) -> str:
    """Numbers are given there."""
    return ""


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Open the ticket; an answer that is no number leaves the outcome unknown."""
    fields: dict[str, Any] = {
        "source": "API",
        "name": config.name,
        "email": config.email,
        "subject": one_line(ticket.text.subject, MAX_SUBJECT) or "Backup problem",
        "message": f"{ticket.text.body.rstrip()}\n\n[{ticket.reference}]",
        "priorityId": int(getattr(config, f"priority_{ticket.priority}")),
        "alert": config.alert,
        "autorespond": False,
    }
    if config.topic:
        fields["topicId"] = int(config.topic)
    api = _api(config, call)
    content = json.dumps(fields, ensure_ascii=False).encode()
    answer = api.send("POST", "/api/tickets.json", headers={"content-type": "application/json"}, body=content)
    return Created(_number_in(api, answer.body, "the new ticket"))


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """A mail of the submitter into the ticket's thread."""
    _mail(config, thread, text, sequence=sequence, call=call)


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """The last words. Nothing but a person, or a rule of its own, closes a ticket there."""
    words = TicketText(text.subject, f"{text.body.rstrip()}\n\nThis ticket can be closed.")
    _mail(config, thread, words, sequence=sequence, call=call)


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Not by its API."""
    raise PermanentFailure("osTicket's API opens nothing again; a new ticket follows.")


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """Not by its API."""
    raise PermanentFailure("osTicket's API finds no tickets: look for the reference there.")


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """Not by its API."""
    raise PermanentFailure("osTicket's API shows no tickets.")


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """Its organizations are not in its API."""
    raise PermanentFailure("osTicket's API shows no organizations.")


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """Its API lists nothing."""
    raise PermanentFailure(f"The values of {name} cannot be looked up: osTicket's API lists nothing.")


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """osTicket calls nobody."""
    raise PermanentFailure("osTicket calls nobody, so that no callback can be from it.")


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Sends an empty ticket, which osTicket refuses once it has taken the key."""
    problems = [*open_text_problem(config.url, call)]
    api = _api(config, call)
    try:
        api.send("POST", "/api/tickets.json", headers={"content-type": "application/json"}, body=b"{}")
        problems.append(f"{api.host} took an empty ticket: this is not an osTicket.")
    except DeliveryFailure as failure:
        if "answered 400" not in failure.reason:
            hint = " Check the API key and the address of ours that it belongs to." if "401" in failure.reason else ""
            problems.append(failure.reason + hint)
    return tuple(problems)


def _api(config: Config, call: Call) -> Api:
    return Api(config.url, call=call, headers={"x-api-key": config.api_key}, secrets=secrets_of(config))


def _mail(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Hand a mail to the API; osTicket knows the ticket by its number in the subject."""
    message = EmailMessage(policy=SMTP)
    message["From"] = f"{_phrase(config.name)} <{config.email}>"
    message["To"] = config.mailbox
    # The number first: osTicket takes the first "#" of a subject for it, and ours may hold one ("Disk #3").
    message["Subject"] = f"Re: [#{_safe(thread.external_id)}] {one_line(text.subject, MAX_SUBJECT)}"
    message["Date"] = format_datetime(call.now)
    message["Message-ID"] = f"<{_safe(thread.reference)}.{sequence}@{config.email.rpartition('@')[2]}>"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(text.body.replace("\0", ""), cte="quoted-printable")
    api = _api(config, call)
    answer = api.send("POST", "/api/tickets.email", headers={"content-type": "text/plain"}, body=message.as_bytes())
    number = _number_in(api, answer.body, "the message")
    if number != thread.external_id:
        raise PermanentFailure(
            f"osTicket made a ticket {number} of what was meant for {thread.external_id}: is {config.email} its "
            "submitter, and does it still exist?"
        )


def _number_in(api: Api, body: bytes, what: str) -> str:
    """The ticket's number, which is all that osTicket answers."""
    found = _NUMBER.fullmatch(body[:100])
    if found is None or len(body) > 100:
        raise OutcomeUnknown(f"{api.host} took {what} but told no number.")
    return found[1].decode()


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "", text)


def _phrase(name: str) -> str:
    """A name that needs no quoting in a header."""
    return " ".join(re.sub(r"[^\w .-]", " ", name).split()) or "Backledger"
