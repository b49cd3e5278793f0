"""Reads the templates that hold, and keeps with a destination why one failed. Ticketing and delivery call it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import connection

from alerts.models import LetterTemplate
from alerts.words.templates import Template

FAILURE_LENGTH = 500


def load_templates(tenant_id: int) -> tuple[Template, ...]:
    """All of the tenant's, in one statement."""
    rows = LetterTemplate.objects.of(tenant_id).values_list("route_id", "language", "subject", "body", "html")
    return tuple(Template(*row) for row in rows)


def note_failures(tenant_id: int, failures: Mapping[int, str], *, now: datetime) -> None:
    """Keep the newest failure of each destination, in one statement; none costs nothing."""
    if not failures:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE alerts_destination destination SET words_failure = failed.reason, words_failed_at = %s "
            "FROM unnest(%s::bigint[], %s::text[]) AS failed(id, reason) "
            "WHERE destination.tenant_id = %s AND destination.id = failed.id",
            [now, list(failures), [reason[:FAILURE_LENGTH] for reason in failures.values()], tenant_id],
        )
