"""Root causes in the database: one ticket for a server with many jobs, what is kept under it, channels not heard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from alerts.models import Destination, Incident, IncidentEvent, Route, RuleSetting, Silence, SubjectState, Ticket
from alerts.sweeping import sweep
from msp.backups.models import BackupJob, JobState
from msp.channels.models import Mailbox
from msp.estate.models import BackupServer, Site
from msp.ingest.models import Channel
from tests.world import START, World, make_job, make_server

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
#: With the default tolerance of 26 hours and an hour of grace: overdue a minute before NOW.
LAST_GOOD = NOW - 27 * HOUR - MINUTE


@pytest.fixture(autouse=True)
def _route(world: World) -> None:
    made = Destination.objects.of(world.tenant).create(name="desk", gateway="email", config={}, created_at=START)
    Route.objects.of(world.tenant).create(destination=made, position=1, hold_minutes=0, grouping="incident")


def add_jobs(world: World, server: BackupServer, count: int, **values: object) -> list[BackupJob]:
    jobs = [make_job(world.tenant, server, world.client, f"job {number}") for number in range(count)]
    set_state(world, jobs, **values)
    return jobs


def set_state(world: World, jobs: list[BackupJob], **values: object) -> None:
    told = {"last_good_at": LAST_GOOD, "heard_at": LAST_GOOD, "last_outcome": "success", "check_after": NOW,
            "overdue_at": LAST_GOOD + 27 * HOUR}  # fmt: skip
    JobState.objects.of(world.tenant).filter(job__in=jobs).update(**(told | values))


def alive(world: World) -> None:
    """The service has run without a break, and the job of the world is no matter here."""
    BackupJob.objects.of(world.tenant).filter(pk=world.job.pk).update(state="retired")
    SubjectState.objects.of(world.tenant).delete()
    sweep(now=NOW - 4 * MINUTE)


def heard(world: World, jobs: list[BackupJob], *, at: datetime) -> None:
    """Good logs of these jobs came in, as the line notes it."""
    set_state(world, jobs, last_good_at=at, heard_at=at, overdue_at=at + 27 * HOUR, check_after=at)
    SubjectState.objects.of(world.tenant).filter(subject_kind__in=["server", "site", "volume"]).update(check_after=at)


def open_of(world: World, kind: str) -> list[Incident]:
    return list(Incident.objects.of(world.tenant).filter(kind=kind, state="open").order_by("id"))


def test_a_server_that_dies_with_two_hundred_jobs_opens_one_ticket(world: World) -> None:
    jobs = add_jobs(world, world.server, 200)
    alive(world)
    sweep(now=NOW)
    (cause,) = open_of(world, "server_silent")
    assert (cause.severity, cause.subject_id, cause.since) == ("critical", world.server.pk, LAST_GOOD)
    assert "of 200 jobs nothing was heard" in cause.summary
    symptoms = open_of(world, "no_recent_backup")
    assert len(symptoms) == len(jobs)
    assert {one.cause_id for one in symptoms} == {cause.pk}
    assert {one.ticket_id for one in symptoms} == {None}
    assert "kept under another incident (Server silent)" in symptoms[0].untold_reason
    assert [one.pk for one in Ticket.objects.of(world.tenant)] == [cause.ticket_id]
    assert IncidentEvent.objects.of(world.tenant).filter(kind="kept_under").count() == 200


def hush(world: World, how: str) -> None:
    """Make sure in one of several ways that nobody will hear of a silent server."""
    if how == "only in reports":
        values = {"kind": "server_silent", "scope_kind": "tenant", "scope_id": world.tenant.pk, "tells": "report"}
        RuleSetting.objects.of(world.tenant).create(updated_at=START, **values)
    elif how == "a route that tells nobody":
        Route.objects.of(world.tenant).create(destination=None, position=0, kinds=["server_silent"])
    else:
        Route.objects.of(world.tenant).update(kinds=["no_recent_backup"])


@pytest.mark.parametrize("how", ["only in reports", "a route that tells nobody", "no route"])
def test_a_cause_nobody_hears_of_keeps_nothing_under_it(world: World, how: str) -> None:
    """A missed backup of which nobody is told, in the end, is what must not be."""
    jobs = add_jobs(world, world.server, 6)
    hush(world, how)
    alive(world)
    sweep(now=NOW)
    for minute in range(4, 64, 4):
        sweep(now=NOW + minute * MINUTE)
    (cause,) = open_of(world, "server_silent")
    assert cause.ticket_id is None
    symptoms = open_of(world, "no_recent_backup")
    assert len(symptoms) == len(jobs)
    assert {one.ticket_id is not None for one in symptoms} == {True}
    assert {one.cause_id for one in symptoms} == {None}


def test_a_silence_of_the_servers_client_hides_nothing_of_others_on_that_server(world: World) -> None:
    jobs = [make_job(world.tenant, world.server, world.resold_client, f"theirs {number}") for number in range(6)]
    set_state(world, jobs)
    BackupServer.objects.of(world.tenant).filter(pk=world.server.pk).update(client=world.client)
    Silence.objects.of(world.tenant).create(
        scope_kind="client", scope_id=world.client.pk, starts_at=NOW - HOUR, ends_at=NOW + 9 * DAY, reason="moving"
    )
    alive(world)
    sweep(now=NOW)
    for minute in range(4, 64, 4):
        sweep(now=NOW + minute * MINUTE)
    assert len(open_of(world, "server_silent")) == 1
    symptoms = open_of(world, "no_recent_backup")
    assert len(symptoms) == len(jobs)
    assert {one.ticket_id is not None for one in symptoms} == {True}


def test_after_its_recovery_those_that_remain_speak_up_after_the_grace(world: World) -> None:
    jobs = add_jobs(world, world.server, 6)
    alive(world)
    sweep(now=NOW)
    back = NOW + 2 * HOUR
    for minute in range(4, 120, 4):
        sweep(now=NOW + minute * MINUTE)
    heard(world, jobs[:4], at=back)
    sweep(now=back)
    assert open_of(world, "server_silent") == []
    left = open_of(world, "no_recent_backup")
    assert [one.job_id for one in left] == [one.pk for one in jobs[4:]]
    for minute in range(4, 60, 4):
        sweep(now=back + minute * MINUTE)
    assert Ticket.objects.of(world.tenant).count() == 1, "within the grace nobody hears of them"
    sweep(now=back + HOUR)
    sweep(now=back + HOUR + MINUTE)
    assert {one.ticket_id is not None for one in open_of(world, "no_recent_backup")} == {True}
    assert {one.cause_id for one in open_of(world, "no_recent_backup")} == {None}
    assert IncidentEvent.objects.of(world.tenant).filter(kind="speaks_up").count() == 2


def test_one_dead_job_of_many_is_no_silence_of_its_server(world: World) -> None:
    jobs = add_jobs(world, world.server, 30, last_good_at=NOW - HOUR, heard_at=NOW - HOUR, overdue_at=NOW + 26 * HOUR)
    set_state(world, jobs[:1])
    alive(world)
    sweep(now=NOW)
    assert open_of(world, "server_silent") == []
    (missed,) = open_of(world, "no_recent_backup")
    assert (missed.job_id, missed.cause_id) == (jobs[0].pk, None)
    assert missed.ticket_id is not None


def test_what_people_were_told_before_the_cause_was_found_stays_told(world: World) -> None:
    jobs = add_jobs(world, world.server, 3, overdue_at=NOW + HOUR, last_good_at=LAST_GOOD + HOUR)
    set_state(world, jobs[:1])
    alive(world)
    sweep(now=NOW)
    (first,) = open_of(world, "no_recent_backup")
    assert first.ticket_id is not None
    Incident.objects.of(world.tenant).filter(pk=first.pk).update(told_at=NOW)
    for minute in range(4, 64, 4):
        sweep(now=NOW + minute * MINUTE)
    (cause,) = open_of(world, "server_silent")
    told, *kept = open_of(world, "no_recent_backup")
    assert (told.pk, told.ticket_id, told.cause_id) == (first.pk, first.ticket_id, None)
    assert {(one.cause_id, one.ticket_id) for one in kept} == {(cause.pk, None)}
    assert Ticket.objects.of(world.tenant).count() == 2


def test_a_silent_site_has_its_servers_and_their_jobs_under_it(world: World) -> None:
    site = Site.objects.of(world.tenant).create(client=world.client, name="Harbour street", timezone="")
    second, _ = make_server(world.tenant, "backup02", client=world.client)
    BackupServer.objects.of(world.tenant).filter(pk__in=[world.server.pk, second.pk]).update(site=site)
    for server in (world.server, second):
        add_jobs(world, server, 5)
    alive(world)
    sweep(now=NOW)
    (cause,) = open_of(world, "site_silent")
    below = open_of(world, "server_silent") + open_of(world, "no_recent_backup")
    assert len(below) == 12
    assert {(one.cause_id, one.ticket_id) for one in below} == {(cause.pk, None)}
    assert Ticket.objects.of(world.tenant).count() == 1


def make_mailbox(world: World, **values: object) -> Channel:
    mailbox = Mailbox.objects.of(world.tenant).create(
        host="imap.example", username="reports", created_at=START, check_after=NOW + DAY, **values
    )
    channel: Channel = Channel.objects.of(world.tenant).create(
        kind="mailbox", key=str(mailbox.pk), name="reports at imap.example", first_received_at=START,
        last_received_at=LAST_GOOD,
    )  # fmt: skip
    return channel


def test_behind_a_mailbox_with_an_expired_password_jobs_are_not_heard(world: World) -> None:
    channel = make_mailbox(world, failures=9, last_error="login refused", last_success_at=LAST_GOOD)
    jobs = add_jobs(world, world.server, 5, channel_ids=[channel.pk])
    alive(world)
    sweep(now=NOW)
    (cause,) = open_of(world, "channel_silent")
    assert cause.summary.endswith("login refused.")
    assert open_of(world, "server_silent") == open_of(world, "no_recent_backup") == []
    assert Ticket.objects.of(world.tenant).count() == 1
    for hour in range(1, 5):
        for minute in range(0, 60, 4):
            sweep(now=NOW + hour * HOUR + minute * MINUTE)
    assert open_of(world, "no_recent_backup") == [], "for as long as it lasts"
    back = NOW + 5 * HOUR
    Mailbox.objects.of(world.tenant).update(failures=0, last_error="", last_success_at=back)
    Channel.objects.of(world.tenant).filter(pk=channel.pk).update(last_received_at=back)
    heard(world, jobs[1:], at=back)
    JobState.objects.of(world.tenant).update(channel_ids=[channel.pk])
    for minute in range(0, 60, 4):
        sweep(now=back + minute * MINUTE)
    assert open_of(world, "channel_silent") == open_of(world, "no_recent_backup") == []
    for minute in range(60, 90, 4):
        sweep(now=back + minute * MINUTE)
    assert [one.job_id for one in open_of(world, "no_recent_backup")] == [jobs[0].pk]


@pytest.mark.parametrize("now,is_silent", [(datetime(2026, 7, 6, 0, 30, tzinfo=UTC), False),
                                           (datetime(2026, 7, 7, 0, 30, tzinfo=UTC), True)])  # fmt: skip
def test_a_mailbox_quiet_on_weekends_is_silent_only_after_a_monday(
    world: World, now: datetime, is_silent: bool
) -> None:
    friday = datetime(2026, 7, 3, 20, tzinfo=UTC)
    days = [friday.date() - timedelta(days=ago) for ago in range(32)]
    channel = make_mailbox(world)
    Channel.objects.of(world.tenant).filter(pk=channel.pk).update(
        last_received_at=friday, days={day.isoformat(): [12, 0] for day in days if day.weekday() < 5}
    )
    second, _ = make_server(world.tenant, "backup02", client=world.client)
    for server in (world.server, second):
        add_jobs(world, server, 2, channel_ids=[channel.pk], last_good_at=friday, heard_at=friday,
                 overdue_at=now + DAY, check_after=now + DAY)  # fmt: skip
    alive(world)
    sweep(now=now - 4 * MINUTE)
    SubjectState.objects.of(world.tenant).update_or_create(
        subject_kind="channel", subject_id=channel.pk, defaults={"check_after": now}
    )
    for minute in range(0, 70, 4):  # after the break that the test began with
        sweep(now=now + minute * MINUTE)
    found = open_of(world, "channel_silent")
    assert bool(found) == is_silent
    if is_silent:
        assert "at least 12 logs came by it on each Monday" in found[0].summary


def test_down_for_26_hours_and_the_logs_take_an_hour_to_come_in(world: World) -> None:
    """No incident at any moment: neither of a job, nor of a server, nor of a channel."""
    second, _ = make_server(world.tenant, "backup02", client=world.client)
    channel = make_mailbox(world)
    jobs = [
        job
        for server in (world.server, second)
        for job in add_jobs(world, server, 30, channel_ids=[channel.pk], overdue_at=NOW + HOUR,
                            last_good_at=NOW - 26 * HOUR, heard_at=NOW - 26 * HOUR)
    ]  # fmt: skip
    alive(world)
    back = NOW + 26 * HOUR
    for minute in range(0, 70, 4):
        late = jobs[minute : minute + 4]
        Channel.objects.of(world.tenant).filter(pk=channel.pk).update(last_received_at=back + minute * MINUTE)
        if late:
            heard(world, late, at=back + minute * MINUTE)
        sweep(now=back + minute * MINUTE)
    assert list(Incident.objects.of(world.tenant).filter(subject_kind__in=["job", "server", "channel"])) == []


def test_after_26_hours_down_what_is_really_missing_is_told(world: World) -> None:
    jobs = add_jobs(world, world.server, 10, overdue_at=NOW + HOUR, last_good_at=NOW - 26 * HOUR)
    alive(world)
    back = NOW + 26 * HOUR
    sweep(now=back)
    heard(world, jobs[2:], at=back + 4 * MINUTE)
    for minute in range(4, 64, 4):
        sweep(now=back + minute * MINUTE)
    missed = open_of(world, "no_recent_backup")
    assert [one.job_id for one in missed] == [one.pk for one in jobs[:2]]
    assert {one.opened_at for one in missed} == {back + HOUR}
    assert open_of(world, "server_silent") == []
