"""A client's month, for the client: how the nights went, what was restored, what is covered, what was agreed.

All figures rest on the daily verdicts, which outlive runs. The values are plain JSON, the same for page and PDF; made
again with other values they are a new version. A fixed number of statements. Percentages are texts with one decimal.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from django.db import connection, transaction
from django.db.models import Max, Q

from alerts.models import ClientReport, DailyVerdict, Incident, RestoreTest, Silence
from alerts.rules import KINDS
from msp.backups.models import BackupJob
from msp.estate.models import Client, Machine, Selection, Waiver
from msp.partitions import next_month
from msp.tenants import audit
from msp.tenants.models import AuditEntry, Branding, Tenant

DUE = ("good", "warning", "failed", "unknown", "missed", "not heard")
#: A report holds so many rows of each list; how many more there are is told.
MOST_ROWS = 200


class NoSuchMonth(ValueError):
    """The month is not over yet, or no night of it was judged; the text is a sentence."""


@dataclass(frozen=True)
class Month:
    """A month of the tenant's zone: its days, and its moments in UTC, the end outside."""

    first: date
    last: date
    begins: datetime
    ends: datetime

    @classmethod
    def of(cls, first: date, zone: str) -> Month:
        following = next_month(first)
        local = ZoneInfo(zone)
        return cls(
            first,
            following - timedelta(days=1),
            datetime.combine(first, time(), tzinfo=local).astimezone(UTC),
            datetime.combine(following, time(), tzinfo=local).astimezone(UTC),
        )


def make_report(tenant: Tenant, client: Client, first: date, *, actor: str, now: datetime) -> ClientReport:
    """The newest version of a client's month, made anew if its values have changed. Raises NoSuchMonth."""
    month = Month.of(first.replace(day=1), tenant.timezone)
    if now < month.ends:
        raise NoSuchMonth("The month is not over yet: a report is made when all its nights have ended.")
    values = month_values(tenant, client, month)
    digest = hashlib.sha256(orjson.dumps(values, option=orjson.OPT_SORT_KEYS)).hexdigest()
    with transaction.atomic():
        Client.objects.of(tenant).select_for_update().get(pk=client.pk)
        newest = ClientReport.objects.of(tenant).filter(client=client, month=month.first).order_by("-version").first()
        if newest is not None and newest.digest == digest:
            known: ClientReport = newest
            return known
        report: ClientReport = ClientReport.objects.of(tenant).create(
            client=client, month=month.first, version=newest.version + 1 if newest else 1, values=values, digest=digest,
            made_by=actor[:200], made_at=now,
        )  # fmt: skip
    return report


def sign_report(tenant: Tenant, report: ClientReport, *, signed_by: str, actor: str, now: datetime) -> None:
    """The client's sign-off, as a person of ours records it. Once: raises ValueError for one that is signed."""
    if not signed_by.strip():
        raise ValueError("Say who signed for the client.")
    signed = ClientReport.objects.of(tenant).filter(pk=report.pk, signed_at__isnull=True)
    if not signed.update(signed_by=signed_by.strip()[:200], signed_at=now):
        raise ValueError("This version is signed already.")
    audit.record(
        tenant, actor=actor, action="client report signed", subject_kind="client", subject_id=report.client_id,
        subject=f"{report.month:%Y-%m} version {report.version}", reason=f"Signed by {signed_by.strip()}.", now=now,
    )  # fmt: skip


def month_values(tenant: Tenant, client: Client, month: Month) -> dict[str, Any]:
    """Everything that page and PDF show. Raises NoSuchMonth where no night was judged."""
    verdicts = list(
        DailyVerdict.objects.of(tenant)
        .filter(client_id=client.pk, night__gte=month.first, night__lte=month.last)
        .order_by("job_id", "night")
    )
    if not verdicts:
        raise NoSuchMonth("No night of this client was judged in that month.")
    names = {row.pk: row for row in BackupJob.objects.of(tenant).filter(pk__in={one.job_id for one in verdicts})}
    by_job: dict[int, list[DailyVerdict]] = defaultdict(list)
    for one in verdicts:
        by_job[one.job_id].append(one)
    brand = branding_of(tenant, client)
    return {
        "client": client.name,
        "month": f"{month.first:%Y-%m}",
        "zone": tenant.timezone,
        "provider": brand.title if brand else tenant.name,
        "colour": brand.colour if brand else "",
        "nights": count_nights(verdicts),
        "jobs": [
            {"job": names[job_id].name if job_id in names else f"job {job_id}", **count_nights(rows)}
            for job_id, rows in by_job.items()
        ],
        "sizes": size_series(verdicts, month),
        "incidents": incidents_of(tenant, client, month),
        "restores": restores_of(tenant, client, month),
        "coverage": coverage_of(tenant, client),
        "waivers": waivers_of(tenant, client, month),
        "silences": silences_of(tenant, client, month),
        "rule_changes": rule_changes_of(tenant, client, month),
        "observed": not (tenant.tickets_enabled and client.tickets_enabled),
    }


