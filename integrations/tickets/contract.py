"""What every ticket gateway takes, answers and promises; the lanes of the outbox are written against this alone.

A gateway is a module with the names of ``Gateway``. It keeps no state: whatever a later call needs stands in
``Thread`` and the texts given to it. Failures are those of ``integrations.errors`` and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from integrations.recording import Recorder

#: Ours, written into the ticket and searched for by ``find``; letters, digits and hyphens, such as "BL-1a2b3c4d".
Reference = str
Priority = Literal["low", "normal", "high", "urgent"]


@dataclass(frozen=True)
class TicketText:
    """What a person reads. ``subject`` is that of the ticket's creation and must be the same in every later call:
    several systems take the subject of a reply as the ticket's new title. ``html`` is optional and says the same as
    ``body``.
    """

    subject: str
    body: str
    html: str | None = None


@dataclass(frozen=True)
class NewTicket:
    """A ticket to open. ``client`` is the name of the client it is about, ``company`` the id that the ticket system
    has for this client, "" where nobody has said which; ``values`` are further texts that a gateway's templates may
    use, as ``{{ values.<key> }}``.
    """

    reference: Reference
    text: TicketText
    priority: Priority = "normal"
    client: str = ""
    company: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Created:
    """A ticket as it exists there: its id (for mail: the Message-ID of the first mail) and a page to open, if any."""

    external_id: str
    url: str | None = None


@dataclass(frozen=True)
class Thread:
    """A ticket that was created: what a comment or the closing needs to reach it."""

    reference: Reference
    external_id: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """How one call is to be made.

    ``deadline_seconds`` covers all of it: looking up the host, connecting, sending and reading, every request of the
    call together. ``idempotency_key`` is the same in every repeat of the same write. ``allow_private`` comes from the
    operator's settings, never from a tenant: it permits addresses of the own network. ``record`` takes note of every
    request and answer, for people to read.
    """

    now: datetime
    deadline_seconds: float
    idempotency_key: str = ""
    allow_private: bool = False
    record: Recorder = field(default_factory=Recorder, compare=False, repr=False)


@dataclass(frozen=True)
class TicketEvent:
    """What a verified callback says has changed. A hint: fetch before acting where the system can be asked.

    ``event_id`` is unique per event and the same in each repeated delivery. ``closed`` is None if it does not tell.
    """

    event_id: str
    external_id: str
    occurred_at: datetime
    status: str = ""
    closed: bool | None = None


@dataclass(frozen=True)
class Remark:
    """A message on a ticket. ``ours``: written by the account we sign in with; its id is unique on its ticket."""

    id: str
    author: str
    text: str
    at: datetime | None = None
    ours: bool = False


@dataclass(frozen=True)
class Standing:
    """A ticket as it is there now. ``external_id`` differs from the one asked for where it was merged into another.

    ``status`` and ``assignee`` are the system's own words. ``reference`` is ours as found in the ticket, "" where the
    system does not show it; whoever asked for another ticket's must not act on it.
    """

    external_id: str
    status: str
    closed: bool
    reference: str = ""
    assignee: str = ""
    remarks: tuple[Remark, ...] = ()
    url: str | None = None


@dataclass(frozen=True)
class Choice:
    """A value that a setting may have there, and the system's name for it."""

    value: str
    label: str


@dataclass(frozen=True)
class Company:
    """A company (organisation, account, customer) that the ticket system keeps."""

    id: str
    name: str


#: What a gateway can do with this configuration, beside opening, adding and closing. ``read``: a ticket can be fetched;
#: ``reopen``: a closed one can be opened again; ``companies``: the system keeps companies; ``callbacks``: it can call.
Ability = Literal["read", "reopen", "companies", "callbacks"]


class Gateway(Protocol):
    """The functions of a gateway module. ``sequence`` counts the messages of one ticket: creation is 0, then 1, 2, ...

    A repeat gives the same sequence and the same idempotency key. ``close`` carries the final text and is the last
    call of a ticket: nothing may be sent after it, as a message to a closed ticket opens it again.
    """

    @property
    def LABEL(self) -> str:  # noqa: N802 - a constant of the module
        """The name shown to people."""

    @property
    def CALLS_PER_MINUTE(self) -> int:  # noqa: N802 - a constant of the module
        """How many calls we make by default: a share of what the system allows all of the MSP's tools together."""

    @property
    def VERIFIED(self) -> str:  # noqa: N802 - a constant of the module
        """What it was run against, such as "Redmine 5.0.4"; "" if never against the live service."""

    @property
    def Config(self) -> type[Any]:  # noqa: N802 - a class of the module
        """A frozen dataclass made of ``configuration.setting`` fields."""

    def create(self, config: Any, ticket: NewTicket, *, call: Call) -> Created:
        """Open a ticket that bears ``ticket.reference``."""

    def comment(self, config: Any, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
        """Add a message to an open ticket."""

    def close(self, config: Any, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
        """Add the final message and close the ticket, in this order or in one step."""

    def reopen(self, config: Any, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
        """Open a closed ticket again and say why; PermanentFailure where it is closed for good."""

    def abilities(self, config: Any) -> frozenset[Ability]:
        """What works with this configuration; the functions of the others raise PermanentFailure."""

    def read(self, config: Any, thread: Thread, *, call: Call) -> Standing | None:
        """The ticket as it is there; None if it was deleted or cannot be seen any more."""

    def companies(self, config: Any, search: str, *, call: Call) -> tuple[Company, ...]:
        """Companies whose name contains ``search`` ("": all), at most 1,000, for a person to choose from."""

    def choices(self, config: Any, name: str, *, call: Call) -> tuple[Choice, ...]:
        """What the system offers for a setting that is ``looked_up``; PermanentFailure for any other."""

    def find_after(self, config: Any) -> timedelta | None:
        """How long after a lost creation ``find`` tells the truth; None: it never can, so never repeat by yourself."""

    def presumed_id(self, config: Any, reference: Reference) -> str:
        """The id of a ticket whose creation was confirmed by a person alone; "" if it cannot be known without them."""

    def find(self, config: Any, reference: Reference, *, call: Call) -> Created | None:
        """The ticket bearing ``reference``, checked in what was returned; None: it certainly does not exist.

        Raises PermanentFailure if this configuration cannot find.
        """

    def read_webhook(
        self, config: Any, headers: Mapping[str, str], body: bytes, *, call: Call
    ) -> tuple[TicketEvent, ...]:
        """The events in a callback; raises PermanentFailure if it is not proven to come from the ticket system."""

    def check(self, config: Any, *, call: Call) -> tuple[str, ...]:
        """Problems as sentences, none if good. Asks the other system where that changes nothing there."""
