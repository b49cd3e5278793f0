"""The values around a written log: what a run is to tell, and the log with the figures that stand in it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from integrations.logs.joblog import Operation, Outcome

#: What may go wrong: the failures first, then what ends with a warning, then a good run that holds nothing.
Trouble = Literal["", "disk full", "repository locked", "offline", "unreadable file", "vanished files", "nothing there"]

FAILURES: frozenset[Trouble] = frozenset({"disk full", "repository locked", "offline"})
WARNINGS: frozenset[Trouble] = frozenset({"unreadable file", "vanished files"})


@dataclass(frozen=True, kw_only=True)
class Told:
    """One run: sizes in bytes, times in UTC to the second, ``root`` the folder that is saved.

    ``seed`` makes ids and small details; it must differ from run to run. ``zone`` is the server's. ``repository`` is
    where the copies go. ``stored_bytes`` is what lies there after the run.
    """

    operation: Operation
    job: str
    host: str
    root: str
    repository: str
    zone: str
    seed: str
    started_at: datetime
    ended_at: datetime
    protected_bytes: int
    sent_bytes: int
    stored_bytes: int
    files: int
    trouble: Trouble = ""

    def dice(self) -> random.Random:
        """Chance that falls the same way each time."""
        return random.Random(self.seed)  # noqa: S311  (details of invented logs, no secret)

    @property
    def seconds(self) -> int:
        return int((self.ended_at - self.started_at).total_seconds())

    @property
    def outcome(self) -> Outcome:
        """What the product calls such a run."""
        if self.trouble in FAILURES:
            return "failure"
        return "warning" if self.trouble in WARNINGS else "success"

    def local(self, moment: datetime) -> datetime:
        """The wall clock of the server."""
        return moment.astimezone(ZoneInfo(self.zone))


@dataclass(frozen=True, kw_only=True)
class Written:
    """A log and what the sender tells beside it. ``wrapped``: sent in the JSON envelope, else the bytes as they are.

    The sizes are those printed in the log (rounded where the product rounds), None where it prints none.
    """

    stdout: bytes
    stderr: bytes = b""
    exit_code: int | None = None
    command: str = ""
    wrapped: bool = True
    outcome: Outcome
    protected_bytes: int | None = None
    transferred_bytes: int | None = None
    stored_bytes: int | None = None
    restored_bytes: int | None = None


def envelope_of(written: Written, told: Told) -> dict[str, Any]:
    """The JSON object that a wrapper around the tool posts; only for ``wrapped`` logs."""
    return {
        "stdout": written.stdout.decode(),
        "stderr": written.stderr.decode(),
        "exit_code": written.exit_code,
        "command": written.command,
        "timezone": told.zone,
        "host": told.host,
        "job": told.job,
        "run_id": told.seed,
        "started_at": told.started_at.astimezone(UTC).isoformat(),
        "ended_at": told.ended_at.astimezone(UTC).isoformat(),
    }


PLACES = ("accounts/2026", "projects/alpha", "hr/contracts", "scans/inbox", "mail/archive", "plans/building-7")
NAMES = (
    "offer-0412.pdf",
    "payroll.db",
    "minutes-11.docx",
    "budget.xlsx",
    "plan-A3.dwg",
    "letter-0077.odt",
    "scan-881.tif",
)


def some_paths(told: Told, number: int) -> list[str]:
    """Paths below the root that something happened to."""
    dice = told.dice()
    places = [f"{place}/{name}" for place in PLACES for name in NAMES]
    return [f"{told.root}/{place}" for place in dice.sample(places, number)]


def hexadecimal(dice: random.Random, digits: int) -> str:
    return "".join(dice.choices("0123456789abcdef", k=digits))


def share_of(files: int, dice: random.Random) -> tuple[int, int]:
    """How many files of a selection are new, and how many changed, on an ordinary day."""
    return files * dice.randint(1, 6) // 1000, files * dice.randint(2, 12) // 1000
