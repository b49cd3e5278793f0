"""Makes the monthly reports of all clients for a month that is over; the same values make no new version."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from alerts.reports.client_month import NoSuchMonth, make_report
from msp.estate.models import Client
from msp.tenants.models import Tenant


class Command(BaseCommand):
    help = "Make the monthly reports of all clients."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--month", required=True, help="such as 2026-10")
        parser.add_argument("--tenant", default="", help="the slug of one tenant; all tenants if left out")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            month = datetime.strptime(options["month"], "%Y-%m").date()  # noqa: DTZ007  (a month has no zone)
        except ValueError as error:
            raise CommandError("Write the month as 2026-10.") from error
        tenants = Tenant.objects.filter(state="active").order_by("pk")
        if options["tenant"]:
            tenants = tenants.filter(slug=options["tenant"])
            if not tenants:
                raise CommandError(f"There is no tenant {options['tenant']!r}.")
        now = datetime.now(UTC)
        for tenant in tenants:
            for client in Client.objects.of(tenant).exclude(state="deleted").order_by("name", "pk"):
                self.make(tenant, client, month, now)

    def make(self, tenant: Tenant, client: Client, month: Any, now: datetime) -> None:
        try:
            report = make_report(tenant, client, month, actor="command client_reports", now=now)
        except NoSuchMonth as refused:
            self.stdout.write(f"{tenant.slug}  {client.name}: {refused}")
            return
        self.stdout.write(f"{tenant.slug}  {client.name}: version {report.version}")
