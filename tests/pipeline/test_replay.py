"""Receipts read again, jobs that move, months, clocks and outages: runs, usage, states and incidents follow."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from alerts.acting import settings_changed
from alerts.models import Heartbeat, Incident
from alerts.sweeping import sweep
from billing.models import UsageEntry
from msp import pipeline
from msp.backups import recording
from msp.backups.models import BackupJob, JobRun, JobRunRevision, JobState
from msp.estate.models import Client, Selection
from msp.ingest import replaying
from msp.ingest.models import Assignment, InboxItem, Receipt, ReceiptQueue
from msp.ingest.normalising import normalise
from msp.ingest.storing import Incoming, Kept, store
from msp.tenants.models import Tenant
from tests.world import START, World, make_job

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
LEAP_DAY = datetime(2028, 2, 29, 23, 59, tzinfo=UTC)
YEARS_END = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)


@pytest.fixture
def world(transactional_db: None) -> World:
    from tests.world import make_world

    made = make_world()
    JobState.unwalled.update(check_after=None)
    BackupJob.unwalled.update(registered_at=NOW - timedelta(hours=1))
    return made


def post(world: World, *runs: dict[str, Any], name: str, at: datetime = NOW, job: str = "files") -> Kept:
    given = [{"operation": "backup", "outcome": "success", "protected_bytes": 1000} | run for run in runs]
    body = json.dumps({"backledger": 1, "runs": given}).encode()
    return store(world.tenant.pk, [Incoming("http", name, body, at, world.server.pk, {"job": job})], now=at)[0]


def process(at: datetime = NOW) -> None:
    pipeline.process_waiting(now=lambda: at)


def replay(world: World, *kept: Kept, at: datetime = NOW) -> None:
    receipts = [one.receipt_id for one in kept]
    replaying.requeue(world.tenant.pk, receipts, now=at)
    process(at)


def usage(world: World) -> dict[int, int | None]:
    """What the ledger says now of each selection's protected size: the newest revision of each source, summed."""
    newest: dict[tuple[int, str], UsageEntry] = {}
    for entry in UsageEntry.objects.of(world.tenant).filter(metric="protected").order_by("revision", "id"):
        newest[entry.selection_id, entry.source] = entry
    told: dict[int, int | None] = {}
    for (selection_id, _), entry in newest.items():
        if entry.quantity is not None:
            told[selection_id] = (told.get(selection_id) or 0) + entry.quantity
    return told


def state(world: World, job: BackupJob | None = None) -> JobState:
    found: JobState = JobState.objects.of(world.tenant).get(job=job or world.job)
    return found


#: Rules that these jobs of half a year meet as well, and that have tests of their own.
BESIDES = ("restore_untested",)


def open_kinds(world: World) -> list[str]:
    rows = Incident.objects.of(world.tenant).filter(state="open").exclude(kind__in=BESIDES)
    return sorted(rows.values_list("kind", flat=True))


