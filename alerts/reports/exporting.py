"""A month's verdicts as CSV for spreadsheets: UTF-8 with a mark at its beginning, and no cell that is a formula."""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Any

from alerts.models import DailyVerdict
from msp.backups.models import BackupJob
from msp.estate.queries import Reach, clients_within
from msp.partitions import next_month

COLUMNS = (
    "night", "client", "server", "job", "verdict", "former", "silenced", "runs", "good_runs", "failed_runs",
    "first_started_at", "last_ended_at", "protected_bytes",
)  # fmt: skip
#: What a spreadsheet takes for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def verdicts_csv(reach: Reach, *, month: date) -> str:
    """One row for each job and night of the month, in three statements. Moments are UTC, sizes in bytes."""
    clients: dict[int, str] = dict(clients_within(reach).values_list("pk", "name"))
    rows = DailyVerdict.objects.of(reach.tenant_id).filter(
        night__gte=month, night__lt=next_month(month, steps=1), client_id__in=list(clients)
    )
    jobs = {
        pk: (server, name)
        for pk, server, name in BackupJob.objects.of(reach.tenant_id).values_list("pk", "server__name", "name")
    }
    told = io.StringIO()
    writer = csv.writer(told, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows.order_by("night", "client_id", "job_id").iterator():
        server, job = jobs.get(row.job_id, ("", ""))
        cells = {"client": clients[row.client_id], "server": server, "job": job}
        writer.writerow([cell(cells.get(name, getattr(row, name, None))) for name in COLUMNS])
    return "\ufeff" + told.getvalue()


def cell(value: Any) -> str:
    """A value as a cell; a text that a spreadsheet would calculate stands behind an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA) else text
