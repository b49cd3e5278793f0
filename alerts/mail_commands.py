"""Commands in the first line of a person's mail: ``#ack``, ``#snooze 4h``, ``#close because ..``.

Read here, done by ``alerts.acting`` as if the person had pressed the button. Whether the sender is proven enough says
``alerts.mail_answers``. A line that begins otherwise is no command, whatever stands in it.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from alerts.acting import Action, acknowledging, closing, snoozing

_COMMAND = re.compile(r"#(ack|snooze|close)\b[:.]?\s*(.*)", re.I)
_TIME = re.compile(r"([0-9]{1,4})\s*(m|min|h|d|w)\b[.,:]?\s*(.*)", re.I)
_UNITS = {"m": timedelta(minutes=1), "min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1),
          "w": timedelta(weeks=1)}  # fmt: skip
LONGEST = timedelta(days=90)
LONGEST_NOTE = 500


class BadCommand(Exception):
    """A command that cannot be followed; the text is a sentence."""


def first_line(text: str) -> str:
    return next((line.strip() for line in text.split("\n") if line.strip()), "")


def is_command(text: str) -> bool:
    return _COMMAND.match(first_line(text)) is not None


def read_command(text: str, *, actor: str, now: datetime) -> Action:
    """What the first line asks for. Raises BadCommand; to be called for a text that is a command."""
    found = _COMMAND.match(first_line(text))
    if found is None:
        raise BadCommand("It holds no command.")
    name, rest = found.group(1).lower(), found.group(2).strip()[:LONGEST_NOTE]
    if name == "ack":
        until, note = read_time(rest, now=now)
        return acknowledging(actor=actor, note=note, until=until, now=now)
    if name == "snooze":
        until, note = read_time(rest, now=now)
        if until is None:
            raise BadCommand("Say for how long, such as #snooze 4h (m, h, d or w).")
        return snoozing(actor=actor, until=until, note=note, now=now)
    return closing(actor=actor, reason=rest or "Closed by mail.", now=now)


def read_time(rest: str, *, now: datetime) -> tuple[datetime | None, str]:
    """When it ends, if a time stands first, and what is said besides."""
    found = _TIME.match(rest)
    if found is None:
        return None, rest
    length = int(found.group(1)) * _UNITS[found.group(2).lower()]
    if not timedelta(0) < length <= LONGEST:
        raise BadCommand(f"The time must be more than nothing and at most {LONGEST.days} days.")
    return now + length, found.group(3)
