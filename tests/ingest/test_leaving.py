"""Jobs that leave their product's list: noted, taken back when heard, decided by a person; and jobs that move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from alerts.acting import close_by_hand
from alerts.evaluating import evaluate_jobs
from alerts.models import Incident
from msp.backups.changing import change_job, move_job_server
from msp.backups.models import BackupJob, JobState
from msp.estate.models import Volume
from msp.estate.spans import Actor, BadChange
from msp.ingest.leaving import confirm_left, note_heard, note_listing, say_still_there
from msp.tenants.models import AuditEntry
from tests.world import START, World, make_job, make_server

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ACTOR = Actor(name="Tech", now=NOW, reason="seen on site")


def listing(world: World, *, there: list[str], gone: list[str], now: datetime = NOW) -> int:
    return note_listing(
        world.tenant.pk, world.server.pk, there=[(name, "") for name in there], gone=[(name, "") for name in gone],
        because="The console does not list it any more", now=now,
    )  # fmt: skip


def gone_at(world: World, job: BackupJob | None = None) -> datetime | None:
    at: datetime | None = BackupJob.objects.of(world.tenant).get(pk=(job or world.job).pk).gone_at
    return at


def test_a_job_that_a_whole_list_lacks_is_noted_once_and_taken_back_when_listed(world: World) -> None:
    other = make_job(world.tenant, world.server, world.client, "mail")
    assert listing(world, there=["mail"], gone=["files"]) == 1
    assert listing(world, there=["mail"], gone=["files"], now=NOW + DAY) == 0
    assert (gone_at(world), gone_at(world, other)) == (NOW, None)
    assert JobState.objects.of(world.tenant).get(job=world.job).check_after == NOW
    assert listing(world, there=["mail", "files"], gone=[], now=NOW + DAY) == 1
    assert gone_at(world) is None


def test_a_list_says_nothing_of_jobs_it_never_told_of_another_server_or_of_another_tenant(world: World) -> None:
    elsewhere, _ = make_server(world.tenant, "backup02", client=world.client)
    same_name = make_job(world.tenant, elsewhere, world.client, "files")
    assert listing(world, there=["mail"], gone=[]) == 0
    assert gone_at(world) is None
    assert listing(world, there=[], gone=["files"]) == 1
    assert gone_at(world, same_name) is None
    assert note_listing(world.other.pk, world.server.pk, there=[], gone=[("files", "")], because="", now=NOW) == 0


def test_a_retired_job_is_not_missed(world: World) -> None:
    change_job(world.tenant, world.job.pk, {"state": "retired"}, actor=ACTOR)
    assert listing(world, there=[], gone=["files"]) == 0


def test_only_a_run_that_ended_later_takes_it_back(world: World) -> None:
    listing(world, there=[], gone=["files"])
    for ended, expected in ((NOW - DAY, NOW), (NOW + DAY, None)):
        JobState.objects.of(world.tenant).filter(job=world.job).update(last_run_at=ended)
        note_heard(world.tenant.pk, [world.job.pk])
        assert gone_at(world) == expected


def test_a_person_confirms_that_it_has_left(world: World) -> None:
    listing(world, there=[], gone=["files"])
    confirm_left(world.tenant, world.job.pk, actor=ACTOR)
    job = BackupJob.objects.of(world.tenant).get(pk=world.job.pk)
    assert (job.state, job.gone_at, job.selection.state) == ("retired", None, "active")
    told = AuditEntry.objects.of(world.tenant).filter(subject_id=job.pk).values_list("action", flat=True)
    assert set(told) == {"job has left", "job changed"}


def test_a_person_says_that_it_is_still_there(world: World) -> None:
    listing(world, there=[], gone=["files"])
    say_still_there(world.tenant, world.job.pk, actor=ACTOR)
    job = BackupJob.objects.of(world.tenant).get(pk=world.job.pk)
    assert (job.state, job.gone_at) == ("active", None)
    with pytest.raises(BadChange, match="nothing to confirm"):
        confirm_left(world.tenant, world.job.pk, actor=ACTOR)


def test_an_incident_that_a_person_closed_as_a_mistake_does_not_come_back(world: World) -> None:
    listing(world, there=[], gone=["files"])
    evaluate_jobs(world.tenant.pk, [world.job.pk], now=NOW)
    incident = Incident.objects.of(world.tenant).get(kind="machine_gone")
    close_by_hand(world.tenant, incident.uid, actor="Tech", reason="Renamed.", now=NOW + timedelta(hours=1))
    evaluate_jobs(world.tenant.pk, [world.job.pk], now=NOW + 9 * DAY)
    assert not Incident.objects.of(world.tenant).filter(kind="machine_gone", state="open").exists()


def test_a_job_that_moves_keeps_its_clocks(world: World) -> None:
    """Overdue before the move, it is overdue since the same moment after it: one incident, one since."""
    JobState.objects.of(world.tenant).filter(job=world.job).update(last_good_at=NOW - 3 * DAY, runs_seen=9)
    evaluate_jobs(world.tenant.pk, [world.job.pk], now=NOW)
    before = Incident.objects.of(world.tenant).get(kind="no_recent_backup")
    elsewhere, _ = make_server(world.tenant, "backup02", client=world.client)
    move_job_server(world.tenant, world.job.pk, server=elsewhere, actor=ACTOR)
    volume = Volume.objects.of(world.tenant).create(server=elsewhere, name="pool")
    change_job(world.tenant, world.job.pk, {"volume": volume}, actor=ACTOR)
    evaluate_jobs(world.tenant.pk, [world.job.pk], now=NOW + timedelta(minutes=1))
    after = Incident.objects.of(world.tenant).get(kind="no_recent_backup")
    assert (after.pk, after.since, after.opened_at, after.state) == (before.pk, before.since, NOW, "open")
    state = JobState.objects.of(world.tenant).get(job=world.job)
    assert (state.last_good_at, state.runs_seen) == (NOW - 3 * DAY, 9)
    assert BackupJob.objects.of(world.tenant).get(pk=world.job.pk).registered_at == START
