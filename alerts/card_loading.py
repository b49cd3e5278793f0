"""Reads what letters say of incidents. Ticketing calls it for subjects, delivery for the letters themselves."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import orjson
from django.db import connection

from alerts.words.cards import Card

CARDS = """
SELECT incident.id, incident.kind, incident.severity, incident.state, incident.summary, incident.since,
       incident.lines, incident.close_reason, coalesce(client.name, ''), coalesce(server.name, ''),
       coalesce(job.name, ''), coalesce(machine.name, ''), state.last_good_at, incident.uid,
       coalesce(nullif(client.timezone, ''), tenant.timezone), coalesce(job.product, ''),
       coalesce(volume.name, site.name, channel.name, destination.name, selection.name, ''),
       coalesce(client.language, ''), tenant.language
FROM alerts_incident incident
JOIN tenants_tenant tenant ON tenant.id = incident.tenant_id
LEFT JOIN estate_client client ON client.id = incident.client_id
LEFT JOIN estate_backupserver server ON server.id = incident.server_id
LEFT JOIN backups_backupjob job ON job.id = incident.job_id
LEFT JOIN backups_jobstate state ON state.job_id = incident.job_id
LEFT JOIN estate_selection selection ON selection.id = incident.selection_id
LEFT JOIN estate_machine machine ON machine.id = CASE incident.subject_kind WHEN 'machine' THEN incident.subject_id
     ELSE selection.machine_id END
LEFT JOIN estate_volume volume ON incident.subject_kind = 'volume' AND volume.id = incident.subject_id
LEFT JOIN estate_site site ON incident.subject_kind = 'site' AND site.id = incident.subject_id
LEFT JOIN ingest_channel channel ON incident.subject_kind = 'channel' AND channel.id = incident.subject_id
LEFT JOIN alerts_destination destination
     ON incident.subject_kind = 'destination' AND destination.id = incident.subject_id
WHERE incident.tenant_id = %s AND incident.id = ANY(%s)
"""


def load_cards(tenant_id: int, incident_ids: Collection[int]) -> dict[int, Card]:
    """The cards of these incidents, by id, in one query."""
    with connection.cursor() as cursor:
        cursor.execute(CARDS, [tenant_id, sorted(incident_ids)])
        return {row[0]: read_card(row) for row in cursor.fetchall()}


def read_card(row: Sequence[Any]) -> Card:
    lines = orjson.loads(row[6]) if isinstance(row[6], str) else row[6]
    return Card(
        kind=row[1],
        severity=row[2],
        is_open=row[3] == "open",
        summary=row[4],
        since=row[5],
        lines=tuple(lines),
        close_reason=row[7],
        client=row[8],
        server=row[9],
        job=row[10],
        machine=row[11],
        last_good_at=row[12],
        uid=str(row[13]),
        zone=row[14],
        product=row[15],
        subject=row[16],
        client_language=row[17],
        tenant_language=row[18],
    )
