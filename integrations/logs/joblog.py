"""The values between a delivery and the database: what was delivered, and what a parser read in it.

A channel makes a ``Delivery`` out of a request, mail or file; ``integrations.logs.read`` finds the format and answers
``JobLog`` values, one per run that the log tells of. Nothing here knows a tenant, a clock or the database. Bytes are
hostile: texts in a ``JobLog`` are cleaned of control characters and cut to the lengths given here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Operation = Literal["backup", "copy", "replicate", "restore", "verify", "prune", "inventory"]
Outcome = Literal["success", "warning", "failure", "missed", "running", "skipped", "cancelled", "unknown"]
Basis = Literal["logical-once", "logical-each", "used", "provisioned", "dump", "derived", "agreed"]
ErrorKind = Literal["vanished", "locked", "unreadable", "other"]

#: Worst first: a log of several runs has the outcome of the worst one.
OUTCOME_ORDER: tuple[Outcome, ...] = (
    "failure", "missed", "cancelled", "unknown", "warning", "running", "skipped", "success",
)  # fmt: skip

MAX_ERRORS = 200  # kept per run; ``errors_total`` counts the rest
MAX_TEXT = 1000  # characters of one message or path


class UnreadableLog(Exception):
    """The format was recognised (or named) but the log cannot be read. ``line`` is 1-based in the delivered text."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


@dataclass(frozen=True)
class Attachment:
    """A further file of the same delivery: a second log, a mail attachment."""

    name: str
    content: bytes
    content_type: str = ""


@dataclass(frozen=True)
class Delivery:
    """What one delivery brought, as far as its channel tells; everything but ``stdout`` may be missing.

    ``stdout`` is the log itself: a tool's standard output, a mail as sent, a JSON document.
    ``timezone`` is the IANA name of the zone that local times in the log are in, already checked by the caller.
    ``started_at``/``ended_at`` are what the sender (a wrapper) says about the run, aware datetimes.
    ``run_id`` is the wrapper's own id of the run. ``subject``, ``sender`` and ``sent_at`` (its Date) are a mail's
    headers, once it was opened.
    ``problems`` are sentences about what the sender said and we could not use (an unknown time zone): the log is kept.
    ``notes`` tell what was left out and is no loss.
    """

    stdout: bytes
    stderr: bytes = b""
    attachments: tuple[Attachment, ...] = ()
    command: str = ""
    exit_code: int | None = None
    timezone: str | None = None
    host: str = ""
    job: str = ""
    content_type: str = ""
    format: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    run_id: str = ""
    subject: str = ""
    sender: str = ""
    sent_at: datetime | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LogError:
    """One line of trouble. ``kind`` lets a policy tolerate vanished and locked files."""

    message: str
    path: str | None = None
    severity: Literal["error", "warning"] = "error"
    code: str | None = None
    component: str | None = None
    kind: ErrorKind = "other"


@dataclass(frozen=True)
class Component:
    """The result of one part of a run: a ``database``, ``disk``, ``volume``, ``vm``, ``vss-writer`` or ``mailbox``.

    Sizes are those of ``JobLog``, of this part alone; ``message`` is what the log says of it, "" if nothing.
    """

    type: str
    name: str
    outcome: Outcome
    protected_bytes: int | None = None
    transferred_bytes: int | None = None
    stored_bytes: int | None = None
    message: str = ""


@dataclass(frozen=True)
class JobLog:
    """One execution as its log tells it. None means: the log does not say; never a guess, never a default.

    Times are aware UTC. Sizes are bytes: ``protected`` everything selected at the source before compression and
    deduplication, ``changed`` the new and changed files at the source, ``transferred`` sent or added by this run,
    ``stored`` occupied at the destination. ``basis`` says how ``protected_bytes`` was counted.
    ``run_id`` is what the log says of itself that no other run of the job repeats (snapshot id, job id); "" if nothing.
    ``source_job`` is the job's name as the product has it; ``item`` the part of a log that several clients may share
    (a guest, a configuration); ``lines`` the 1-based first and last line of this run, where several share a log.
    ``complete`` says whether every root of the selection was reached; ``action`` is the tool's own word where
    ``operation`` is broader (check, list, stats, init, rotate).
    ``sources`` names, for a size, the log's own word for it ("total_bytes_processed"): shown beside the figure.
    ``chain_length`` is how many copies a restore from this run needs (1: a full copy), ``last_full_at`` when the newest
    full copy was made; ``checksum_ok`` what a verification or restore test found out about the data it read.
    ``problems`` are sentences about values that cannot be true (a negative size, an end before the start): the run is
    kept and shown, but it is not good, moves no clock and is not billed. ``notes`` only explain.
    """

    product: str
    operation: Operation
    outcome: Outcome
    action: str = ""
    run_id: str = ""
    source_job: str = ""
    item: str = ""
    host: str = ""
    account: str = ""
    repository: str = ""
    archive: str = ""
    product_version: str = ""
    roots: tuple[str, ...] = ()
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_seconds: float | None = None
    protected_bytes: int | None = None
    changed_bytes: int | None = None
    transferred_bytes: int | None = None
    stored_bytes: int | None = None
    restored_bytes: int | None = None
    freed_bytes: int | None = None
    rounded: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)
    chain_length: int | None = None
    last_full_at: datetime | None = None
    checksum_ok: bool | None = None
    basis: Basis | None = None
    complete: bool | None = None
    files: Mapping[str, int] = field(default_factory=dict)
    dirs: Mapping[str, int] = field(default_factory=dict)
    files_failed: int | None = None
    errors: tuple[LogError, ...] = ()
    errors_total: int = 0
    components: tuple[Component, ...] = ()
    exit_code: int | None = None
    lines: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def worst_outcome(outcomes: list[Outcome]) -> Outcome:
    """The outcome of a log of several runs: its worst one; ``unknown`` for none."""
    return min(outcomes, key=OUTCOME_ORDER.index) if outcomes else "unknown"