@pytest.fixture
def misread(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the readers misread every outcome, as a parser with a fault would; called with None it is mended."""
    real = normalise

    def set_to(outcome: str | None) -> None:
        def read_wrongly(one: Any) -> Any:
            runs = tuple(replace(run, outcome=outcome) for run in one.runs)
            return replace(one, reading=replace(one.reading, runs=runs))

        def normalise_wrongly(batch: Any) -> Any:
            return tuple(read_wrongly(one) for one in real(batch))

        monkeypatch.setattr(pipeline, "normalise", real if outcome is None else normalise_wrongly)

    return set_to


def test_a_replay_that_turns_a_failure_into_success_closes_its_incident_and_measures(
    world: World, misread: Any
) -> None:
    misread("failure")
    kept = post(world, {"ended_at": NOW.isoformat()}, name="a")
    process()
    assert (open_kinds(world), usage(world)) == (["errors"], {})
    misread(None)
    replay(world, kept, at=NOW + timedelta(minutes=5))
    assert (open_kinds(world), usage(world)) == ([], {world.job.selection_id: 1000})
    assert state(world).last_good_at == NOW
    assert JobRunRevision.objects.of(world.tenant).get().values["outcome"] == "failure"


def test_a_replay_that_turns_a_success_into_failure_opens_one_and_takes_the_usage_back(
    world: World, misread: Any
) -> None:
    misread(None)
    kept = post(world, {"ended_at": NOW.isoformat()}, name="a")
    process()
    assert (open_kinds(world), usage(world)) == ([], {world.job.selection_id: 1000})
    misread("failure")
    replay(world, kept, at=NOW + timedelta(minutes=5))
    assert (open_kinds(world), usage(world)) == (["errors"], {})
    misread(None)
    replay(world, kept, at=NOW + timedelta(minutes=9))
    assert (open_kinds(world), usage(world)) == ([], {world.job.selection_id: 1000})
    assert JobRun.objects.of(world.tenant).get().revision == 2


def test_a_replay_after_its_job_was_assigned_anew_moves_run_usage_and_incident(world: World) -> None:
    other = make_job(world.tenant, world.server, world.resold_client, "databases", registered_at=NOW)
    kept = post(world, {"ended_at": NOW.isoformat()}, name="a")
    bad = post(world, {"ended_at": (NOW + timedelta(minutes=1)).isoformat(), "outcome": "failure"}, name="b")
    process()
    assert (usage(world), open_kinds(world)) == ({world.job.selection_id: 1000}, ["errors"])
    Assignment.objects.of(world.tenant).filter(source_job="files").update(job=other)
    replay(world, kept, bad, at=NOW + timedelta(minutes=5))
    assert usage(world) == {other.selection_id: 1000}
    assert set(JobRun.objects.of(world.tenant).values_list("job_id", "client_id")) == {
        (other.pk, world.resold_client.pk)
    }
    assert Incident.objects.of(world.tenant).get(state="open").job_id == other.pk
    assert (state(world).runs_seen, state(world, other).runs_seen) == (0, 2)


def test_an_incident_follows_its_job_to_another_client(world: World) -> None:
    """Else the former client would go on reading about a machine that is another company's now."""
    post(world, {"ended_at": NOW.isoformat(), "outcome": "failure"}, name="a")
    process()
    Selection.objects.of(world.tenant).filter(pk=world.job.selection_id).update(client=world.resold_client)
    later = NOW + timedelta(hours=1)
    post(world, {"ended_at": later.isoformat(), "outcome": "failure"}, name="b", at=later)
    process(later)
    incident = Incident.objects.of(world.tenant).get()
    assert (incident.client_id, incident.seen_count) == (world.resold_client.pk, 2)


def test_a_run_told_by_two_receipts_stays_when_one_is_read_again(world: World) -> None:
    run = {"ended_at": NOW.isoformat(), "run_id": "4f2a"}
    first, second = post(world, run, name="a"), post(world, run, name="b")
    process()
    replay(world, first, at=NOW + timedelta(minutes=1))
    replay(world, second, at=NOW + timedelta(minutes=2))
    replay(world, first, second, at=NOW + timedelta(minutes=3))
    assert JobRun.objects.of(world.tenant).get().revision == 0
    assert usage(world) == {world.job.selection_id: 1000}
    assert state(world).runs_seen == 1


def test_a_run_that_another_receipt_told_meanwhile_is_not_removed_by_a_replay(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runs of a replayed receipt are read under the lock of their jobs, not before it."""
    run = {"ended_at": NOW.isoformat(), "run_id": "4f2a"}
    first = post(world, run, name="a")
    process()
    Assignment.objects.of(world.tenant).filter(source_job="files").delete()  # a replay would find no job for it
    real = recording.lock_states

    def told_meanwhile(tenant_id: int, job_ids: Any) -> Any:
        JobRun.objects.of(world.tenant).update(receipt_id=99, revision=1, protected_bytes=2000)
        return real(tenant_id, job_ids)

    monkeypatch.setattr(recording, "lock_states", told_meanwhile)
    world.server.new_jobs = "hold"
    world.server.save()
    replay(world, first)
    kept = JobRun.objects.of(world.tenant).get()
    assert (kept.receipt_id, kept.revision, kept.protected_bytes) == (99, 1, 2000)


def test_a_month_told_again_over_its_end_is_the_same_runs(world: World) -> None:
    """Runs around midnight of a month's end, delivered in both months: each keeps its month, none is there twice."""
    moments = [datetime(2026, 10, 31, 22, 0, tzinfo=UTC) + timedelta(minutes=30 * step) for step in range(10)]
    for number, moment in enumerate(moments):
        post(world, {"started_at": moment.isoformat(), "outcome": "running", "protected_bytes": None},
             name=f"s{number}", at=moment)  # fmt: skip
        process(moment)
    for late in (timedelta(hours=1), timedelta(days=3), timedelta(days=20)):
        for number, moment in enumerate(moments):
            ended = (moment + timedelta(minutes=20)).isoformat()
            run = {"started_at": moment.isoformat(), "ended_at": ended}
            post(world, run, name=f"{late} {number}", at=moment + late)
        process(moments[-1] + late)
    found = JobRun.objects.of(world.tenant)
    assert found.count() == len(moments)
    assert set(found.values_list("outcome", flat=True)) == {"success"}
    assert dict(found.values_list("started_at", "filed_month")) == {
        moment: date(moment.year, moment.month, 1) for moment in moments
    }
    assert (state(world).runs_seen, state(world).running_since) == (len(moments), None)


def test_runs_in_the_hour_that_comes_twice_stay_apart(world: World) -> None:
    for number, moment in enumerate(("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00")):
        at = datetime(2026, 10, 25, 3, 0, tzinfo=UTC)
        post(world, {"started_at": moment, "ended_at": moment}, name=str(number), at=at)
    process(datetime(2026, 10, 25, 3, 0, tzinfo=UTC))
    ends = sorted(JobRun.objects.of(world.tenant).values_list("ended_at", flat=True))
    assert ends == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)]


