"""What each night comes to: runs by their start, nights by noon, late logs, silences, clocks that change."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts.models import DailyVerdict, Incident, ReportSettings, Silence
from alerts.reports.nights import night_at, night_of
from alerts.reports.verdicts import forget_old, judge_night, judge_nights, judge_tenant
from msp import pipeline
from msp.backups.models import BackupJob
from msp.ingest.storing import Incoming, store
from tests.world import World, make_job

NIGHT = date(2026, 11, 20)
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def post(
    world: World, *, started: datetime, minutes: int = 30, outcome: str = "success", job: str = "files", **run: Any
) -> None:
    ended = started + timedelta(minutes=minutes)
    log = {"operation": "backup", "outcome": outcome, "job": job, "run_id": f"{job} {started}", "complete": True,
           "started_at": started.isoformat(), "ended_at": ended.isoformat(), **run}  # fmt: skip
    content = json.dumps({"backledger": 1, "runs": [log]}).encode()
    store(
        world.tenant.pk,
        [Incoming("http", f"{job} {started} {outcome}", content, ended, world.server.pk, {})],
        now=ended,
    )
    pipeline.process_waiting(now=lambda: ended)


def verdict(world: World, night: date = NIGHT) -> DailyVerdict:
    found: DailyVerdict = DailyVerdict.objects.of(world.tenant).get(job_id=world.job.pk, night=night)
    return found


@pytest.mark.parametrize(
    ("moment", "zone", "night"),
    [
        (datetime(2026, 11, 20, 12, 0, tzinfo=UTC), "UTC", date(2026, 11, 20)),
        (datetime(2026, 11, 20, 11, 59, tzinfo=UTC), "UTC", date(2026, 11, 19)),
        (datetime(2026, 11, 20, 11, 0, tzinfo=UTC), "Europe/Berlin", date(2026, 11, 20)),
        (datetime(2026, 11, 20, 22, 59, tzinfo=UTC), "Pacific/Auckland", date(2026, 11, 20)),
        (datetime(2026, 11, 20, 23, 0, tzinfo=UTC), "Pacific/Auckland", date(2026, 11, 21)),
        (datetime(2024, 2, 29, 3, 0, tzinfo=UTC), "UTC", date(2024, 2, 28)),
    ],
)
def test_a_night_goes_from_noon_to_noon(moment: datetime, zone: str, night: date) -> None:
    assert night_at(moment, zone) == night
    assert night_of(night, zone).begins <= moment < night_of(night, zone).ends


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 28), 23), (date(2026, 10, 24), 25), (date(2026, 6, 1), 24)])
def test_a_night_is_as_long_as_its_clocks_make_it(day: date, hours: int) -> None:
    night = night_of(day, "Europe/Berlin")
    assert night.ends - night.begins == timedelta(hours=hours)


def test_a_run_is_of_the_night_in_which_it_started(world: World) -> None:
    post(world, started=datetime(2026, 11, 21, 11, 50, tzinfo=UTC), protected_bytes=5000, basis="dump")
    judge_night(world.tenant, NIGHT, now=NOON)
    judge_night(world.tenant, NIGHT + timedelta(days=1), now=NOON)
    assert (verdict(world).verdict, verdict(world).runs, verdict(world).protected_bytes) == ("good", 1, 5000)
    assert verdict(world, NIGHT + timedelta(days=1)).runs == 0


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (("success",), "good"),
        (("failure", "success"), "good"),
        (("success", "failure"), "warning"),
        (("failure", "failure"), "failed"),
        (("warning",), "unknown"),
        (("unknown",), "unknown"),
        (("skipped",), "missed"),  # it is alive, but never had a good backup
        ((), "not due"),
    ],
)
def test_the_newest_run_decides(world: World, outcomes: tuple[str, ...], expected: str) -> None:
    for hour, outcome in enumerate(outcomes):
        post(world, started=datetime(2026, 11, 20, 20 + hour, 0, tzinfo=UTC), outcome=outcome)
    judge_night(world.tenant, NIGHT, now=NOON)
    assert verdict(world).verdict == expected


def test_a_night_whose_schedule_names_a_start_is_missed_without_a_run(world: World) -> None:
    BackupJob.objects.of(world.tenant).filter(pk=world.job.pk).update(schedule="fri 23:00")
    judge_night(world.tenant, NIGHT, now=NOON)
    judge_night(world.tenant, NIGHT + timedelta(days=1), now=NOON)
    assert (verdict(world).verdict, verdict(world, NIGHT + timedelta(days=1)).verdict) == ("missed", "not due")


def test_an_overdue_job_without_a_schedule_is_missed_while_it_is_overdue(world: World) -> None:
    post(world, started=datetime(2026, 11, 18, 22, 0, tzinfo=UTC))
    Incident.objects.of(world.tenant).create(
        kind="no_recent_backup", subject_kind="job", subject_id=world.job.pk, job_id=world.job.pk, fingerprint="x",
        severity="warning", summary="", since=NOON - timedelta(hours=10), opened_at=NOON, last_seen_at=NOON,
    )  # fmt: skip
    judge_night(world.tenant, NIGHT, now=NOON)
    assert verdict(world).verdict == "missed"


def test_a_silence_is_noted_and_hides_nothing(world: World) -> None:
    Silence.objects.of(world.tenant).create(
        scope_kind="client", scope_id=world.client.pk, starts_at=NOON - timedelta(hours=3), ends_at=NOON
    )
    post(world, started=NOON - timedelta(hours=12), outcome="failure")
    judge_night(world.tenant, NIGHT, now=NOON)
    assert (verdict(world).verdict, verdict(world).silenced) == ("failed", True)


@pytest.mark.parametrize(
    ("schedule", "zone", "silenced"),
    [
        ("fri 22:00", "UTC", True),
        ("sat 10:00", "UTC", True),
        ("sat 13:30", "Asia/Kathmandu", True),  # 07:45 in UTC
        ("fri 08:00", "UTC", False),
        ("sat 22:00", "UTC", False),
    ],
)
def test_a_window_of_a_recurring_silence_is_noted_as_well(
    world: World, schedule: str, zone: str, silenced: bool
) -> None:
    Silence.objects.of(world.tenant).create(
        scope_kind="server", scope_id=world.server.pk, starts_at=NOON - timedelta(days=90), schedule=schedule,
        ends_at=NOON + timedelta(days=90), minutes=120, timezone=zone,
    )  # fmt: skip
    judge_night(world.tenant, NIGHT, now=NOON)
    assert verdict(world).silenced is silenced


def test_an_interval_counts_from_the_last_start(world: World) -> None:
    """Not from a grid of its own: a job that runs every second night has not missed the nights between."""
    BackupJob.objects.of(world.tenant).filter(pk=world.job.pk).update(schedule="every 2d")
    for first in (14, 15):
        post(world, started=datetime(2026, 11, first, 22, 0, tzinfo=UTC))
        told = []
        for day in (first + 1, first + 2, first + 3):
            judge_night(world.tenant, date(2026, 11, day), now=NOON)
            told.append(verdict(world, date(2026, 11, day)).verdict)
        assert told == ["not due", "missed", "missed"]
        DailyVerdict.objects.of(world.tenant).filter(night__gt=date(2026, 11, first)).delete()


def test_an_interval_of_a_job_that_never_ran_counts_from_its_registration(world: World) -> None:
    jobs = BackupJob.objects.of(world.tenant).filter(pk=world.job.pk)
    jobs.update(schedule="every 3d", registered_at=NOON - timedelta(days=3, hours=1))
    for day in (18, 19, 20):
        judge_night(world.tenant, date(2026, 11, day), now=NOON)
    told = [verdict(world, date(2026, 11, day)).verdict for day in (18, 19, 20)]
    assert told == ["not due", "not due", "missed"]


def test_a_late_log_changes_the_verdict_and_keeps_the_former(world: World) -> None:
    BackupJob.objects.of(world.tenant).filter(pk=world.job.pk).update(schedule="daily 23:00")
    now = NOON + timedelta(hours=2)
    assert judge_tenant(world.tenant, now=now) > 0
    assert judge_tenant(world.tenant, now=now) == 0
    post(world, started=NOON - timedelta(hours=13))
    assert judge_tenant(world.tenant, now=now) == 1
    assert (verdict(world).verdict, verdict(world).former) == ("good", "missed")


def test_nights_wait_for_their_end_and_are_made_up_for_after_an_interruption(world: World) -> None:
    judge_nights(now=NOON + timedelta(minutes=30))
    assert not DailyVerdict.objects.of(world.tenant).filter(night=NIGHT).exists()
    judge_nights(now=NOON + timedelta(days=12))
    nights = DailyVerdict.objects.of(world.tenant).filter(job_id=world.job.pk, night__gte=NIGHT)
    assert nights.count() == 12
    assert ReportSettings.objects.of(world.tenant).get().judged_until == NIGHT + timedelta(days=12)


def test_statements_do_not_grow_with_jobs(world: World) -> None:
    with CaptureQueriesContext(
        connection,
    ) as one:
        judge_night(world.tenant, NIGHT, now=NOON)
    for number in range(20):
        make_job(world.tenant, world.server, world.client, f"more {number}")
    with CaptureQueriesContext(connection) as many:
        judge_night(world.tenant, NIGHT, now=NOON)
    assert len(many) == len(one)
    assert DailyVerdict.objects.of(world.tenant).count() == 21
    assert not DailyVerdict.objects.of(world.other).exists()


def test_evidence_goes_after_its_legal_term(world: World) -> None:
    judge_night(world.tenant, NIGHT, now=NOON)
    DailyVerdict.objects.of(world.tenant).update(night=date(2016, 11, 21))
    judge_night(world.tenant, NIGHT, now=NOON)
    assert forget_old(now=NOON) == 0
    assert forget_old(now=NOON + timedelta(days=2)) == 1
    assert DailyVerdict.objects.of(world.tenant).get().night == NIGHT
