"""``ingest PATH...``: stores logs from files, folders or standard input, carries them through the line, tells the
result.

A file is the same delivery as long as its path, size and time of change are; standard input as long as its bytes are,
within five minutes. What cannot be read or stored is told, the rest goes on, and the exit code says so.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from integrations.logs.bytes_to_text import clean
from msp import pipeline
from msp.estate.models import BackupServer
from msp.ingest.gathering import STDIN, Gathered, gather
from msp.ingest.replaying import Shown, show_receipts
from msp.ingest.storing import Incoming, Kept, bare_delivery_id, store
from msp.management.commands.add_server import find_tenant
from msp.management.commands.parse import add_said_arguments, said_of
from msp.tenants.models import Tenant

DOOR = "command"
#: Stored and processed together: so many deliveries, so many bytes.
TOGETHER, TOGETHER_BYTES = 200, 16 * 1024 * 1024


class Command(BaseCommand):
    help = "Store logs from files, folders (the files of one run, or any tree) or standard input (-), and process them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", metavar="PATH", help="a file, a folder, or - for standard input")
        parser.add_argument("--tenant", help="slug of the tenant; not needed while there is only one")
        parser.add_argument("--server", help="name of the backup server whose logs these are")
        parser.add_argument("--no-process", action="store_true", help="only store; the worker processes them")
        add_said_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = find_tenant(options["tenant"])
        server_id = find_server(tenant, options["server"])
        found = gather(
            options["paths"], said=said_of(options), most=settings.BACKLEDGER.max_body_bytes, stdin=sys.stdin.buffer
        )
        stored = failed = 0
        for group in in_groups(found):
            good = [one for one in group if not one.error]
            self.take(tenant, good, server_id=server_id, process=not options["no_process"])
            for one in group:
                if one.error:
                    self.stderr.write(f"{clean(one.path)}: {one.error}")
            stored, failed = stored + len(good), failed + len(group) - len(good)
        self.stdout.write(f"{stored} taken, {failed} could not be.")
        if failed or not stored:
            sys.exit(1)

    def take(self, tenant: Tenant, found: Sequence[Gathered], *, server_id: int | None, process: bool) -> None:
        """Store, process if that is wanted, and tell what became of each."""
        now = datetime.now(UTC)
        kept = store(tenant.pk, [as_incoming(one, server_id=server_id, now=now) for one in found], now=now)
        if process:
            new = [one.receipt_id for one in kept if one.what == "new"]
            pipeline.process_receipts(tenant.pk, new, now=now)
        shown = show_receipts(tenant.pk, [one.receipt_id for one in kept])
        for one, what in zip(found, kept, strict=True):
            self.stdout.write(f"{clean(one.path)}: {tell(what, shown[what.receipt_id])}")


def find_server(tenant: Tenant, name: str | None) -> int | None:
    """The id of the server of this name; None for none. Raises CommandError."""
    if not name:
        return None
    server = BackupServer.objects.of(tenant).filter(name=name).first()
    if server is None:
        names = ", ".join(BackupServer.objects.of(tenant).order_by("name").values_list("name", flat=True))
        raise CommandError(f'{tenant.name} has no backup server "{name}"; known are: {names or "none yet"}.')
    return int(server.pk)


def in_groups(found: Iterable[Gathered]) -> Iterator[list[Gathered]]:
    """Deliveries in groups that are stored together; never more in memory than one group and one delivery."""
    group: list[Gathered] = []
    size = 0
    for one in found:
        if group and (len(group) >= TOGETHER or size + len(one.content) > TOGETHER_BYTES):
            yield group
            group, size = [], 0
        group.append(one)
        size += len(one.content)
    if group:
        yield group


def as_incoming(one: Gathered, *, server_id: int | None, now: datetime) -> Incoming:
    named = one.identity or bare_delivery_id(one.content, one.meta, received_at=now)
    meta = dict(one.meta) if one.path == STDIN else {**one.meta, "file": clean(one.path)}
    return Incoming(DOOR, f"{server_id}:{named}", one.content, now, server_id, meta)


def tell(kept: Kept, shown: Shown) -> str:
    """One line for people: what became of a delivery."""
    again = "taken before, " if kept.what == "repeat" else ""
    named = f"{again}receipt {kept.uid}"
    if shown.state == "waiting":
        return f"{named}, waits to be processed"
    runs = [f"{run['operation']} {run['outcome']}" for _, run in sorted(shown.runs.items())]
    told = ", ".join([named, *([shown.format] if shown.format else []), *runs])
    return f"{told}, in the inbox: {shown.error}" if shown.state == "inbox" else told
