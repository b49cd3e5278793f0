"""A size anomaly that a person closed with a reason: the facts of its job say since when its size is accepted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from alerts.acting import close_by_hand
from alerts.evaluating import evaluate_jobs
from alerts.facts import Checked, Finding, JobFacts
from alerts.incidents import write_answers
from alerts.job_loading import load_job_facts
from alerts.models import Incident
from integrations.logs.joblog import JobLog
from msp.backups.recording import record_runs
from msp.backups.runs import AssignedRun
from tests.world import START, World, make_job

pytestmark = pytest.mark.django_db
NOW = START + timedelta(days=30)


def facts_of(world: World) -> JobFacts:
    (facts,) = load_job_facts(world.tenant.pk, [world.job.pk])
    return facts


def flag(world: World, **changes: Any) -> Incident:
    """The rule of this kind reports the job."""
    values: dict[str, Any] = {"kind": "size_anomaly", "severity": "warning", "summary": "It shrank.", "since": NOW}
    facts = facts_of(world)
    finding = Finding(subject=facts.subject, sticky=True, **{**values, "occurrence": "shrank", **changes})
    checked = Checked(kind=finding.kind, subject=facts.subject, answer=finding, closing_words="")
    write_answers(world.tenant.pk, [checked], subjects={facts.subject: facts}, now=NOW)
    found: Incident = Incident.objects.of(world.tenant).get(kind=finding.kind, state="open")
    return found


def test_the_newest_acceptance_counts(world: World) -> None:
    assert facts_of(world).size_accepted_at is None
    for days in (1, 2):
        incident = flag(world, occurrence=f"shrank by {days}")
        at = NOW + timedelta(days=days)
        close_by_hand(world.tenant, incident.uid, actor="Olga", reason="The old share is gone.", now=at)
    assert facts_of(world).size_accepted_at == NOW + timedelta(days=2)


def test_only_a_person_accepts_and_only_this_problem_of_this_job(world: World) -> None:
    other = make_job(world.tenant, world.server, world.client, "mail")
    flag(world)
    assert facts_of(world).size_accepted_at is None, "while it is open nothing is accepted"
    Incident.objects.of(world.tenant).update(state="closed", closed_at=NOW)
    assert facts_of(world).size_accepted_at is None, "it closed by itself"
    close_by_hand(world.tenant, flag(world, kind="errors").uid, actor="Olga", reason="Known.", now=NOW)
    assert facts_of(world).size_accepted_at is None, "another kind of problem"
    close_by_hand(world.tenant, flag(world).uid, actor="Olga", reason="Known.", now=NOW)
    (elsewhere,) = load_job_facts(world.tenant.pk, [other.pk])
    assert elsewhere.size_accepted_at is None
    assert facts_of(world).size_accepted_at == NOW


def play_night(world: World, night: int, size: int) -> None:
    """A good run of that night that measured so many bytes, recorded and evaluated as the pipeline does."""
    ended = NOW + timedelta(days=night)
    log = JobLog(
        product="restic", operation="backup", outcome="success", started_at=ended - timedelta(hours=1), ended_at=ended,
        run_id=str(night), protected_bytes=size, complete=True, basis="logical-once",
    )  # fmt: skip
    job = world.job
    given = AssignedRun(job.pk, job.selection_id, world.client.pk, night, 0, "x", ended, log)
    with transaction.atomic():
        recorded = record_runs(world.tenant.pk, [given], now=ended)
        evaluate_jobs(world.tenant.pk, recorded.job_ids, now=ended)


def anomalies(world: World) -> list[tuple[str, int]]:
    """(state, how often reopened) of each incident of this kind, oldest first."""
    rows = Incident.objects.of(world.tenant).filter(kind="size_anomaly").order_by("id")
    return list(rows.values_list("state", "reopened_count"))


def test_a_share_that_vanished_is_flagged_once_accepted_once_and_a_further_one_flagged_again(world: World) -> None:
    for night in range(1, 11):
        play_night(world, night, (400 + night % 3) * 10**9)
    assert anomalies(world) == []
    for night in (11, 12, 13):
        play_night(world, night, 100 * 10**9)
    incident = Incident.objects.of(world.tenant).get(kind="size_anomaly")
    assert incident.sticky
    assert incident.seen_count == 1, "the same shift is the same happening, each night"
    at = NOW + timedelta(days=13, hours=9)
    close_by_hand(world.tenant, incident.uid, actor="Olga", reason="The archive moved away.", now=at)
    for night in (14, 15, 16, 17):
        play_night(world, night, 101 * 10**9)
    assert anomalies(world) == [("closed", 0)], "it is the usual size now, long after a closed incident may be reopened"
    play_night(world, 18, 10 * 10**9)
    assert [state for state, _ in anomalies(world)] == ["closed", "open"]
    newest = Incident.objects.of(world.tenant).get(kind="size_anomaly", state="open")
    assert newest.summary.startswith("The protected size is 10.0 GB, 90 % less: usually between 100.0 GB and 101.0 GB")


def test_a_source_that_vanished_is_one_incident_which_a_person_accepts(world: World) -> None:
    for night in range(1, 11):
        play_night(world, night, 400 * 10**9)
    for night in (11, 12):
        play_night(world, night, 0)
    incident = Incident.objects.of(world.tenant).get(job_id=world.job.pk)
    assert (incident.kind, incident.sticky, incident.seen_count) == ("implausible_zero", True, 2)
    at = NOW + timedelta(days=12, hours=9)
    close_by_hand(world.tenant, incident.uid, actor="Olga", reason="The folder was emptied.", now=at)
    for night in range(13, 17):
        play_night(world, night, 0)
    assert not Incident.objects.of(world.tenant).filter(kind="implausible_zero", state="open").exists()
    play_night(world, 17, 400 * 10**9)
    play_night(world, 18, 0)
    again = Incident.objects.of(world.tenant).get(job_id=world.job.pk, state="open")
    assert again.kind == "implausible_zero", "a further fall is another problem"


def test_a_run_with_data_proposes_to_clear_a_size_of_zero(world: World) -> None:
    for night in range(1, 11):
        play_night(world, night, 400 * 10**9)
    play_night(world, 11, 0)
    play_night(world, 12, 400 * 10**9)
    incident = Incident.objects.of(world.tenant).get(job_id=world.job.pk)
    assert (incident.state, incident.clear_proposed_at) == ("open", NOW + timedelta(days=12))
    assert incident.clear_reason.endswith("selected 400.0 GB.")
