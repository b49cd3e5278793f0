"""An interruption of ours counts from its first sign of life, whoever shows it first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from alerts.evaluating import evaluate_jobs
from alerts.heartbeats import beat, load_resumed_at
from alerts.models import Incident, SubjectState
from msp.backups.models import JobState
from tests.world import World

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.django_db
def test_while_nobody_has_swept_again_it_is_as_if_we_began_now() -> None:
    assert load_resumed_at(now=NOW) is None
    beat(now=NOW)
    assert load_resumed_at(now=NOW + 4 * MINUTE) is None
    assert load_resumed_at(now=NOW + 26 * HOUR) == NOW + 26 * HOUR
    beat(now=NOW + 26 * HOUR)
    assert load_resumed_at(now=NOW + 26 * HOUR + 3 * MINUTE) == NOW + 26 * HOUR
    assert load_resumed_at(now=NOW + 26 * HOUR + 10 * MINUTE) == NOW + 26 * HOUR, "stumbling grants no more patience"


def test_the_line_that_works_before_the_sweep_calls_nothing_overdue(world: World) -> None:
    JobState.objects.of(world.tenant).filter(job=world.job).update(last_good_at=NOW - HOUR, last_outcome="success")
    beat(now=NOW)
    evaluate_jobs(world.tenant.pk, [world.job.pk], now=NOW + 40 * HOUR)
    assert not Incident.objects.of(world.tenant).exists()
    beat(now=NOW + 40 * HOUR)
    for minutes in range(4, 65, 4):
        beat(now=NOW + 40 * HOUR + minutes * MINUTE)
    evaluate_jobs(world.tenant.pk, [world.job.pk], now=NOW + 41 * HOUR + 4 * MINUTE)
    assert Incident.objects.of(world.tenant).get().kind == "no_recent_backup"


def test_a_clock_that_was_ahead_and_is_set_right_leaves_nothing_unwatched(world: World) -> None:
    """Under the wrong clock everything was given times by which it would be looked at again days too late."""
    beat(now=NOW + 72 * HOUR)
    JobState.objects.of(world.tenant).update(check_after=NOW + 96 * HOUR)
    SubjectState.objects.of(world.tenant).create(
        subject_kind="server", subject_id=world.server.pk, check_after=NOW + 96 * HOUR
    )
    beat(now=NOW)
    assert set(JobState.objects.of(world.tenant).values_list("check_after", flat=True)) == {NOW}
    assert SubjectState.objects.of(world.tenant).get(subject_kind="server").check_after == NOW
    assert load_resumed_at(now=NOW) == NOW
    JobState.objects.of(world.tenant).update(check_after=NOW + HOUR)
    beat(now=NOW + 4 * MINUTE)
    assert set(JobState.objects.of(world.tenant).values_list("check_after", flat=True)) == {NOW + HOUR}, "only once"
