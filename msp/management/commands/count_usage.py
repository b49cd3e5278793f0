"""Enters the machines and components of past runs: ``manage.py count_usage --tenant northwind --month 2026-10``.

Needed only where counting was broken off after the first plan on counts was stored: what is entered already stays, and
a second run writes nothing.
"""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from billing.counting import count_again
from msp.management.commands.invoice_run import find_tenant, read_month


class Command(BaseCommand):
    help = "Enter what the runs since a month count, as far as plans meter it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="the tenant's short name")
        parser.add_argument("--month", required=True, help="the first month, such as 2026-10")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = find_tenant(options["tenant"])
        written = count_again(tenant.pk, since=read_month(options["month"]), now=datetime.now(UTC))
        self.stdout.write(f"{written} entries written.")
