"""Prints what must not be, over all tenants; ends with an error when something is. For operators and monitoring."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from msp.census import Census, Orphans, count_orphans, take_census


class Command(BaseCommand):
    help = "Count jobs without a clock, untold incidents, stray rows, orphans and waiting receipts of all tenants."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the numbers as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        now = datetime.now(UTC)
        census, orphans = take_census(None, now=now), count_orphans(now.date())
        self.stdout.write(as_json(census, orphans) if options["json"] else as_text(census, orphans))
        faults = [*census.faults(now), *orphan_faults(orphans)]
        if faults:
            raise CommandError("\n".join(faults))


def as_json(census: Census, orphans: Orphans) -> str:
    oldest = census.oldest_waiting_at
    told = asdict(census) | {"oldest_waiting_at": oldest.isoformat() if oldest else None}
    return json.dumps(told | {"orphan_runs": orphans.runs, "orphan_queued": orphans.queued})


def as_text(census: Census, orphans: Orphans) -> str:
    oldest = census.oldest_waiting_at
    lines = (
        ("active jobs without a clock", census.jobs_without_clock),
        ("other subjects without a clock", census.subjects_without_clock),
        ("open incidents nobody was told of", census.untold_incidents),
        ("rows without a partition", census.stray_rows),
        ("runs of no job", orphans.runs),
        ("queued receipts that are none", orphans.queued),
        ("receipts waiting to be read", census.waiting_receipts),
        ("waiting since", f"{oldest:%Y-%m-%d %H:%M} UTC" if oldest else "-"),
    )
    return "\n".join(f"{name:<36}{number}" for name, number in lines)


def orphan_faults(orphans: Orphans) -> list[str]:
    counted = ((orphans.runs, "runs belong to no job"), (orphans.queued, "queued receipts are not there"))
    return [f"{number} {words}." for number, words in counted if number]
