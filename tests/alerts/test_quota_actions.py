"""A long quota overrun: since when it lasts stays with the incident; it is told beforehand, done once, and recorded."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from alerts.evaluating import evaluate_clients, load_client_facts, mark_due
from alerts.models import Incident, IncidentEvent, RuleSetting, SubjectState
from msp.backups.models import BackupJob, JobState
from msp.estate.changing import change_client
from msp.estate.models import Client, ClientStateSpan
from msp.estate.spans import Actor, set_client_state, today_of
from msp.tenants.models import AuditEntry
from tests.world import START, World, make_job

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
NOW = START + 30 * DAY
GB = 10**9
PERSON = Actor(name="Olga", now=NOW)


def measure(job: BackupJob, *, protected: int | None = None, stored: int | None = None, at: Any = NOW) -> None:
    JobState.objects.of(job.tenant_id).filter(job=job).update(
        protected_bytes=protected, protected_at=at if protected else None,
        stored_bytes=stored, stored_at=at if stored else None,
    )  # fmt: skip


def over_quota(world: World, **parameters: Any) -> None:
    """The client protects 12 GB of 10 agreed; what follows is set for the tenant."""
    Client.objects.of(world.tenant).filter(pk=world.client.pk).update(quota_bytes=10 * GB)
    measure(world.job, protected=12 * GB)
    RuleSetting.objects.of(world.tenant).create(
        kind="quota_overrun", scope_kind="tenant", scope_id=world.tenant.pk, parameters=parameters, updated_at=START
    )


def evaluate(world: World, *, days: float = 0) -> None:
    now = NOW + days * DAY
    mark_due(world.tenant.pk, "client", [world.client.pk], now=now)
    evaluate_clients(world.tenant.pk, [world.client.pk], now=now)


def incident(world: World) -> Incident:
    found: Incident = Incident.objects.of(world.tenant).get(kind="quota_overrun", client=world.client)
    return found


def state(world: World) -> str:
    return str(Client.objects.of(world.tenant).get(pk=world.client.pk).state)


def test_both_sizes_are_summed_over_selections_each_once(world: World) -> None:
    second = make_job(world.tenant, world.server, world.client, "mail")
    copy = make_job(world.tenant, world.server, world.client, "mail offsite")
    BackupJob.objects.of(world.tenant).filter(pk=copy.pk).update(selection=second.selection)
    measure(world.job, protected=5 * GB, stored=2 * GB)
    measure(second, protected=7 * GB, stored=3 * GB, at=NOW + DAY)
    measure(copy, protected=8 * GB, stored=4 * GB)
    (facts,) = load_client_facts(world.tenant.pk, [world.client.pk])
    assert (facts.protected_bytes, facts.measured_at) == (12 * GB, NOW + DAY)
    assert (facts.stored_bytes, facts.stored_at) == (5 * GB, NOW + DAY)


def test_since_when_it_is_over_stays_with_the_incident_until_it_ends(world: World) -> None:
    over_quota(world)
    evaluate(world)
    evaluate(world, days=3)
    assert load_client_facts(world.tenant.pk, [world.client.pk])[0].over_since == NOW
    assert IncidentEvent.objects.of(world.tenant).count() == 1, "nothing new was to be told"
    measure(world.job, protected=9 * GB)
    evaluate(world, days=4)
    assert load_client_facts(world.tenant.pk, [world.client.pk])[0].over_since is None
    measure(world.job, protected=12 * GB)
    evaluate(world, days=5)
    assert load_client_facts(world.tenant.pk, [world.client.pk])[0].over_since == NOW + 5 * DAY


def test_suspending_is_told_beforehand_and_done_once(world: World, django_capture_on_commit_callbacks: Any) -> None:
    over_quota(world, action="suspend", action_after_days=10)
    evaluate(world)
    assert incident(world).summary.endswith("If it stays over for 10 days, the client is suspended.")
    evaluate(world, days=1)
    assert incident(world).summary.endswith(
        "If it is still over on Tue 10 Feb 2026 00:00 UTC, the client is suspended."
    )
    clock = SubjectState.objects.of(world.tenant).get(subject_kind="client", subject_id=world.client.pk)
    evaluate(world, days=9.99)
    assert state(world) == "active"
    assert clock.check_after == NOW + 2 * DAY, "the heartbeat comes first"
    clock.refresh_from_db()
    assert clock.check_after == NOW + 10 * DAY
    JobState.objects.of(world.tenant).update(check_after=NOW + 99 * DAY)
    with django_capture_on_commit_callbacks(execute=True):
        evaluate(world, days=10)
    assert state(world) == "suspended"
    assert JobState.objects.of(world.tenant).get(job=world.job).check_after == NOW + 10 * DAY
    assert incident(world).summary.endswith("It has been over for 10 days: the client is suspended.")
    entry = AuditEntry.objects.of(world.tenant).get(action="client state")
    assert (entry.actor, entry.after["state"]) == ("the rule Quota overrun", "suspended")
    assert "12.0 GB protected of 10.0 GB agreed" in entry.reason
    evaluate(world, days=10)
    evaluate(world, days=11)
    assert AuditEntry.objects.of(world.tenant).filter(action="client state").count() == 1
    assert ClientStateSpan.objects.of(world.tenant).filter(client=world.client, state="suspended").count() == 1
    assert incident(world).state == "closed", "what is suspended is not flagged"


def test_it_may_be_only_proposed(world: World) -> None:
    over_quota(world, action="propose", action_after_days=10)
    for days in (0, 9, 10, 20):
        evaluate(world, days=days)
    assert state(world) == "active"
    assert incident(world).summary.endswith("It has been over for 10 days: it is proposed to suspend the client.")
    told = IncidentEvent.objects.of(world.tenant).filter(text__contains="It has been over for 10 days")
    assert told.count() == 1


def test_nothing_follows_by_default_nor_after_an_overrun_that_ended(world: World) -> None:
    over_quota(world)
    for days in (0, 400):
        evaluate(world, days=days)
    assert state(world) == "active"
    RuleSetting.objects.of(world.tenant).update(parameters={"action": "suspend", "action_after_days": 10})
    measure(world.job, protected=9 * GB)
    evaluate(world, days=401)
    measure(world.job, protected=12 * GB)
    evaluate(world, days=402)
    evaluate(world, days=411)
    assert state(world) == "active"


def test_a_quota_that_is_lowered_suspends_nobody_at_once_even_after_an_old_measurement(world: World) -> None:
    over_quota(world, action="suspend", action_after_days=10)
    change_client(world.tenant, world.client.pk, {"quota_bytes": 13 * GB}, actor=PERSON)
    evaluate(world)
    change_client(world.tenant, world.client.pk, {"quota_bytes": 10 * GB}, actor=PERSON)
    evaluate(world, days=60)
    evaluate(world, days=61)
    assert state(world) == "active"


def test_a_client_that_a_person_made_active_again_has_the_days_anew(world: World) -> None:
    over_quota(world, action="suspend", action_after_days=10)
    for days in (0, 10, 10.1):
        evaluate(world, days=days)
    assert state(world) == "suspended"
    later = Actor(name="Olga", now=NOW + 20 * DAY)
    on = today_of(world.tenant, later.now)
    set_client_state(world.tenant, world.client.pk, state="active", on=on, actor=later)
    evaluate(world, days=20)
    evaluate(world, days=29)
    assert state(world) == "active"
    evaluate(world, days=30)
    assert state(world) == "suspended"


def test_another_clients_overrun_is_its_own(world: World) -> None:
    over_quota(world, action="suspend", action_after_days=1)
    evaluate(world)
    mark_due(world.tenant.pk, "client", [world.resold_client.pk], now=NOW)
    evaluate_clients(world.tenant.pk, [world.client.pk, world.resold_client.pk], now=NOW + 2 * DAY)
    assert state(world) == "suspended"
    assert Client.objects.of(world.tenant).get(pk=world.resold_client.pk).state == "active"


def test_clients_without_an_overrun_cost_no_statement_more(world: World, django_assert_num_queries: Any) -> None:
    from alerts.quota_actions import follow_overruns

    with django_assert_num_queries(0):
        follow_overruns(world.tenant.pk, [], now=NOW)
