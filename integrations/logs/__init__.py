"""Job logs: bytes in, JobLog values out; one file per backup product.

``read`` is the only entry: it opens the delivery, finds the format, parses, and answers a ``Reading`` for any bytes
whatever. A format is a module listed in ``FORMATS``; adding one touches its file, one line here and its fixtures.
Everything in this package is pure: no settings, no clock, no input or output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from integrations.logs import (
    acronis,
    avepoint,
    aws_backup,
    aws_snapshot_script,
    axcient,
    azure_backup,
    backupninja,
    bacula,
    bareos,
    barman,
    borg,
    borgmatic,
    bup,
    burp,
    comet,
    dar,
    datto_bcdr,
    datto_saas,
    dropsuite,
    duplicati,
    duplicity,
    kopia,
    mariabackup,
    msp360,
    mysqldump,
    n_able_cove,
    own,
    pg_dump,
    pgbackrest,
    proxmox_backup_server,
    proxmox_vzdump,
    rclone,
    rdiff_backup,
    restic,
    rsnapshot,
    rsync,
    script,
    synology_active_backup,
    synology_hyper_backup,
    tar,
    urbackup,
    veeam,
    veeam_spc,
    windows_server_backup,
)
from integrations.logs.bytes_to_text import clean
from integrations.logs.context import Context
from integrations.logs.guide import Guide
from integrations.logs.head import Head, head_of
from integrations.logs.joblog import Delivery, JobLog, Outcome, UnreadableLog, worst_outcome
from integrations.logs.moments import zone_named
from integrations.logs.opening import open_delivery
from integrations.logs.scrubbing import scrubbed

NOT_RECOGNISED = "No format recognises this log."
EMPTY = "The log is empty, and nothing that came with it tells which tool ran."


class Format(Protocol):
    """A module that knows the logs of one product. ``parse`` raises UnreadableLog and nothing else.

    ``MARKS`` are words of which at least one stands in every log of the product (in its head, tail, subject or command
    line): where none does, ``recognises`` is not asked. That keeps finding the format cheap, however many there are.
    """

    LABEL: str
    GUIDE: Guide

    @property
    def MARKS(self) -> tuple[str, ...]: ...  # noqa: N802 - a constant of any length: read-only for the type checker

    def recognises(self, head: Head) -> bool: ...

    def parse(self, body: Delivery, context: Context) -> tuple[JobLog, ...]: ...


#: By product, in the order in which they are asked: what runs another tool and shows its output (borgmatic, rsnapshot)
#: stands before that tool.
FORMATS: Mapping[str, Format] = {
    "proxmox-vzdump": proxmox_vzdump,
    "backupninja": backupninja,
    "rsnapshot": rsnapshot,
    "rclone": rclone,
    "restic": restic,
    "borgmatic": borgmatic,
    "borg": borg,
    "rsync": rsync,
    "duplicati": duplicati,
    "duplicity": duplicity,
    "mysqldump": mysqldump,
    "pg_dump": pg_dump,
    "n-able-cove": n_able_cove,
    "synology-hyper-backup": synology_hyper_backup,
    "pgbackrest": pgbackrest,
    "mariabackup": mariabackup,
    "barman": barman,
    "aws-snapshot-script": aws_snapshot_script,
    "msp360": msp360,
    "acronis": acronis,
    "synology-active-backup": synology_active_backup,
    "datto-bcdr": datto_bcdr,
    "datto-saas": datto_saas,
    "axcient": axcient,
    "dropsuite": dropsuite,
    "avepoint": avepoint,
    "rdiff-backup": rdiff_backup,
    "bup": bup,
    "burp": burp,
    "dar": dar,
    "tar": tar,
    "script": script,
    "aws-backup": aws_backup,
    "azure-backup": azure_backup,
    "comet": comet,
    "kopia": kopia,
    "proxmox-backup-server": proxmox_backup_server,
    "veeam": veeam,
    "veeam-spc": veeam_spc,
    "windows-server-backup": windows_server_backup,
    "urbackup": urbackup,
    "bareos": bareos,
    "bacula": bacula,
    "own": own,
}


@dataclass(frozen=True)
class Reading:
    """What was read of one delivery: the format's name (None: recognised by none), its runs, or the reason why not.

    ``line`` is the 1-based line of the log that could not be read. ``problems`` are sentences about what the sender
    said and we could not use; they stand in each run, too.
    """

    format: str | None
    runs: tuple[JobLog, ...] = ()
    error: str | None = None
    line: int | None = None
    problems: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The worst run's outcome; ``unknown`` where there is no run."""
        return worst_outcome([run.outcome for run in self.runs])


def read(delivery: Delivery) -> Reading:
    """The runs that a delivery tells of. Never raises, whatever the bytes."""
    try:
        opened = open_delivery(delivery)
        named, candidate = _find_format(opened)
    except Exception as error:  # hostile bytes must not lose a log: it is kept and shown with this reason
        return Reading(None, error=f"The log could not be opened: {type(error).__name__}.", problems=delivery.problems)
    if named is None:
        empty = not opened.stdout.strip() and not opened.stderr.strip()
        return Reading(None, error=EMPTY if empty else NOT_RECOGNISED, problems=(*opened.problems, *opened.notes))
    return _read_as(named, candidate)


def _find_format(delivery: Delivery) -> tuple[str | None, Delivery]:
    """The format and the delivery it reads: the log itself or, where nobody knows that, one of the attachments."""
    if delivery.format in FORMATS:
        return delivery.format, delivery
    for candidate in (delivery, *_attached(delivery)):
        head = head_of(candidate)
        for name, module in FORMATS.items():
            if head.marked(module.MARKS) and module.recognises(head):
                return name, candidate
    return None, delivery


def _attached(delivery: Delivery) -> tuple[Delivery, ...]:
    return tuple(
        replace(delivery, stdout=attachment.content, stderr=b"", content_type=attachment.content_type, attachments=())
        for attachment in delivery.attachments[:20]
        if attachment.content.strip()
    )


def _read_as(name: str, delivery: Delivery) -> Reading:
    zone = zone_named(delivery.timezone) if delivery.timezone else None
    try:
        runs = FORMATS[name].parse(delivery, Context(head=head_of(delivery), zone=zone))
        code = delivery.exit_code if len(runs) == 1 else None
        shown = tuple(
            scrubbed(run, host=delivery.host, exit_code=code, problems=delivery.problems, notes=delivery.notes)
            for run in runs
        )
    except UnreadableLog as error:
        return Reading(name, error=clean(error.reason), line=error.line, problems=delivery.problems)
    except Exception as error:  # a fault of ours must not lose the log: it waits in the inbox and can be replayed
        reason = f"parser failed: {type(error).__name__} in {name}"
        return Reading(name, error=reason, problems=delivery.problems)
    if not runs:
        return Reading(name, error="The log tells of no run.", problems=delivery.problems)
    return Reading(name, runs=shown, problems=delivery.problems)
