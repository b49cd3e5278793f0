"""What screens and the API read of measured sizes: reported and measured side by side, and since when they differ.

Every query takes a ``Reach``. What is reported is what the product says now; what is measured is the newest
measurement, which stands until the next.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from msp.backups.size_models import SelectionDefinition, SelectionMeasurement
from msp.estate.models import Selection
from msp.estate.queries import Reach, within


@dataclass(frozen=True)
class SizeRow:
    """A selection with both figures, in bytes; None where there is none. ``error`` is of the newest attempt.

    ``gap_bytes`` is reported minus measured, 0 between hard links counted once and each time; ``gap_since`` when the
    first measurement of the row was made that differs into the same direction.
    """

    selection_id: int
    selection_uid: uuid.UUID
    selection: str
    reported_bytes: int | None
    reported_at: datetime | None
    once_bytes: int | None
    each_bytes: int | None
    measured_at: datetime | None
    source: str
    files: int | None
    links: int
    unreadable: int
    whole: bool
    error: str
    gap_since: datetime | None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def measured_bytes(self) -> int | None:
        """The figure to show: hard links once where that is known."""
        return self.each_bytes if self.once_bytes is None else self.once_bytes

    @property
    def gap_bytes(self) -> int | None:
        if self.reported_bytes is None or self.each_bytes is None or self.measured_bytes is None:
            return None
        if self.reported_bytes < self.measured_bytes:
            return self.reported_bytes - self.measured_bytes
        return max(0, self.reported_bytes - self.each_bytes)

    @property
    def gap_size(self) -> int | None:
        """The difference without its direction."""
        return None if self.gap_bytes is None else abs(self.gap_bytes)

    @property
    def gap_percent(self) -> float | None:
        """Of the measured size; None where there is nothing to divide by."""
        gap, measured = self.gap_bytes, self.measured_bytes
        return None if gap is None or not measured else round(gap * 100 / measured, 1)


SIZES = """
SELECT selection.id, selection.uid, selection.name, reported.protected_bytes, reported.protected_at,
       newest.bytes_once, newest.bytes_each, newest.measured_at, coalesce(newest.source, ''), newest.files,
       coalesce(newest.links, 0), coalesce(newest.unreadable, 0), coalesce(newest.whole, false),
       coalesce(attempt.error, ''), gap.since, coalesce(newest.details, '{}')
FROM estate_selection selection
LEFT JOIN LATERAL (
    SELECT state.protected_bytes, state.protected_at FROM backups_backupjob job
    JOIN backups_jobstate state ON state.job_id = job.id
    WHERE job.tenant_id = selection.tenant_id AND job.selection_id = selection.id
      AND state.protected_bytes IS NOT NULL
    ORDER BY (job.id = selection.measuring_job_id) DESC NULLS LAST, state.protected_at DESC LIMIT 1
) AS reported ON true
LEFT JOIN LATERAL (
    SELECT size.* FROM backups_selectionmeasurement size
    WHERE size.tenant_id = selection.tenant_id AND size.selection_id = selection.id AND size.bytes_each IS NOT NULL
    ORDER BY size.measured_at DESC, size.id DESC LIMIT 1
) AS newest ON true
LEFT JOIN LATERAL (
    SELECT size.error FROM backups_selectionmeasurement size
    WHERE size.tenant_id = selection.tenant_id AND size.selection_id = selection.id
    ORDER BY size.measured_at DESC, size.id DESC LIMIT 1
) AS attempt ON true
LEFT JOIN LATERAL (
    SELECT min(last.measured_at) AS since FROM (
        SELECT recent.measured_at, recent.side, bool_and(recent.side = recent.first_side) OVER (
                   ORDER BY recent.measured_at DESC, recent.id DESC) AS unbroken
        FROM (SELECT sided.*,
                     first_value(sided.side) OVER (ORDER BY sided.measured_at DESC, sided.id DESC) AS first_side
              FROM (SELECT size.id, size.measured_at,
                           CASE WHEN size.reported_bytes < coalesce(size.bytes_once, size.bytes_each) THEN -1
                                WHEN size.reported_bytes > size.bytes_each THEN 1 ELSE 0 END AS side
                    FROM backups_selectionmeasurement size
                    WHERE size.tenant_id = selection.tenant_id AND size.selection_id = selection.id
                      AND size.bytes_each IS NOT NULL AND size.reported_bytes IS NOT NULL
                    ORDER BY size.measured_at DESC, size.id DESC LIMIT 400) AS sided) AS recent) AS last
    WHERE last.unbroken AND last.side <> 0
) AS gap ON true
WHERE selection.tenant_id = %(tenant)s AND selection.id = ANY(%(selections)s)
ORDER BY selection.name, selection.id
"""


def sizes_of_selections(reach: Reach, selection_ids: Collection[int]) -> list[SizeRow]:
    """Both figures of these selections, as far as they are within reach; two queries."""
    seen = within(Selection.objects.of(reach.tenant_id).filter(pk__in=set(selection_ids)), reach, client="client")
    ids = sorted(seen.values_list("pk", flat=True))
    if not ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(SIZES, {"tenant": reach.tenant_id, "selections": ids})
        return [replace(SizeRow(*row[:-1]), details=as_details(row[-1])) for row in cursor.fetchall()]


def as_details(told: Any) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(told) if isinstance(told, str) else told
    return found


def find_selection(reach: Reach, uid: uuid.UUID) -> Selection | None:
    rows = within(Selection.objects.of(reach.tenant_id).filter(uid=uid), reach, client="client")
    found: Selection | None = rows.select_related("client").first()
    return found


def definition_in_force(reach: Reach, selection_id: int) -> SelectionDefinition | None:
    """The newest definition of a selection that the caller has found within reach."""
    rows = SelectionDefinition.objects.of(reach.tenant_id).filter(selection_id=selection_id)
    found: SelectionDefinition | None = rows.order_by("-version").first()
    return found


def recent_measurements(reach: Reach, selection_id: int, *, limit: int) -> list[SelectionMeasurement]:
    """The newest measurements of a selection that the caller has found within reach, also those that failed."""
    rows = SelectionMeasurement.objects.of(reach.tenant_id).filter(selection_id=selection_id)
    return list(rows.order_by("-measured_at", "-id")[:limit])
