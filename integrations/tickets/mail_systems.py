"""What the mails of known ticket systems tell of a ticket: its number, its status, whether it is closed.

Read from what each system writes by itself (a token in the subject, headers of its own), never from free text. Which
system it is says the destination. Recorded from Request Tracker 5.0.3, Roundup 2.6.0 and django-helpdesk 2.6.1, whose
templates are taken in English; of Redmine and osTicket the number alone is known. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

#: Names and labels, as a destination's form offers them.
SYSTEMS: Final = (
    ("", "another, or people"),
    ("rt", "Request Tracker"),
    ("redmine", "Redmine"),
    ("roundup", "Roundup"),
    ("django-helpdesk", "django-helpdesk"),
    ("osticket", "osTicket"),
)

_RT = re.compile(r"\[(?!BL-)([A-Za-z0-9][A-Za-z0-9._ -]{0,60} #[0-9]{1,12})\](?: (Resolved):)?")
_REDMINE = re.compile(r"\[(?:[^\[\]#]{1,200} )?(#[0-9]{1,12})\]")
_ROUNDUP = re.compile(r"\[((?!bl-)[a-z_]{1,30}[0-9]{1,12})\]")
_HELPDESK = re.compile(r"\[(?!BL-)([A-Za-z0-9_-]{1,60}-[0-9]{1,12})\]")
_HELPDESK_ENDED = re.compile(r"\((Resolved|Closed)\)\s*\Z")
_OSTICKET = re.compile(r"\[(#[0-9]{1,12})\]")
#: The classic tracker's word.
_ROUNDUP_CLOSED = "resolved"


@dataclass(frozen=True)
class Told:
    """What a mail tells. ``number`` is the system's token without its brackets; ``closed`` None: it does not tell.

    ``relayed``: it bears the system's own marks, so that being marked as bulk does not make it an automatic answer:
    it may pass on a person's words.
    """

    number: str = ""
    status: str = ""
    closed: bool | None = None
    relayed: bool = False


def read(system: str, *, subject: str, headers: Mapping[str, str]) -> Told:
    """``headers``: the mail's own, names in lower case. Nothing for a system that is not known."""
    known = _READERS.get(system)
    return Told() if known is None else known(subject, headers)


def _read_rt(subject: str, headers: Mapping[str, str]) -> Told:
    found = _RT.search(subject)
    marked = headers.get("x-rt-ticket", "").strip()
    if found is None or (marked and marked != found.group(1)):
        return Told(relayed=bool(marked))
    is_resolved = bool(marked) and found.group(2) is not None
    return Told(found.group(1), "resolved" if is_resolved else "", True if is_resolved else None, bool(marked))


def _read_redmine(subject: str, headers: Mapping[str, str]) -> Told:
    found = _REDMINE.search(subject)
    relayed = headers.get("message-id", "").strip().startswith("<redmine.")
    return Told(number=found.group(1) if found else "", relayed=relayed)


def _read_roundup(subject: str, headers: Mapping[str, str]) -> Told:
    found = _ROUNDUP.search(subject)
    relayed = "x-roundup-name" in headers
    if found is None or not relayed:
        return Told(number=found.group(1) if found else "", relayed=relayed)
    status = headers.get("x-roundup-issue-status", "").strip()
    return Told(found.group(1), status, status == _ROUNDUP_CLOSED if status else None, relayed)


def _read_helpdesk(subject: str, headers: Mapping[str, str]) -> Told:
    found = _HELPDESK.search(subject)
    if found is None:
        return Told()
    ended = _HELPDESK_ENDED.search(subject)
    return Told(found.group(1), ended.group(1) if ended else "", True if ended else None)


def _read_osticket(subject: str, headers: Mapping[str, str]) -> Told:
    found = _OSTICKET.search(subject)
    return Told(number=found.group(1) if found else "")


_READERS: Final[Mapping[str, Callable[[str, Mapping[str, str]], Told]]] = {
    "rt": _read_rt,
    "redmine": _read_redmine,
    "roundup": _read_roundup,
    "django-helpdesk": _read_helpdesk,
    "osticket": _read_osticket,
}
