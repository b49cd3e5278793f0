"""Writes what a seller issued as a file for an accounting program.

``manage.py export_invoices xero --tenant northwind --from 2026-10-01 --to 2026-10-31 --into exports``.
"""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.exporting import EXPORTS
from billing.exporting.making import make_export
from billing.params import BadParams
from billing.refusals import Refused
from msp.management.commands.invoice_run import find_sellers, find_tenant

ACTOR = "command export_invoices"


class Command(BaseCommand):
    help = "Export the documents that sellers issued from one day to another (both included)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("exporter", choices=list(EXPORTS))
        parser.add_argument("--tenant", required=True, help="the tenant's short name")
        parser.add_argument("--seller", help="legal name of the seller, where there are several")
        parser.add_argument("--from", dest="first_day", required=True, type=read_day, help="such as 2026-10-01")
        parser.add_argument("--to", dest="until", required=True, type=read_day, help="included")
        parser.add_argument("--into", default=".", help="folder for the file")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = find_tenant(options["tenant"])
        sellers = find_sellers(tenant, options["seller"])
        if len(sellers) > 1:
            raise CommandError(f"{tenant} has several sellers: say which by --seller.")
        try:
            file = make_export(
                tenant, sellers[0], exporter=options["exporter"], first_day=options["first_day"],
                last_day=options["until"] + timedelta(days=1), actor=ACTOR, now=datetime.now(UTC),
            )  # fmt: skip
        except (Refused, BadParams) as refusal:
            raise CommandError(str(refusal)) from refusal
        path = Path(options["into"]) / file.name
        path.write_bytes(file.content)
        self.stdout.write(str(path))


def read_day(text: str) -> date:
    """Raises CommandError."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is not a day; write it as 2026-10-01.") from error
