"""The usage ledger: writes what runs measured, append-only, and corrects by further entries.

Called by recording, in its transaction, with the state rows of the jobs already locked: nothing else keeps two writers
of one source apart. Two statements whatever the number of measurements. The same figure again writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection

from billing.counting import Counted, counts_of, metrics_counted
from billing.metrics import BY_NAME
from billing.models import UsageNames
from msp.backups.runs import Measurement

#: The figures of one measurement, by metric.
FIGURES = (("protected", "protected_bytes"), ("stored", "stored_bytes"), ("transferred", "transferred_bytes"))
#: The reason of an entry begins so where a person corrected what a run said: reading the run again changes nothing.
CORRECTED = "corrected: "


@dataclass(frozen=True, kw_only=True)
class PersonalFigure:
    """A figure of a selection and day that came without a run; ``quantity`` None withdraws the one before.

    ``measured_at`` is the end of the day it is about; ``names`` are pairs of what a thing is known by and its name.
    """

    selection_id: int
    client_id: int
    metric: str
    day: date
    measured_at: datetime
    quantity: int | None
    basis: str
    origin: str
    reason: str
    names: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Entered:
    """How many entries were written, and whose measuring job or basis was set for the first time (selection ids)."""

    entries: int
    first_measured: tuple[int, ...]


# Of a tenant that its statistics have not seen yet PostgreSQL believes that it has no rows, and would read all of them
# for each look-up, by some index that begins with the tenant. So inner look-ups take the tenant from a column (then an
# average tenant is reckoned with), and rows found by id compare it by IS NOT DISTINCT FROM, which no index serves.
ENTER = """
WITH given AS (
    SELECT DISTINCT ON (source, metric) *
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS r(
        place int, source text, metric text, quantity bigint, unit text, basis text, job_id bigint,
        selection_id bigint, client_id bigint, run_key text, run_month date, measured_at timestamptz, reason text,
        names jsonb)
    ORDER BY source, metric, place DESC
), dated AS (
    SELECT g.*, t.id AS tenant_id, (g.measured_at AT TIME ZONE t.timezone)::date AS local_day
    FROM given g JOIN tenants_tenant t ON t.id = %(tenant)s
), placed AS (
    SELECT d.tenant_id, d.source, d.metric, d.quantity, d.unit, d.basis, d.job_id, d.run_key, d.run_month,
           d.measured_at, d.reason, d.names, d.local_day, s.selection_id, c.client_id, r.reseller_id
    FROM dated d
    CROSS JOIN LATERAL (SELECT coalesce((
        SELECT x.selection_id FROM backups_jobselectionspan x
        WHERE x.tenant_id = d.tenant_id AND x.job_id = d.job_id AND x.since <= d.local_day
          AND (x.until IS NULL OR x.until > d.local_day)), d.selection_id) AS selection_id) s
    CROSS JOIN LATERAL (SELECT coalesce((
        SELECT x.client_id FROM estate_selectionclientspan x
        WHERE x.tenant_id = d.tenant_id AND x.selection_id = s.selection_id AND x.since <= d.local_day
          AND (x.until IS NULL OR x.until > d.local_day)), d.client_id) AS client_id) c
    CROSS JOIN LATERAL (SELECT (
        SELECT x.reseller_id FROM estate_clientresellerspan x
        WHERE x.tenant_id = d.tenant_id AND x.client_id = c.client_id AND x.since <= d.local_day
          AND (x.until IS NULL OR x.until > d.local_day)) AS reseller_id) r
), compared AS (
    SELECT p.*, e.revision AS last_revision, e.quantity AS last_quantity, e.basis AS last_basis,
           e.selection_id AS last_selection, e.client_id AS last_client, e.reseller_id AS last_reseller,
           e.local_day AS last_day, e.measured_at AS last_measured, e.run_month AS last_month, e.reason AS last_reason,
           n.names AS last_names
    FROM placed p LEFT JOIN LATERAL (
        SELECT * FROM billing_usageentry u
        WHERE u.tenant_id = p.tenant_id AND u.source = p.source AND u.metric = p.metric
        ORDER BY u.revision DESC LIMIT 1) e ON true
    LEFT JOIN LATERAL (
        SELECT k.names FROM billing_usagenames k
        WHERE p.names IS NOT NULL AND k.tenant_id = p.tenant_id AND k.source = p.source AND k.metric = p.metric
          AND k.revision = e.revision) n ON true
)
INSERT INTO billing_usageentry (tenant_id, source, metric, revision, quantity, unit, basis, selection_id, client_id,
    reseller_id, job_id, run_key, run_month, local_day, measured_at, known_at, reason)
