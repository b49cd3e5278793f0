"""Measures a selection by an inventory: ``manage.py measure_selection FILE --tenant northwind --selection UID``.

FILE is what the wrapper wrote, or a listing by find, PowerShell, rclone, robocopy or Proxmox Backup, zipped or not; "-"
is standard input. With ``--definition`` a ``.SEL`` file or list is used in place of the one that is kept;
``--keep-definition`` keeps it as the selection's next version first.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from integrations.selections.definitions import KINDS, likely_kind
from integrations.selections.refusals import Unusable
from msp.backups.models import SelectionMeasurement
from msp.backups.selection_sizes import measure_upload, set_definition
from msp.estate.models import Selection
from msp.estate.spans import Actor
from msp.tenants.models import Tenant

ACTOR = "command measure_selection"
CHUNK = 1024 * 1024


class Command(BaseCommand):
    help = "Measure the protected size of a selection by an inventory of its files."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="the inventory; - for standard input")
        parser.add_argument("--tenant", required=True, help="the tenant's short name")
        parser.add_argument("--selection", required=True, type=UUID, help="the selection's UUID")
        parser.add_argument("--definition", type=Path, help="a .SEL file, restic or borg list, or list of paths")
        parser.add_argument("--kind", choices=sorted(KINDS), help="what the definition is, if it cannot be told")
        parser.add_argument("--keep-definition", action="store_true", help="keep it as the selection's next version")

    def handle(self, *args: Any, **options: Any) -> None:
        now = datetime.now(UTC)
        tenant, selection = find_selection(options["tenant"], options["selection"])
        try:
            definition = read_definition(options["definition"], kind=options["kind"])
            if definition is not None and options["keep_definition"]:
                actor = Actor(name=ACTOR, now=now)
                set_definition(tenant, selection, definition[1], kind=definition[0], variables={}, actor=actor)
                definition = None
            with open_file(options["file"]) as opened:
                size = measure_upload(
                    tenant, selection, chunks_of(opened), source="command", now=now, definition=definition
                )
        except (Unusable, OSError) as refused:
            raise CommandError(str(refused)) from refused
        self.tell(size)

    def tell(self, size: SelectionMeasurement) -> None:
        if size.error:
            raise CommandError(size.error)
        once = f"{size.bytes_once:,}" if size.bytes_once is not None else "unknown"
        self.stdout.write(f"{size.files:,} files: {once} bytes with hard links once, {size.bytes_each:,} each time.")
        for word in ("roots", "left_out"):
            for one in size.details[word]:
                what = "selected by" if word == "roots" else "left out by"
                self.stdout.write(f"  {one['bytes_each']:,} bytes {what} line {one['line']}: {one['text']}")
        if not size.whole:
            self.stdout.write(f"Not whole: {size.unreadable:,} unreadable, missing {size.details['missing_roots']}.")
        for note in size.details["notes"]:
            self.stdout.write(note)


def find_selection(slug: str, uid: UUID) -> tuple[Tenant, Selection]:
    """Raises CommandError."""
    tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is None:
        raise CommandError(f"There is no tenant {slug}.")
    selection: Selection | None = Selection.objects.of(tenant).filter(uid=uid).first()
    if selection is None:
        raise CommandError(f"{tenant} has no selection {uid}.")
    return tenant, selection


def read_definition(path: Path | None, *, kind: str | None) -> tuple[str, bytes] | None:
    """(kind, content). Raises OSError, BadDefinition."""
    if path is None:
        return None
    content = path.read_bytes()
    return kind or ("sel" if path.suffix.lower() == ".sel" else likely_kind(content)), content


def open_file(name: str) -> BinaryIO:
    return sys.stdin.buffer if name == "-" else Path(name).open("rb")


def chunks_of(opened: BinaryIO) -> Iterator[bytes]:
    while chunk := opened.read(CHUNK):
        yield chunk
