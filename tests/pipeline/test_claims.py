"""What is due is claimed by a few rows at a time, along its partial index, whatever plan the database chooses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, transaction

from alerts.evaluating import evaluate_jobs, mark_due
from alerts.models import Incident
from alerts.subjects import LOADERS
from alerts.sweeping import DUES, Due, claim
from msp.backups.models import BackupJob, JobState
from msp.outbox import lanes
from tests.world import START, World, make_job

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
PLANS = {
    "nested loops": "hashjoin mergejoin material hashagg indexscan bitmapscan sort",
    "hashes": "nestloop mergejoin",
    "merges": "nestloop hashjoin",
}

#: Which index leads a claim to what is due; every other kind of clock stands in one table.
INDEXES = {"incidents": "incident_due", "jobs": "jobstate_due"}

pytestmark = pytest.mark.django_db


@pytest.fixture(params=list(PLANS.values()), ids=list(PLANS))
def _plan(request: pytest.FixtureRequest, world: World) -> Iterator[None]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            for name in request.param.split():
                cursor.execute(f"SET LOCAL enable_{name} = off")
        yield


@pytest.fixture
def _much_is_due(world: World) -> None:
    jobs = [make_job(world.tenant, world.server, world.client, f"j{n}") for n in range(12)]
    BackupJob.unwalled.update(registered_at=START)
    evaluate_jobs(world.tenant.pk, [job.pk for job in jobs], now=NOW)
    JobState.unwalled.update(check_after=NOW)
    Incident.unwalled.update(check_after=NOW)
    for kind in ("client", "tenant", *LOADERS):
        mark_due(world.tenant.pk, kind, range(1, 13), now=NOW)
    lanes.mark(world.tenant.pk, "ticket", range(1, 13), now=NOW)


@pytest.mark.usefixtures("_much_is_due", "_plan")
@pytest.mark.parametrize("due", DUES, ids=lambda due: due.name)
def test_a_sweep_claims_no_more_than_it_asked_for(due: Due, world: World) -> None:
    tenant_id, ids = claim(due, now=NOW, limit=5)
    assert (tenant_id, len(ids)) == (world.tenant.pk, 5)
    assert len(set(ids) | set(claim(due, now=NOW, limit=5)[1])) == 10


@pytest.mark.usefixtures("_much_is_due", "_plan")
def test_a_delivery_claims_no_more_than_it_asked_for() -> None:
    assert len(lanes.claim("ticket", now=NOW, limit=2)) == 2
    assert len(lanes.claim("ticket", now=NOW, limit=99)) == 10


@pytest.fixture
def _more_is_not(_much_is_due: None, world: World) -> None:
    """Thousands of open incidents that are not due, and statistics that say so."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO alerts_incident (tenant_id, kind, subject_kind, subject_id, fingerprint, severity, state, "
            "summary, evidence, lines, occurrence, sticky, since, opened_at, last_seen_at, seen_count, reopened_count, "
            "acknowledged_by, acknowledged_note, untold_reason, close_reason, closed_by_hand, last_seq, check_after) "
            "SELECT %s, 'errors', 'job', n, 'errors:other:' || n, 'info', 'open', '', '{}', '[]', '', false, now, now, "
            "now, 1, 0, '', '', '', '', false, 0, now + interval '1 day' "
            "FROM generate_series(1, 3000) AS n, (SELECT %s::timestamptz AS now) AS clock",
            [world.tenant.pk, NOW],
        )
        cursor.execute("ANALYZE alerts_incident")


@pytest.mark.usefixtures("_more_is_not")
@pytest.mark.parametrize(
    ("statement", "index"),
    [
        *((due.claim, INDEXES.get(due.name, "subject_due")) for due in DUES),
        (lanes.CLAIM, "lane_due"),
    ],
)
def test_claims_can_use_the_index_of_what_is_due(statement: str, index: str) -> None:
    values: dict[str, Any] = {"now": NOW, "later": NOW, "lease_end": NOW, "limit": 5, "kind": "ticket", "tenant": None}
    with connection.cursor() as cursor:
        # For a handful of rows any way is as good: what counts is that one does without reading or sorting them all.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
        cursor.execute("DROP INDEX incident_open")  # as good for a handful of rows, and no help for a hundred thousand
        cursor.execute(f"EXPLAIN {statement}", values)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert index in plan
    assert "Seq Scan" not in plan
