"""The values that pass between assignment, recording and the ledger.

``AssignedRun`` goes from ``msp.ingest.assigning`` into ``msp.backups.recording``; ``Measurement`` goes from there into
``billing.ledger``. Both are frozen; neither knows the database.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from integrations.logs.joblog import JobLog


@dataclass(frozen=True)
class AssignedRun:
    """One run of a receipt and the job it belongs to.

    ``place`` is its position in the receipt, from 0. ``delivery_key`` (door and delivery id) identifies the run when
    its log says nothing of itself. ``told_end`` is what the sender says about the end, used when the log tells no time;
    else the moment of arrival ``received_at`` is used.
    """

    job_id: int
    selection_id: int
    client_id: int
    receipt_id: int
    place: int
    delivery_key: str
    received_at: datetime
    log: JobLog
    told_start: datetime | None = None
    told_end: datetime | None = None


@dataclass(frozen=True)
class Measurement:
    """What a run measured, for the ledger; a size that is None withdraws what the same run said before.

    ``measured_at`` is the run's end (UTC). Sizes are bytes. Only measurable runs carry sizes. ``protects``: it made a
    copy; ``components`` are the mailboxes, databases and virtual machines in it (kind, name), None if none are told.
    """

    job_id: int
    selection_id: int
    client_id: int
    run_key: str
    filed_month: date
    measured_at: datetime
    basis: str
    protected_bytes: int | None
    stored_bytes: int | None
    transferred_bytes: int | None
    reason: str = "recorded"
    protects: bool = False
    host: str = ""
    components: tuple[tuple[str, str], ...] | None = None
