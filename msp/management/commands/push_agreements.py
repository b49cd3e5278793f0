"""Shows what a month's quantities would change on agreement lines in a PSA system, and pushes them with ``--push``.

``manage.py push_agreements ConnectWise --tenant northwind --month 2026-10``.
"""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from alerts import agreement_desks
from billing.days import Period
from billing.exact import number_text
from billing.periods import month_from, refuse_unfinished
from billing.psa_difference import PsaRow, planned_rows, read_rows, refuse_day
from billing.psa_pushing import ask_push
from billing.refusals import Refused
from integrations.agreements.desk import Desk
from msp.management.commands.export_invoices import read_day
from msp.management.commands.invoice_run import find_tenant
from msp.tasks import wake_delivery
from msp.tenants.models import Tenant

ACTOR = "command push_agreements"
#: Nobody waits before a page here: long enough for a few thousand lines.
SECONDS = 1800
WORDS = {"unmapped": "not mapped", "problem": "cannot be pushed", "waiting": "on its way", "same": "the same"}


class Command(BaseCommand):
    help = "Compare a month's quantities with agreement lines; exits with 1 where a line cannot be pushed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("destination", help="name of a destination whose system keeps agreements")
        parser.add_argument("--tenant", required=True, help="the tenant's short name")
        parser.add_argument("--month", required=True, help="such as 2026-10")
        parser.add_argument("--from", dest="day", help="the day from which the quantities count; the month's first")
        parser.add_argument("--push", action="store_true", help="push what differs; without it nothing is written")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant, now = find_tenant(options["tenant"]), datetime.now(UTC)
        desk = _desk(tenant, options["destination"])
        try:
            period = _month(options["month"])
            refuse_unfinished(period, zone=tenant.timezone, now=now)
            day = read_day(options["day"]) if options["day"] else period.first_day
            refuse_day(period, day)
            if desk.problem:
                raise Refused(desk.problem)
            rows = planned_rows(tenant, desk, agreement_desks, period=period, effective_on=day)
            rows = read_rows(rows, desk, effective_on=day, now=now, seconds=SECONDS)
            for row in rows:
                self.stdout.write(_told(row))
            if options["push"]:
                keys = [row.key for row in rows if row.kind == "change"]
                count, problems = ask_push(
                    tenant, desk, agreement_desks, period=period, effective_on=day, keys=keys, actor=ACTOR, now=now
                )
                wake_delivery()
                self.stdout.write("\n".join((*problems, f"{count} on the way")))
        except Refused as refusal:
            raise CommandError(refusal.reason) from refusal
        if any(row.kind == "problem" for row in rows):
            raise SystemExit(1)


def _told(row: PsaRow) -> str:
    who = f"{row.client.name}, {row.plan}"
    if row.kind == "change" and row.line and row.stated and row.quantity is not None:
        change = f"{number_text(row.line.quantity)} -> {number_text(row.quantity)} {row.stated.unit}"
        return f"{who}: {change} on {row.line.agreement}, {row.line.name}"
    return f"{who}: {WORDS[row.kind]}{f': {row.problem}' if row.problem else ''}"


def _desk(tenant: Tenant, name: str) -> Desk:
    desks = agreement_desks.desks_of(tenant.pk)
    found = next((desk for desk in desks if desk.name == name), None)
    if found is None:
        known = ", ".join(desk.name for desk in desks) or "none"
        raise CommandError(f"There is no destination {name} that keeps agreements; there are: {known}.")
    return found


def _month(text: str) -> Period:
    try:
        return month_from(date.fromisoformat(f"{text}-01"))
    except ValueError as error:
        raise CommandError(f"{text!r} is not a month; write it as 2026-10.") from error