@pytest.mark.parametrize("moment", [LEAP_DAY, YEARS_END])
def test_a_run_on_a_leap_day_or_at_a_years_end_is_filed_and_found_again(world: World, moment: datetime) -> None:
    from msp import partitions

    partitions.ensure_partitions(moment)
    for number in range(2):
        post(world, {"started_at": moment.isoformat(), "ended_at": moment.isoformat()}, name=str(number), at=moment)
        process(moment + timedelta(minutes=number))
    assert JobRun.objects.of(world.tenant).get().filed_month == moment.date().replace(day=1)


def test_a_run_that_never_told_its_end_keeps_nothing_green_and_ends_when_it_does(world: World) -> None:
    BackupJob.unwalled.update(registered_at=NOW - timedelta(days=3))
    start = NOW - timedelta(hours=30)
    post(world, {"run_id": "x", "outcome": "running", "started_at": start.isoformat(), "protected_bytes": None},
         name="a", at=start)  # fmt: skip
    process(start)
    sweep(now=NOW)
    assert open_kinds(world) == ["never_backed_up", "still_running"]
    assert state(world).running_since == start
    post(world, {"run_id": "x", "started_at": start.isoformat(), "ended_at": NOW.isoformat()}, name="b")
    process()
    assert (open_kinds(world), state(world).running_since, state(world).runs_seen) == ([], None, 1)


def test_a_job_that_a_waiting_check_looked_for_leaves_no_false_delay(world: World) -> None:
    """What is queued again waits from now on: the queue has not stood still since the check came in."""
    JobState.objects.of(world.tenant).filter(job=world.job).delete()
    old = NOW - timedelta(days=9)
    post(world, {"operation": "verify", "protected_bytes": None}, name="v", at=old, job="new one")
    process(old)
    assert InboxItem.objects.of(world.tenant).filter(state="open").count() == 1
    post(world, {}, name="b", job="new one")
    pipeline.process_batch(now=NOW, limit=1)
    waiting = ReceiptQueue.objects.of(world.tenant).get()
    assert waiting.received_at == NOW
    sweep(now=NOW)
    assert "processing_delayed" not in open_kinds(world)
    process()
    assert set(Receipt.objects.of(world.tenant).values_list("state", flat=True)) == {"done"}


# --- time that passed without us -----------------------------------------------------------------------------------


def overnight(world: World, count: int) -> list[BackupJob]:
    """So many daily jobs with a good run a day ago, and clocks as the sweep left them before an outage."""
    jobs = [world.job, *(make_job(world.tenant, world.server, world.client, f"j{n}") for n in range(count - 1))]
    BackupJob.unwalled.update(registered_at=START)
    good = NOW - timedelta(hours=27)
    for job in jobs:
        post(world, {"ended_at": good.isoformat()}, name=f"good {job.pk}", at=good, job=job.name)
    process(good)
    sweep(now=good)
    return jobs


