"""What volumes, sites, machines, selections, channels and destinations are called: for lists of incidents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from django.db import connection

TABLES = {
    "volume": "estate_volume",
    "site": "estate_site",
    "machine": "estate_machine",
    "selection": "estate_selection",
    "channel": "ingest_channel",
    "destination": "alerts_destination",
}


def load_subject_names(tenant_id: int, subjects: Iterable[tuple[str, int]]) -> Mapping[tuple[str, int], str]:
    """The names of those of these (kind, id) that have one of their own, in one statement, or none for no subject."""
    wanted: dict[str, set[int]] = defaultdict(set)
    for kind, subject_id in subjects:
        if kind in TABLES:
            wanted[kind].add(subject_id)
    if not wanted:
        return {}
    parts = " UNION ALL ".join(
        f"SELECT '{kind}', id, name FROM {TABLES[kind]} WHERE tenant_id = %s AND id = ANY(%s)"  # noqa: S608
        for kind in wanted
    )
    values = [value for ids in wanted.values() for value in (tenant_id, sorted(ids))]
    with connection.cursor() as cursor:
        cursor.execute(parts, values)
        return {(kind, subject_id): name for kind, subject_id, name in cursor.fetchall()}