def branding_of(tenant: Tenant, client: Client) -> Branding | None:
    """The reseller's, else the tenant's own."""
    rows = {
        row.reseller_id: row
        for row in Branding.objects.of(tenant).filter(Q(reseller__isnull=True) | Q(reseller=client.reseller_id))
    }
    found: Branding | None = rows.get(client.reseller_id) or rows.get(None)
    return found


def count_nights(rows: Sequence[DailyVerdict]) -> dict[str, Any]:
    """Nights by verdict; the success rate is good ones of those that were due, compliance those with any good run."""
    count = {verdict: sum(one.verdict == verdict for one in rows) for verdict in (*DUE, "not due")}
    due = sum(count[verdict] for verdict in DUE)
    kept = count["good"] + count["warning"]
    return {
        "count": count,
        "due": due,
        "success": percent(count["good"], due),
        "compliance": percent(kept, due),
        "longest_gap": longest_gap(rows),
    }


def percent(part: int, whole: int) -> str:
    """ "99.3", cut and never rounded up; "" of nothing."""
    return f"{part * 1000 // whole / 10:.1f}" if whole else ""


def longest_gap(rows: Iterable[DailyVerdict]) -> int:
    """The most nights in a row that were due and had no good run, of any one job."""
    longest = running = 0
    job_id = None
    for one in rows:
        if one.job_id != job_id:
            job_id, running = one.job_id, 0
        if one.verdict in ("good", "warning"):
            running = 0
        elif one.verdict != "not due":
            running += 1
            longest = max(longest, running)
    return longest


def size_series(verdicts: Iterable[DailyVerdict], month: Month) -> list[list[Any]]:
    """[day, protected bytes] of each night: each selection's newest figure, carried on until the next."""
    told: dict[date, dict[int, int]] = defaultdict(dict)
    for one in verdicts:
        if one.protected_bytes is not None:
            told[one.night][one.selection_id] = one.protected_bytes
    newest: dict[int, int] = {}
    series: list[list[Any]] = []
    for step in range((month.last - month.first).days + 1):
        day = month.first + timedelta(days=step)
        newest |= told.get(day, {})
        if newest:
            series.append([day.isoformat(), sum(newest.values())])
    return series


