"""A size anomaly that a person closed with a reason: the facts of its job say since when its size is accepted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from alerts.acting import close_by_hand
from alerts.evaluating import load_job_facts
from alerts.facts import Checked, Finding, JobFacts
from alerts.incidents import write_answers
from alerts.models import Incident
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
