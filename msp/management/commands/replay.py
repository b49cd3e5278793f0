"""``replay``: reads receipts again, after a parser or an assignment was mended, and tells what that changed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from msp import pipeline
from msp.estate.models import BackupServer
from msp.ingest.models import AssignmentRule, Receipt
from msp.ingest.replaying import find_receipts, replay_receipts, show_receipts, tell_changes
from msp.management.commands.add_server import find_tenant
from msp.tenants.models import Tenant

ACTOR = "command line"
#: Receipts that are read again in one transaction.
TOGETHER = 100


class Command(BaseCommand):
    help = "Read receipts again and tell what that changed. Conditions that are given must all be met."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", help="slug of the tenant; not needed while there is only one")
        parser.add_argument(
            "--receipt", action="append", default=[], type=uuid.UUID, metavar="UID", help="this receipt"
        )
        parser.add_argument("--since", type=date.fromisoformat, metavar="DATE", help="received on this day or later")
        parser.add_argument("--format", default="", help="read as this format the last time")
        parser.add_argument("--server", default="", metavar="NAME", help="sent by this backup server")
        parser.add_argument("--rule", default="", metavar="NAME", help="whose runs this assignment rule assigned")
        parser.add_argument("--inbox", action="store_true", help="waiting in the inbox")
        parser.add_argument("--dry-run", action="store_true", help="only tell what would change; nothing is kept")
        parser.add_argument("--reason", default="", help="why; kept in the audit trail")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = find_tenant(options["tenant"])
        ids = list(asked_for(tenant, options).values_list("pk", flat=True))
        if options["receipt"] and len(ids) < len(set(options["receipt"])):
            raise CommandError("Some of these receipts are not there.")
        changed = lost = 0
        for start in range(0, len(ids), TOGETHER):
            part_changed, part_lost = self.replay(
                tenant, ids[start : start + TOGETHER], reason=options["reason"], keep=not options["dry_run"]
            )
            changed, lost = changed + part_changed, lost + part_lost
        kept = " Nothing was kept: this was a dry run." if options["dry_run"] else ""
        self.stdout.write(f"{len(ids) - lost} receipts read again, {changed} changed.{kept}")
        if lost:
            self.stdout.write(f"{lost} stay as they are: their contents are no longer kept.")

    def replay(self, tenant: Tenant, ids: Sequence[int], *, reason: str, keep: bool) -> tuple[int, int]:
        """Read these again in one transaction, so that nobody sees or takes them in between; answers changed, lost.

        A dry run goes the same way and rolls back: what it tells is what would have happened.
        """
        now = datetime.now(UTC)
        before = show_receipts(tenant.pk, ids)
        with transaction.atomic():
            queued = replay_receipts(tenant, ids, actor=ACTOR, reason=reason, now=now)
            pipeline.process_receipts(tenant.pk, queued.receipt_ids, now=now)
            after = show_receipts(tenant.pk, ids)
            if not keep:
                transaction.set_rollback(True)
        uids = dict(Receipt.objects.of(tenant).filter(pk__in=ids).values_list("pk", "uid"))
        changed = 0
        for receipt_id in ids:
            lines = list(tell_changes(before[receipt_id], after[receipt_id]))
            changed += bool(lines)
            for line in lines:
                self.stdout.write(f"{uids[receipt_id]}: {line}")
        return changed, len(queued.lost_ids)


def asked_for(tenant: Tenant, options: dict[str, Any]) -> Any:
    """The receipts that are meant. Raises CommandError when nothing says which."""
    chosen = ("receipt", "since", "format", "inbox", "server", "rule")
    if not any(options[name] for name in chosen):
        raise CommandError("Say which receipts: --receipt, --since, --format, --server, --rule or --inbox.")
    since = None
    if options["since"]:
        since = datetime.combine(options["since"], time.min, ZoneInfo(tenant.timezone))
    return find_receipts(
        tenant,
        uids=options["receipt"],
        since=since,
        format=options["format"],
        in_inbox=options["inbox"],
        server_id=named(BackupServer, tenant, options["server"]),
        rule_id=named(AssignmentRule, tenant, options["rule"]),
    )


def named(model: Any, tenant: Tenant, name: str) -> int | None:
    """The id of the one of this name; None for no name. Raises CommandError."""
    if not name:
        return None
    found = list(model.objects.of(tenant).filter(name=name).values_list("pk", flat=True)[:2])
    if len(found) != 1:
        raise CommandError(f'There is {"no" if not found else "more than one"} "{name}".')
    return int(found[0])