def rows_of(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """A list as the report keeps it: the first ones, and how many there are."""
    listed = list(rows)
    return {"total": len(listed), "rows": listed[:MOST_ROWS]}


def incidents_of(tenant: Tenant, client: Client, month: Month) -> dict[str, Any]:
    found = Incident.objects.of(tenant).filter(client=client, opened_at__lt=month.ends)
    found = found.filter(Q(closed_at__isnull=True) | Q(closed_at__gte=month.begins)).order_by("opened_at", "pk")
    return rows_of(
        {
            "label": KINDS[row.kind].LABEL if row.kind in KINDS else row.kind,
            "severity": row.severity,
            "summary": row.summary,
            "opened_at": row.opened_at.isoformat(),
            # What happened after the month is no part of it: the report of March says what March knew.
            "closed_at": row.closed_at.isoformat() if row.closed_at and row.closed_at < month.ends else "",
            "reason": row.close_reason if row.closed_at and row.closed_at < month.ends else "",
        }
        for row in found
    )


RESTORES = """
SELECT selection.name, run.operation, run.outcome, run.ended_at, run.duration_seconds, run.restored_bytes,
       run.checksum_ok
FROM backups_jobrun run JOIN estate_selection selection ON selection.id = run.selection_id
WHERE run.tenant_id = %(tenant)s AND run.client_id = %(client)s AND run.filed_month = ANY(%(months)s)
      AND run.operation IN ('restore', 'verify') AND run.outcome <> 'running'
      AND run.ended_at >= %(begins)s AND run.ended_at < %(ends)s
ORDER BY run.ended_at, run.id
"""


def restores_of(tenant: Tenant, client: Client, month: Month) -> dict[str, Any]:
    """Those that people made, and those that logs told of."""
    made = RestoreTest.objects.of(tenant).filter(client_id=client.pk).select_related("selection")
    rows = [
        {
            "selection": row.selection.name, "what": row.what, "result": row.result, "by": row.tested_by,
            "at": row.tested_at.isoformat(), "seconds": row.seconds, "bytes": row.restored_bytes, "proof": row.proof,
        }
        for row in made.filter(tested_at__gte=month.begins, tested_at__lt=month.ends).order_by("tested_at", "pk")
    ]  # fmt: skip
    values: dict[str, Any] = {
        "tenant": tenant.pk, "client": client.pk, "begins": month.begins, "ends": month.ends,
        "months": [next_month(month.first, steps=step) for step in (-1, 0, 1)],
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(RESTORES, values)
        rows += [
            {
                "selection": name, "what": operation, "result": outcome, "by": "", "at": ended.isoformat(),
                "seconds": None if seconds is None else int(seconds), "bytes": size,
                "proof": "" if checksum is None else f"checksum {'right' if checksum else 'wrong'}",
            }
            for name, operation, outcome, ended, seconds, size, checksum in cursor.fetchall()
        ]  # fmt: skip
    return rows_of(sorted(rows, key=lambda row: str(row["at"])))


def coverage_of(tenant: Tenant, client: Client) -> dict[str, int]:
    """The client's machines as they are now: expected to be protected and covered by a job or not, waived, unknown."""
    machines = list(Machine.objects.of(tenant).filter(client=client, state="active").values_list("pk", "expectation"))
    covered = set(
        BackupJob.objects.of(tenant)
        .filter(state__in=("active", "proposed"), selection__client=client, selection__machine__isnull=False)
        .values_list("selection__machine_id", flat=True)
    )
    return {
        "covered": sum(pk in covered for pk, expected in machines if expected == "protected"),
        "uncovered": sum(pk not in covered for pk, expected in machines if expected == "protected"),
        "waived": sum(expected == "waived" for _, expected in machines),
        "unknown": sum(expected == "unknown" for _, expected in machines),
    }


def waivers_of(tenant: Tenant, client: Client, month: Month) -> dict[str, Any]:
    machines = dict(Machine.objects.of(tenant).filter(client=client).values_list("pk", "name"))
    selections = dict(Selection.objects.of(tenant).filter(client=client).values_list("pk", "name"))
    names = {"client": {client.pk: client.name}, "machine": machines, "selection": selections}
    found = Waiver.objects.of(tenant).filter(signed_at__lt=month.ends)
    found = found.filter(Q(ends_on__isnull=True) | Q(ends_on__gte=month.first)).order_by("signed_at", "pk")
    return rows_of(
        {
            "what": names[row.subject_kind][row.subject_id], "reason": row.reason, "signed_by": row.signed_by,
            "signed_at": row.signed_at.isoformat(), "ends_on": row.ends_on.isoformat() if row.ends_on else "",
        }
        for row in found
        if row.subject_id in names.get(row.subject_kind, {})
    )  # fmt: skip


def silences_of(tenant: Tenant, client: Client, month: Month) -> dict[str, Any]:
    jobs = BackupJob.objects.of(tenant).filter(selection__client=client).values_list("pk", "selection_id", "server_id")
    scopes = {("tenant", tenant.pk), ("client", client.pk)}
    for job_id, selection_id, server_id in jobs:
        scopes |= {("job", job_id), ("selection", selection_id), ("server", server_id)}
    found = Silence.objects.of(tenant).filter(starts_at__lt=month.ends, ends_at__gt=month.begins)
    return rows_of(
        {
            "scope": row.scope_kind, "from": row.starts_at.isoformat(), "to": row.ends_at.isoformat(),
            "schedule": row.schedule, "reason": row.reason or row.kind,
        }
        for row in found.order_by("starts_at", "pk")
        if (row.scope_kind, row.scope_id) in scopes
    )  # fmt: skip


def rule_changes_of(tenant: Tenant, client: Client, month: Month) -> dict[str, Any]:
    """Who changed which rule for the client or for everybody."""
    found = AuditEntry.objects.of(tenant).filter(
        Q(subject_kind="client", subject_id=client.pk) | Q(subject_kind="tenant"),
        action__in=("rule set", "rule setting removed"),
        at__gte=month.begins,
        at__lt=month.ends,
    )
    return rows_of(
        {"at": row.at.isoformat(), "by": row.actor, "what": f"{row.action}: {row.subject}"}
        for row in found.order_by("at", "pk")
    )


def newest_reports(tenant: Tenant, client: Client) -> list[ClientReport]:
    """The newest version of each month, newest month first."""
    newest: Mapping[date, int] = dict(
        ClientReport.objects.of(tenant)
        .filter(client=client)
        .values("month")
        .annotate(newest=Max("version"))
        .values_list("month", "newest")
    )
    rows = ClientReport.objects.of(tenant).filter(client=client, month__in=newest).order_by("-month")
    return [row for row in rows if row.version == newest[row.month]]
