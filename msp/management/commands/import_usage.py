"""Enters usage that no log tells: ``manage.py import_usage FILE --tenant northwind`` shows what the CSV would change.

``--apply`` enters it, as a whole or not at all. FILE is a CSV as docs/billing.md describes it; "-" is standard input.
Ends with an error if a line cannot be taken.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.refusals import Refused
from billing.usage_files import MOST_BYTES
from billing.usage_imports import Difference, apply_usage_file, check_usage_file, keep_usage_file
from msp.management.commands.invoice_run import find_tenant

ACTOR = "command import_usage"


class Command(BaseCommand):
    help = "Enter usage from a CSV: what no log tells, or what was agreed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="the CSV; - for standard input")
        parser.add_argument("--tenant", required=True, help="the tenant's short name")
        parser.add_argument("--apply", action="store_true", help="enter it; without this nothing is written")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant, now = find_tenant(options["tenant"]), datetime.now(UTC)
        try:
            content = read_file(options["file"])
            checked = check_usage_file(tenant, content, now=now)
            for line in checked.refused:
                self.stderr.write(f"Line {line.line}: {line.sentence}")
            if checked.refused:
                raise CommandError("Nothing was taken.")
            for difference in checked.differences:
                self.stdout.write(told(difference))
            if options["apply"]:
                name = Path(options["file"]).name
                kept = keep_usage_file(tenant, content, name=name, actor=ACTOR, now=now)
                kept = apply_usage_file(tenant, kept.uid, actor=ACTOR, now=now)
                self.stdout.write(f"Entered: {kept.written} of {kept.rows} lines changed the ledger.")
            else:
                self.stdout.write(f"{checked.writes} of {len(checked.differences)} lines would change the ledger.")
        except (Refused, OSError) as refused:
            raise CommandError(str(refused)) from refused


def read_file(name: str) -> bytes:
    """At most a byte more than is taken, so that a file without end is refused too. Raises OSError."""
    if name == "-":
        return sys.stdin.buffer.read(MOST_BYTES + 1)
    with Path(name).open("rb") as opened:
        return opened.read(MOST_BYTES + 1)


def told(difference: Difference) -> str:
    """A line of the table of differences."""
    was = "nothing" if difference.stands is None else f"{difference.stands:,}"
    now = "nothing" if difference.quantity is None else f"{difference.quantity:,}"
    about = f"{difference.client}, {difference.selection}, {difference.day}, {difference.metric}"
    return f"{difference.change:9}  {about}: {was} counts today, {now} in the file"
