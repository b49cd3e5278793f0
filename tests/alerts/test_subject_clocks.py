"""Selections, machines and volumes: their facts from the database, their clocks in the sweep, their incidents."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts.acting import close_by_hand, settings_changed
from alerts.estate_loading import load_machine_facts, load_volume_facts
from alerts.evaluating import mark_due
from alerts.marking import ensure_clocks, mark_tested
from alerts.models import Incident, RestoreTest, SubjectState
from alerts.selection_loading import ENDLESS, load_selection_facts
from alerts.sweeping import sweep
from msp.backups.models import JobState
from msp.census import take_census
from msp.estate.models import Machine, Policy, PolicyAssignment, Selection, Target, Volume, VolumeReading, Waiver
from msp.estate.queries import Reach
from msp.ingest.models import InboxItem
from tests.world import START, World, make_job

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
GB = 10**9


def set_state(world: World, job: Any = None, **values: Any) -> None:
    JobState.objects.of(world.tenant).filter(job=job or world.job).update(**values)


def make_machine(world: World, name: str = "srv1", **values: Any) -> Machine:
    machine: Machine = Machine.objects.of(world.tenant).create(
        client=world.client, name=name, **({"expectation": "protected", "registered_at": START} | values)
    )
    return machine


def make_volume(world: World, *, used: int, capacity: int | None, days: int = 0, growth: int = 0) -> Volume:
    volume: Volume = Volume.objects.of(world.tenant).create(
        server=world.server, name="pool", used_bytes=used, capacity_bytes=capacity, measured_at=NOW - HOUR
    )
    for ago in range(days):
        at = NOW - HOUR - ago * DAY
        VolumeReading.objects.of(world.tenant).create(
            volume=volume, day=at.date(), measured_at=at, used_bytes=used - ago * growth, capacity_bytes=capacity
        )
    return volume


def sweep_kind(world: World, kind: str, subject_id: int, *, now: datetime = NOW) -> Incident | None:
    """The open incident of the subject after a sweep that found it due."""
    mark_due(world.tenant.pk, kind, [subject_id], now=now)
    sweep(now=now)
    rows = Incident.objects.of(world.tenant).filter(subject_kind=kind, subject_id=subject_id, state="open")
    found: Incident | None = rows.first()
    return found


def clock_of(world: World, kind: str, subject_id: int) -> datetime | None:
    clock: SubjectState = SubjectState.objects.of(world.tenant).get(subject_kind=kind, subject_id=subject_id)
    return clock.check_after


def test_a_selection_never_restored_opens_one_incident_of_its_client(world: World) -> None:
    selection = world.job.selection
    incident = sweep_kind(world, "selection", selection.pk)
    assert incident is not None
    assert (incident.kind, incident.client_id, incident.selection_id) == (
        "restore_untested", world.client.pk, selection.pk,
    )  # fmt: skip
    assert incident.since == START + 90 * DAY
    assert clock_of(world, "selection", selection.pk) == NOW + DAY


def test_a_good_restore_closes_it_and_sets_the_clock(world: World) -> None:
    selection = world.job.selection
    sweep_kind(world, "selection", selection.pk)
    tried = NOW + HOUR
    set_state(
        world, last_restore_try_at=tried, last_restore_at=tried, last_restore_outcome="success", restore_seconds=60
    )
    assert sweep_kind(world, "selection", selection.pk, now=NOW + 2 * HOUR) is None
    closed = Incident.objects.of(world.tenant).get(kind="restore_untested")
    assert closed.close_reason.startswith("The newest good test was on Wed 1 Jul 2026 13:00")


def test_facts_of_a_selection_say_what_its_jobs_policy_and_waivers_say(world: World) -> None:
    selection = world.job.selection
    target = Target.objects.of(world.tenant).create(name="cloud", kind="cloud")
    copy = make_job(world.tenant, world.server, world.client, "files copy", role="copy", target=target)
    copy.selection = selection
    copy.save(update_fields=["selection"])
    set_state(world, last_good_at=NOW, last_verify_try_at=NOW - DAY, last_verify_outcome="success",
              last_verify_at=NOW - DAY, checksum_ok=True)  # fmt: skip
    set_state(world, copy, last_verify_try_at=NOW, last_verify_outcome="failure", last_verify_at=NOW - 9 * DAY,
              checksum_ok=False)  # fmt: skip
    for scope, kept in (("tenant", 2), ("client", 30)):
        policy = Policy.objects.of(world.tenant).create(
            name=scope, copies=kept, test_interval_days=kept, created_at=START
        )
        scope_id = world.tenant.pk if scope == "tenant" else world.client.pk
        PolicyAssignment.objects.of(world.tenant).create(policy=policy, scope_kind=scope, scope_id=scope_id)
    Waiver.objects.of(world.tenant).create(
        subject_kind="selection", subject_id=selection.pk, reason="archive", signed_by="A. Client", signed_at=START,
        ends_on=date(2026, 7, 31),
    )  # fmt: skip
    (facts,) = load_selection_facts(world.tenant.pk, [selection.pk], NOW)
    assert [(job.job, job.role, job.target_kind, job.last_good_at) for job in facts.jobs] == [
        ("files", "primary", "", NOW), ("files copy", "copy", "cloud", None),
    ]  # fmt: skip
    assert (facts.verify.outcome, facts.verify.checksum_ok, facts.verify.job) == ("failure", False, "files copy")
    assert (facts.verify.tried_at, facts.verify.good_at) == (NOW, NOW - DAY)
    assert facts.restore.tried_at is None
    assert (facts.copies, facts.test_interval_days) == (30, 30)
    assert facts.waived_until == datetime(2026, 8, 1, tzinfo=UTC)


def test_a_failed_restore_stays_until_a_person_accepts_it(world: World) -> None:
    selection = world.job.selection
    set_state(world, last_restore_try_at=NOW - HOUR, last_restore_outcome="failure", last_restore_at=START)
    sweep_kind(world, "selection", selection.pk)
    incident = Incident.objects.of(world.tenant).get(kind="restore_failed")
    assert (incident.severity, incident.sticky, incident.since) == ("critical", True, NOW - HOUR)
    set_state(world, last_restore_try_at=NOW, last_restore_outcome="success", last_restore_at=NOW)
    sweep_kind(world, "selection", selection.pk, now=NOW + HOUR)
    incident.refresh_from_db()
    assert incident.state == "open"


def test_a_machine_nobody_covers_is_flagged_until_a_job_does(world: World) -> None:
    machine = make_machine(world)
    incident = sweep_kind(world, "machine", machine.pk)
    assert incident is not None
    assert (incident.kind, incident.client_id, incident.since) == (
        "machine_unprotected", world.client.pk, START + 2 * DAY,
    )  # fmt: skip
    Selection.objects.of(world.tenant).filter(pk=world.job.selection_id).update(machine=machine)
    assert sweep_kind(world, "machine", machine.pk, now=NOW + HOUR) is None


def test_the_cover_of_a_machine_counts_active_jobs_only_and_remembers_the_last_log(world: World) -> None:
    machine = make_machine(world)
    Selection.objects.of(world.tenant).filter(pk=world.job.selection_id).update(machine=machine)
    set_state(world, heard_at=NOW - 5 * DAY)
    world.job.state = "retired"
    world.job.save(update_fields=["state"])
    (facts,) = load_machine_facts(world.tenant.pk, [machine.pk], NOW)
    assert (facts.jobs, facts.last_covered_at) == (0, NOW - 5 * DAY)
    incident = sweep_kind(world, "machine", machine.pk)
    assert incident is not None
    assert incident.since == NOW - 3 * DAY


@pytest.mark.parametrize(
    "expectation,kind,ends_on,until",
    [
        ("waived", "machine", date(2026, 8, 31), datetime(2026, 9, 1, tzinfo=UTC)),
        ("waived", "machine", None, ENDLESS),
        ("waived", "machine", date(2026, 3, 31), datetime(2026, 4, 1, tzinfo=UTC)),
        ("protected", "machine", date(2026, 8, 31), None),
        ("protected", "client", date(2026, 8, 31), datetime(2026, 9, 1, tzinfo=UTC)),
    ],
)
def test_waivers_of_a_machine(
    world: World, expectation: str, kind: str, ends_on: date | None, until: datetime | None
) -> None:
    machine = make_machine(world, expectation=expectation)
    subject_id = machine.pk if kind == "machine" else world.client.pk
    Waiver.objects.of(world.tenant).create(
        subject_kind=kind, subject_id=subject_id, reason="old", signed_by="A. Client", signed_at=START, ends_on=ends_on
    )
    (facts,) = load_machine_facts(world.tenant.pk, [machine.pk], NOW)
    assert facts.waived_until == until
    assert (sweep_kind(world, "machine", machine.pk) is None) == (until is not None and until > NOW)


def test_a_volume_that_fills_within_days_is_flagged_with_the_day(world: World) -> None:
    volume = make_volume(world, used=800 * GB, capacity=1000 * GB, days=20, growth=20 * GB)
    (facts,) = load_volume_facts(world.tenant.pk, [volume.pk], NOW)
    assert (len(facts.fill), facts.fill[0][1], facts.fill[-1][1]) == (20, 420 * GB, 800 * GB)
    incident = sweep_kind(world, "volume", volume.pk)
    assert incident is not None
    assert (incident.kind, incident.server_id) == ("volume_full", world.server.pk)
    assert incident.evidence["days_left"] == 10
    assert "is full about Sat 11 Jul 2026, in 10 days" in incident.summary


def test_facts_of_many_take_as_many_statements_as_of_one(world: World) -> None:
    jobs = [make_job(world.tenant, world.server, world.client, f"job {number}") for number in range(5)]
    selections = [job.selection_id for job in jobs]
    machines = [make_machine(world, f"srv{number}").pk for number in range(5)]
    volumes = [Volume.objects.of(world.tenant).create(server=world.server, name=f"v{n}").pk for n in range(5)]
    kinds: list[tuple[Any, list[int]]] = [
        (load_selection_facts, selections), (load_machine_facts, machines), (load_volume_facts, volumes),
    ]  # fmt: skip
    for load, ids in kinds:
        with CaptureQueriesContext(connection) as one:
            assert len(load(world.tenant.pk, ids[:1], NOW)) == 1
        with CaptureQueriesContext(connection) as many:
            assert len(load(world.tenant.pk, ids, NOW)) == 5
        assert len(many) == len(one)


def test_nothing_of_another_tenant_is_loaded(world: World) -> None:
    machine, volume = make_machine(world), make_volume(world, used=1, capacity=2)
    assert load_selection_facts(world.other.pk, [world.job.selection_id], NOW) == ()
    assert load_machine_facts(world.other.pk, [machine.pk], NOW) == ()
    assert load_volume_facts(world.other.pk, [volume.pk], NOW) == ()


def test_the_clock_of_something_that_is_gone_goes_too(world: World) -> None:
    machine = make_machine(world)
    mark_due(world.tenant.pk, "machine", [machine.pk], now=NOW)
    Machine.objects.of(world.tenant).filter(pk=machine.pk).delete()
    sweep(now=NOW)
    assert not SubjectState.objects.of(world.tenant).filter(subject_kind="machine").exists()


def test_every_active_subject_gets_a_clock_and_the_census_counts_those_without(world: World) -> None:
    make_machine(world)
    make_machine(world, "left", state="retired")
    make_volume(world, used=1, capacity=2)
    reach = Reach(world.tenant.pk, None)
    assert take_census(reach, now=NOW).subjects_without_clock == 5  # with selection, server and account
    assert any("have no clock" in fault for fault in take_census(reach, now=NOW).faults(NOW))
    assert ensure_clocks(now=NOW) == 5 + 2  # and the other account with its server
    assert ensure_clocks(now=NOW) == 0
    assert take_census(reach, now=NOW).subjects_without_clock == 0


def test_a_change_of_settings_makes_all_of_a_tenant_due_and_nothing_of_another(world: World) -> None:
    machine, volume = make_machine(world), make_volume(world, used=1, capacity=2)
    sweep(now=NOW)
    settings_changed(world.tenant, now=NOW)
    due = SubjectState.objects.of(world.tenant).filter(check_after=NOW)
    assert set(due.values_list("subject_kind", "subject_id")) == {
        ("selection", world.job.selection_id), ("machine", machine.pk), ("volume", volume.pk),
        ("tenant", world.tenant.pk), ("server", world.server.pk),
    }  # fmt: skip
    assert not SubjectState.objects.of(world.other).exists()


def test_a_test_or_copy_makes_its_selection_due_an_ordinary_backup_does_not(world: World) -> None:
    selection = world.job.selection_id
    later = NOW + DAY

    def due_after(tested: list[int]) -> bool:
        SubjectState.objects.of(world.tenant).filter(subject_kind="selection").update(check_after=later)
        mark_tested(world.tenant.pk, jobs=[world.job.pk], tested=tested, now=NOW)
        return clock_of(world, "selection", selection) == NOW

    mark_tested(world.tenant.pk, jobs=[world.job.pk], tested=[], now=NOW)
    assert clock_of(world, "selection", selection) == NOW, "a new selection gets its clock"
    assert not due_after([])
    assert due_after([world.job.pk])
    assert not due_after([])
    Incident.objects.of(world.tenant).create(
        kind="no_offsite_copy", subject_kind="selection", subject_id=selection, severity="warning",
        fingerprint=f"no_offsite_copy:selection:{selection}", summary="-", since=NOW, opened_at=NOW, last_seen_at=NOW,
        state="open",
    )  # fmt: skip
    assert due_after([])


def test_what_waits_in_the_inbox_for_a_day_is_one_incident_of_the_account(world: World) -> None:
    for number, reason in enumerate(("unassigned", "unassigned", "unreadable")):
        InboxItem.objects.of(world.tenant).create(
            receipt_id=number + 1, reason=reason, opened_at=NOW - number * HOUR, server=world.server
        )
    assert sweep_kind(world, "tenant", world.tenant.pk, now=NOW + 21 * HOUR) is None
    assert clock_of(world, "tenant", world.tenant.pk) == NOW + 22 * HOUR
    incident = sweep_kind(world, "tenant", world.tenant.pk, now=NOW + 22 * HOUR)
    assert incident is not None
    assert incident.kind == "inbox_waiting"
    assert incident.summary.endswith("2 of a job nobody knows, 1 that cannot be read.")
    InboxItem.objects.of(world.tenant).update(state="settled")
    assert sweep_kind(world, "tenant", world.tenant.pk, now=NOW + 23 * HOUR) is None


def test_a_persons_own_restore_test_counts_as_a_logs_does(world: World) -> None:
    selection = world.job.selection
    values = {"selection": selection, "client_id": world.client.pk, "tested_by": "A. Tech", "what": "one folder",
              "recorded_by": "A. Tech", "recorded_at": NOW}  # fmt: skip
    for result, ago in (("good", 9 * DAY), ("failed", 5 * DAY), ("partial", DAY)):
        RestoreTest.objects.of(world.tenant).create(result=result, tested_at=NOW - ago, seconds=90, **values)
    set_state(world, last_restore_try_at=NOW - 20 * DAY, last_restore_at=NOW - 20 * DAY, last_restore_outcome="success")
    (facts,) = load_selection_facts(world.tenant.pk, [selection.pk], NOW)
    assert (facts.restore.good_at, facts.restore.seconds, facts.restore.job) == (NOW - 9 * DAY, 90, "A. Tech")
    assert (facts.restore.tried_at, facts.restore.outcome) == (NOW - DAY, "warning")


def test_a_failed_restore_that_a_person_accepted_does_not_come_back_by_itself(world: World) -> None:
    selection = world.job.selection
    set_state(world, last_restore_try_at=NOW - HOUR, last_restore_outcome="failure", last_restore_at=NOW - DAY)
    incident = sweep_kind(world, "selection", selection.pk)
    assert incident is not None
    close_by_hand(world.tenant, incident.uid, actor="Tech", reason="The disk was swapped.", now=NOW)
    assert sweep_kind(world, "selection", selection.pk, now=NOW + 9 * DAY) is None
    set_state(world, last_restore_try_at=NOW + 10 * DAY)
    assert sweep_kind(world, "selection", selection.pk, now=NOW + 11 * DAY) is not None