SELECT tenant_id, source, metric, coalesce(last_revision + 1, 0), quantity, unit,
    CASE WHEN quantity IS NULL THEN last_basis ELSE basis END,
    CASE WHEN quantity IS NULL THEN last_selection ELSE selection_id END,
    CASE WHEN quantity IS NULL THEN last_client ELSE client_id END,
    CASE WHEN quantity IS NULL THEN last_reseller ELSE reseller_id END,
    job_id, run_key,
    CASE WHEN quantity IS NULL THEN last_month ELSE run_month END,
    CASE WHEN quantity IS NULL THEN last_day ELSE local_day END,
    CASE WHEN quantity IS NULL THEN last_measured ELSE measured_at END,
    %(now)s, reason
FROM compared
WHERE CASE WHEN quantity IS NULL THEN last_quantity IS NOT NULL
      ELSE (quantity, basis, selection_id, client_id, reseller_id, measured_at)
           IS DISTINCT FROM (last_quantity, last_basis, last_selection, last_client, last_reseller, last_measured)
           OR (names IS NOT NULL AND names IS DISTINCT FROM last_names) END
  AND NOT (job_id IS NOT NULL AND quantity IS NOT NULL AND starts_with(last_reason, %(corrected)s)
           AND (selection_id, client_id) = (last_selection, last_client)) IS TRUE
ORDER BY source, metric
RETURNING source, metric, revision
"""

FIRST_MEASURED = """
WITH given AS (
    SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS r(
        place int, source text, metric text, quantity bigint, basis text, job_id bigint, selection_id bigint,
        measured_at timestamptz, run_key text)
    WHERE metric = 'protected' AND quantity IS NOT NULL
), first AS (
    SELECT DISTINCT ON (s.id) s.id, g.job_id, g.basis, (g.measured_at AT TIME ZONE t.timezone)::date AS since
    FROM given g
    JOIN tenants_tenant t ON t.id = %(tenant)s
    JOIN backups_backupjob j ON j.tenant_id IS NOT DISTINCT FROM t.id AND j.id = g.job_id AND j.state <> 'proposed'
    LEFT JOIN LATERAL (
        SELECT y.selection_id FROM backups_jobselectionspan y
        WHERE y.tenant_id = t.id AND y.job_id = g.job_id
          AND y.since <= (g.measured_at AT TIME ZONE t.timezone)::date
          AND (y.until IS NULL OR y.until > (g.measured_at AT TIME ZONE t.timezone)::date) LIMIT 1) x ON true
    JOIN estate_selection s ON s.tenant_id IS NOT DISTINCT FROM t.id AND s.id = coalesce(x.selection_id, g.selection_id)
    WHERE s.measuring_job_id IS NULL OR (s.measuring_job_id = g.job_id AND s.basis = '' AND g.basis <> '')
    ORDER BY s.id, (j.role = 'primary') DESC, g.measured_at, g.run_key
), chosen AS (
    UPDATE estate_selection s SET measuring_job_id = f.job_id, basis = f.basis
    FROM first f
    WHERE s.tenant_id IS NOT DISTINCT FROM %(tenant)s AND s.id = f.id
    RETURNING s.id, f.job_id, f.basis, f.since
)
INSERT INTO billing_measuringchoice (tenant_id, selection_id, job_id, basis, since, decided_at, actor, reason)
SELECT %(tenant)s, id, job_id, basis, since, %(now)s, '', 'first measurement' FROM chosen ORDER BY id
RETURNING selection_id
"""


def source_of(measurement: Measurement) -> str:
    """The ledger's name for what this run measured; the same for every reading of the same run."""
    return f"run:{measurement.job_id}:{measurement.run_key}"


