"""Normalise: a receipt's bytes become ``JobLog`` values. Pure over what was taken; never raises for what a log holds.

Keys of a receipt's ``meta``: ``envelope`` (true: the bytes are our JSON envelope), ``content_type``, and what the
sender said beside a plain body: ``format``, ``timezone``, ``host``, ``job``, ``command``, ``exit_code``, ``file`` (a
file's name), ``sent_at`` (of a mail); for files that belong together ``envelope`` is used. A zone nobody named is that
of the server.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from integrations.logs import Reading, read
from integrations.logs.delivery import BadEnvelope, from_envelope, from_raw
from integrations.logs.joblog import Delivery, JobLog
from msp.ingest.taking import Batch, TakenReceipt

#: Attachments that the wrapper sends of a selection, see docs/wrapper.md.
INVENTORY_PARTS = {
    "selection.inventory": "inventory",
    "selection.inventory.gz": "inventory",
    "selection.rules": "rules",
}


@dataclass(frozen=True)
class NormalisedReceipt:
    """A receipt and what was read of it. ``job`` and ``host`` are what the sender said, not the log.

    ``inventory`` is a listing of the selection's files that came along, ``selection_rules`` a definition of it.
    """

    receipt: TakenReceipt
    reading: Reading
    job: str = ""
    host: str = ""
    told_start: datetime | None = None
    told_end: datetime | None = None
    inventory: bytes = b""
    selection_rules: bytes = b""
    brings_inventory_only: bool = False

    @property
    def runs(self) -> tuple[JobLog, ...]:
        return self.reading.runs


def normalise(batch: Batch) -> tuple[NormalisedReceipt, ...]:
    """Read every receipt of a batch."""
    return tuple(normalise_one(receipt) for receipt in batch.receipts)


def normalise_one(receipt: TakenReceipt) -> NormalisedReceipt:
    try:
        delivery = open_receipt(receipt.content, receipt.meta)
    except BadEnvelope as error:
        return NormalisedReceipt(receipt, Reading(None, error=f"The envelope cannot be used: {error}"))
    if delivery.timezone is None and receipt.server_timezone and not delivery.problems:
        delivery = replace(delivery, timezone=receipt.server_timezone)
    delivery, beside = without_inventory(delivery)
    return NormalisedReceipt(
        receipt=receipt,
        reading=read(delivery),
        job=delivery.job,
        host=delivery.host,
        told_start=delivery.started_at,
        told_end=delivery.ended_at or sent_at(receipt.meta),
        inventory=beside.get("inventory", b""),
        selection_rules=beside.get("rules", b""),
        brings_inventory_only=bool(beside)
        and not delivery.stdout
        and not delivery.stderr
        and not delivery.attachments
        and delivery.exit_code is None,
    )


def without_inventory(delivery: Delivery) -> tuple[Delivery, dict[str, bytes]]:
    """The delivery as a log, and beside it what measures a selection: no format is asked about a list of files."""
    beside = {INVENTORY_PARTS[one.name]: one.content for one in delivery.attachments if one.name in INVENTORY_PARTS}
    if not beside:
        return delivery, beside
    others = tuple(one for one in delivery.attachments if one.name not in INVENTORY_PARTS)
    return replace(delivery, attachments=others), beside


def sent_at(meta: dict[str, Any]) -> datetime | None:
    """When a mail was sent: a mailbox may be read long after, and its log may tell no time."""
    told = meta.get("sent_at")
    return datetime.fromisoformat(told) if isinstance(told, str) else None


def open_receipt(content: bytes, meta: dict[str, Any]) -> Delivery:
    """The delivery in a receipt's bytes. Raises BadEnvelope."""
    if meta.get("envelope"):
        try:
            return filled_in(from_envelope(orjson.loads(content)), meta)
        except orjson.JSONDecodeError as error:
            raise BadEnvelope("envelope", f"is not JSON: {error}.") from error
    return from_raw(
        content,
        content_type=str(meta.get("content_type", "")),
        format=str(meta.get("format", "")),
        timezone=str(meta.get("timezone", "")),
        host=str(meta.get("host", "")),
        job=str(meta.get("job", "")),
        command=str(meta.get("command", "")),
        exit_code=meta.get("exit_code"),
    )


def filled_in(delivery: Delivery, meta: dict[str, Any]) -> Delivery:
    """An envelope, and for what it leaves out what was said beside it."""
    beside = from_raw(b"", timezone=str(meta.get("timezone", "")), exit_code=meta.get("exit_code"))
    told_zone = delivery.timezone is not None or delivery.problems
    return replace(
        delivery,
        format=delivery.format or str(meta.get("format", "")),
        host=delivery.host or str(meta.get("host", "")),
        job=delivery.job or str(meta.get("job", "")),
        command=delivery.command or str(meta.get("command", "")),
        exit_code=beside.exit_code if delivery.exit_code is None else delivery.exit_code,
        timezone=delivery.timezone if told_zone else beside.timezone,
        problems=delivery.problems if told_zone else beside.problems,
    )
