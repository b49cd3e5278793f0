"""``parse PATH... [--json]``: what would be read from files and folders. Stores nothing, needs no settings."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from integrations.logs import Reading, read
from integrations.logs.bytes_to_text import clean
from integrations.logs.joblog import JobLog
from integrations.logs.report import as_parse_answer
from msp.ingest.gathering import Gathered, Said, gather

#: Larger files are told, not read.
MOST_BYTES = 256 * 1024 * 1024


class Command(BaseCommand):
    help = "Tell what would be read from files, folders of one run, or standard input (-). Stores nothing."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", metavar="PATH", help="a file, a folder, or - for standard input")
        parser.add_argument("--json", action="store_true", help="one JSON object a line for each delivery")
        add_said_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        said = said_of(options)
        for found in gather(options["paths"], said=said, most=MOST_BYTES, stdin=sys.stdin.buffer):
            reading = Reading(None, error=found.error) if found.delivery is None else read(found.delivery)
            if options["json"]:
                self.stdout.write(json.dumps(as_parse_answer(found.path, reading)))
            else:
                self.stdout.write("\n".join(summary(found, reading)))
        self.stdout.flush()


def add_said_arguments(parser: CommandParser) -> None:
    """What may be said about every delivery on the command line."""
    parser.add_argument("--job", default="", help="name of the job, where the log has none")
    parser.add_argument("--host", default="", help="name of the host, where the log has none")
    parser.add_argument("--format", default="", help="the log's format, where it should not be found by itself")
    parser.add_argument("--timezone", default="", help="zone of local times in the log, such as Europe/Berlin")
    parser.add_argument("--exit-code", type=int, default=None, help="exit code of the tool")


def said_of(options: dict[str, Any]) -> Said:
    return Said(
        job=options["job"],
        host=options["host"],
        format=options["format"],
        timezone=options["timezone"],
        exit_code=options["exit_code"],
    )


def summary(found: Gathered, reading: Reading) -> list[str]:
    """The reading for people: a line for the delivery, one for each run."""
    if reading.error is not None:
        at = f", line {reading.line}" if reading.line else ""
        return [f"{clean(found.path)}: {reading.format or 'not recognised'}{at}: {reading.error}"]
    lines = [f"{clean(found.path)}: {reading.format}, {reading.outcome}"]
    lines += [f"  {line}" for run in reading.runs for line in run_lines(run)]
    return lines + [f"  problem: {problem}" for problem in reading.problems]


def run_lines(run: JobLog) -> list[str]:
    named = " ".join(part for part in (run.action or run.operation, run.source_job, run.item) if part)
    ended = f", ended {run.ended_at:%Y-%m-%d %H:%M:%S} UTC" if run.ended_at else ""
    sizes = [
        f"{name} {getattr(run, f'{name}_bytes'):,} bytes"
        for name in ("protected", "changed", "transferred", "stored")
        if getattr(run, f"{name}_bytes") is not None
    ]
    told = [f"{named}: {run.outcome}{ended}" + (f"; {', '.join(sizes)}" if sizes else "")]
    told += [
        f"  {error.severity}: {error.path + ': ' if error.path else ''}{error.message}" for error in run.errors[:5]
    ]
    if run.errors_total > 5:
        told.append(f"  and {run.errors_total - 5} more")
    return told