def enter_usage(tenant_id: int, measurements: Sequence[Measurement], *, now: datetime) -> Entered:
    """Write what these runs measured, with selection, client and reseller as they were on the local day of the run.

    A figure that differs from the last one of its source is written as its next revision; None withdraws what the
    source said before; a figure that a person corrected stays. Of one source given twice the later one counts. A
    selection's first measurable run makes its job the measuring job and its basis the basis; another job or basis is
    entered but billed only once a person approves it.
    """
    if not measurements:
        return Entered(entries=0, first_measured=())
    values: dict[str, Any] = {"rows": json.dumps(_rows(measurements)), "tenant": tenant_id, "now": now}
    entries = _enter(tenant_id, values, names={}) + enter_counts(tenant_id, measurements, now=now)
    with connection.cursor() as cursor:
        cursor.execute(FIRST_MEASURED, values)
        return Entered(entries=entries, first_measured=tuple(row[0] for row in cursor.fetchall()))


def enter_counts(tenant_id: int, measurements: Sequence[Measurement], *, now: datetime) -> int:
    """Write what these runs count, as far as a plan of the tenant meters it, and answer how many entries that took.

    The caller holds the state rows of their jobs. One statement if no plan meters a count.
    """
    metrics = metrics_counted(tenant_id) if measurements else frozenset()
    if not metrics:
        return 0
    rows = [
        _counted_row(each, counted, place=place)
        for place, (each, told) in enumerate(counts_of(tenant_id, measurements, metrics))
        for counted in told
    ]
    names = {(row["source"], row["metric"]): row["names"] for row in rows if row["names"] is not None}
    return _enter(tenant_id, {"rows": json.dumps(rows), "tenant": tenant_id, "now": now}, names=names)


def enter_figures(tenant_id: int, figures: Sequence[PersonalFigure], *, now: datetime) -> int:
    """Write figures that a person gave, and answer how many entries that took; the same figure again writes nothing.

    The caller holds the rows of their selections: nothing else keeps two writers of one source apart.
    """
    rows = [_given_row(figure, place=place) for place, figure in enumerate(figures)]
    names = {(row["source"], row["metric"]): row["names"] for row in rows if row["names"] is not None}
    return _enter(tenant_id, {"rows": json.dumps(rows), "tenant": tenant_id, "now": now}, names=names)


def _enter(tenant_id: int, values: dict[str, Any], *, names: Mapping[tuple[str, str], list[list[str]]]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(ENTER, {**values, "corrected": CORRECTED})
        if not names:
            return int(cursor.rowcount)
        written = cursor.fetchall()
    UsageNames.objects.of(tenant_id).bulk_create(
        UsageNames(source=source, metric=metric, revision=revision, names=names[source, metric])
        for source, metric, revision in written
        if (source, metric) in names
    )
    return len(written)


def _rows(measurements: Sequence[Measurement]) -> list[dict[str, Any]]:
    return [
        _row(measurement, place=place, metric=metric, quantity=getattr(measurement, field))
        for place, measurement in enumerate(measurements)
        for metric, field in FIGURES
    ]


def _given_row(figure: PersonalFigure, *, place: int) -> dict[str, Any]:
    return {
        "place": place,
        "source": f"import:{figure.selection_id}:{figure.day}",
        "metric": figure.metric,
        "quantity": figure.quantity,
        "unit": BY_NAME[figure.metric].unit,
        "basis": figure.basis,
        "job_id": None,
        "selection_id": figure.selection_id,
        "client_id": figure.client_id,
        "run_key": figure.origin,
        "run_month": None,
        "measured_at": figure.measured_at.isoformat(),
        "reason": figure.reason[:60],
        "names": [list(pair) for pair in figure.names] if figure.names else None,
    }


def _counted_row(measurement: Measurement, counted: Counted, *, place: int) -> dict[str, Any]:
    names = None if counted.names is None else [list(pair) for pair in counted.names]
    quantity = None if names is None else len(names)
    row = _row(measurement, place=place, metric=counted.metric, quantity=quantity)
    return row | {"unit": "each", "names": names}


def _row(measurement: Measurement, *, place: int, metric: str, quantity: int | None) -> dict[str, Any]:
    return {
        "place": place,
        "source": source_of(measurement),
        "metric": metric,
        "quantity": quantity,
        "unit": "byte",
        "basis": measurement.basis if metric == "protected" else "",
        "job_id": measurement.job_id,
        "selection_id": measurement.selection_id,
        "client_id": measurement.client_id,
        "run_key": measurement.run_key,
        "run_month": measurement.filed_month.isoformat(),
        "measured_at": measurement.measured_at.isoformat(),
        "reason": measurement.reason[:60],
        "names": None,
    }
