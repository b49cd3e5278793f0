"""Verifies a final invoice: its hash, every amount from its working, and the ledger it rests on.

``manage.py verify_invoice 2026-00001 --tenant northwind``. Ends with an error if anything differs.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.models import Invoice
from billing.verifying import verify
from msp.management.commands.invoice_run import find_tenant


class Command(BaseCommand):
    help = "Verify a final invoice from its stored working and the ledger."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", help="the invoice's number")
        parser.add_argument("--tenant", required=True, help="the tenant's short name")
        parser.add_argument("--seller", help="legal name of the seller, if two sellers use the same number")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = find_tenant(options["tenant"])
        invoices = Invoice.objects.of(tenant).filter(number=options["number"])
        if options["seller"]:
            invoices = invoices.filter(seller__legal_name=options["seller"])
        uids = list(invoices.values_list("uid", flat=True))
        if len(uids) != 1:
            found = "There is no invoice" if not uids else "Several sellers have an invoice"
            raise CommandError(f"{found} {options['number']}." + (" Name one with --seller." if uids else ""))
        verified = verify(tenant, uids[0])
        for sentence in verified.differences:
            self.stderr.write(sentence)
        if not verified.holds:
            raise CommandError(f"{verified.number} does not hold.")
        counted = f"{verified.lines} lines, {verified.days} days"
        self.stdout.write(f"{verified.number} holds: {counted}, hash {verified.content_hash}")