def test_after_a_day_without_us_there_is_no_storm_and_nothing_is_missed(world: World) -> None:
    jobs = overnight(world, 6)
    back = NOW + timedelta(hours=2)
    sweep(now=back)  # the first one: nothing has come in yet
    assert open_kinds(world) == []
    for job in jobs[1:]:  # the senders repeat what they could not deliver; one job has not run
        post(world, {"ended_at": (NOW - timedelta(hours=3)).isoformat()}, name=f"late {job.pk}", at=back, job=job.name)
    process(back + timedelta(minutes=2))
    for minute in range(3, 70, 4):
        sweep(now=back + timedelta(minutes=minute))
    (incident,) = Incident.objects.of(world.tenant).filter(state="open").exclude(kind__in=BESIDES)
    assert (incident.kind, incident.job_id) == ("no_recent_backup", jobs[0].pk)
    assert back + timedelta(hours=1) <= incident.opened_at <= back + timedelta(minutes=64)
    assert not Incident.objects.of(world.tenant).filter(state="closed").exists()


def test_a_service_that_stumbles_on_and_on_still_finds_what_is_overdue(world: World) -> None:
    """Each break longer than five minutes would grant an hour: it is granted once in four hours."""
    overnight(world, 1)
    for number in range(10):
        sweep(now=NOW + timedelta(minutes=7 * number))
    assert open_kinds(world) == ["no_recent_backup"]
    assert Heartbeat.objects.get(name="sweep").resumed_at == NOW


def test_a_clock_of_ours_that_was_set_ahead_and_back_silences_nothing(world: World) -> None:
    overnight(world, 1)
    sweep(now=NOW + timedelta(days=30))
    assert open_kinds(world) == []
    back = NOW + timedelta(minutes=30)
    sweep(now=back)
    beat = Heartbeat.objects.get(name="sweep")
    assert (beat.at, beat.resumed_at) == (back, back)


def test_an_older_waiting_log_holds_a_job_back_and_its_delay_is_an_alarm_of_its_own(world: World) -> None:
    overnight(world, 2)
    due = NOW + timedelta(minutes=1)
    for minute in range(0, 27 * 60 + 1, 4):  # the sweep runs all the time; it is the reading that stands still
        Heartbeat.objects.update(at=NOW - timedelta(hours=27) + timedelta(minutes=minute))
    Heartbeat.objects.update(at=due, resumed_at=None)
    post(world, {"ended_at": (NOW - timedelta(hours=1)).isoformat()}, name="waits", at=NOW - timedelta(minutes=30))
    JobState.objects.of(world.tenant).update(check_after=due)
    sweep(now=due)
    assert "no_recent_backup" not in open_kinds(world)
    Heartbeat.objects.update(at=due + timedelta(minutes=14))
    sweep(now=due + timedelta(minutes=16))
    assert open_kinds(world) == ["no_recent_backup", "no_recent_backup", "processing_delayed", "server_silent"]
    process(due + timedelta(minutes=17))
    sweep(now=due + timedelta(minutes=17))
    assert open_kinds(world) == ["no_recent_backup"]


# --- who is watched ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "which", "quiet", "awake"),
    [
        (Client, "client", "suspended", "active"),
        (Client, "client", "deleted", "active"),
        (Tenant, "tenant", "suspended", "active"),
    ],
)
def test_whoever_is_suspended_is_flagged_no_more_and_watched_again_after(
    world: World, model: Any, which: str, quiet: str, awake: str
) -> None:
    BackupJob.unwalled.update(registered_at=START)
    settings_changed(world.tenant, now=NOW)
    sweep(now=NOW)
    assert open_kinds(world) == ["never_backed_up"]
    rows = model.unwalled if hasattr(model, "unwalled") else model.objects
    rows.filter(pk=getattr(world, which).pk).update(state=quiet)
    settings_changed(world.tenant, now=NOW)
    sweep(now=NOW + timedelta(minutes=1))
    assert (open_kinds(world), state(world).check_after) == ([], None)
    rows.filter(pk=getattr(world, which).pk).update(state=awake)
    settings_changed(world.tenant, now=NOW + timedelta(minutes=2))
    sweep(now=NOW + timedelta(minutes=2))
    assert open_kinds(world) == ["never_backed_up"]
    assert state(world).check_after is not None


def test_a_client_on_trial_is_watched(world: World) -> None:
    BackupJob.unwalled.update(registered_at=START)
    Client.unwalled.filter(pk=world.client.pk).update(state="trial")
    settings_changed(world.tenant, now=NOW)
    sweep(now=NOW)
    assert open_kinds(world) == ["never_backed_up"]
