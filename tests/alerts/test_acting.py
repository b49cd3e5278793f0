"""What people do to incidents: assign, accept, and all of it for several at once, each with its own event and entry."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import acting
from alerts.facts import Checked, Finding, JobFacts
from alerts.incidents import look_again, write_answers
from alerts.job_loading import load_job_facts
from alerts.models import Incident, IncidentEvent
from msp.tenants.models import AuditEntry
from tests.world import START, World, make_job

pytestmark = pytest.mark.django_db
NOW = START + timedelta(days=30)
HOUR = timedelta(hours=1)


def answer(world: World, *, found: bool = True, sticky: bool = False, job: Any = None, **values: Any) -> None:
    """The rule "size_anomaly" flags the job, or finds it fine."""
    facts: JobFacts
    (facts,) = load_job_facts(world.tenant.pk, [(job or world.job).pk])
    given: dict[str, Any] = {
        "severity": "warning",
        "summary": "It shrank.",
        "since": NOW,
        "occurrence": "shrank",
    } | values
    now = given.pop("now", NOW)
    finding = Finding(kind="size_anomaly", subject=facts.subject, sticky=sticky, **given)
    checked = Checked(
        kind="size_anomaly", subject=facts.subject, answer=finding if found else None, closing_words="It is as before."
    )
    write_answers(world.tenant.pk, [checked], subjects={facts.subject: facts}, now=now)


def flagged(world: World, **values: Any) -> Incident:
    answer(world, **values)
    found: Incident = Incident.objects.of(world.tenant).get(state="open", job_id=(values.get("job") or world.job).pk)
    return found


def events(world: World, incident: Incident) -> list[tuple[str, str]]:
    rows = IncidentEvent.objects.of(world.tenant).filter(incident=incident).order_by("seq")
    return list(rows.values_list("kind", "text"))


def test_an_incident_is_taken_given_on_and_given_back(world: World) -> None:
    incident = flagged(world)
    tech, owner = world.technician, world.owner
    acting.assign(world.tenant, incident.uid, person=tech.uid, actor=tech.email, now=NOW)
    acting.assign(world.tenant, incident.uid, person=owner.uid, actor=tech.email, now=NOW + HOUR)
    incident.refresh_from_db()
    assert (incident.assigned_to, incident.assigned_at, incident.acknowledged_at) == (owner, NOW + HOUR, None)
    acting.unassign(world.tenant, incident.uid, actor=owner.email, now=NOW + 2 * HOUR)
    incident.refresh_from_db()
    assert (incident.assigned_to, incident.assigned_at) == (None, None)
    assert events(world, incident)[1:] == [
        ("assigned", f"Taken by {tech.email}."),
        ("assigned", f"Assigned to {owner.name} by {tech.email}."),
        ("unassigned", f"Assignment taken back by {owner.email}."),
    ]
    entries = AuditEntry.objects.of(world.tenant).filter(subject_id=incident.pk).order_by("id")
    assert [entry.action for entry in entries] == ["incident assigned", "incident assigned", "incident unassigned"]


def test_an_incident_is_assigned_to_members_only(world: World) -> None:
    incident = flagged(world)
    for person, sentence in (
        (world.stranger.uid, "does not belong"), (uuid4(), "does not belong"), (world.reseller_staff.uid, "reseller"),
    ):  # fmt: skip
        with pytest.raises(acting.CannotAct, match=sentence):
            acting.assign(world.tenant, incident.uid, person=person, actor="Olga", now=NOW)
    incident.refresh_from_db()
    assert incident.assigned_to is None
    with pytest.raises(Incident.DoesNotExist):
        acting.assign(world.other, incident.uid, person=world.stranger.uid, actor="Sly", now=NOW)


def test_a_new_look_at_the_problem_leaves_it_with_its_person(world: World) -> None:
    incident = flagged(world)
    acting.assign(world.tenant, incident.uid, person=world.technician.uid, actor="Olga", now=NOW)
    answer(world, occurrence="shrank again", now=NOW + HOUR)
    look_again(world.tenant.pk, [incident.pk], now=NOW + 2 * HOUR)
    incident.refresh_from_db()
    assert (incident.assigned_to, incident.seen_count) == (world.technician, 2)


def test_what_is_sticky_waits_for_a_person_and_closes_with_the_words(world: World) -> None:
    incident = flagged(world, sticky=True)
    answer(world, found=False, sticky=True, now=NOW + HOUR)
    incident.refresh_from_db()
    assert (incident.state, incident.clear_proposed_at) == ("open", NOW + HOUR)
    with pytest.raises(acting.CannotAct, match="Say why you accept it"):
        acting.accept(world.tenant, incident.uid, actor="Olga", reason="  ", now=NOW + 2 * HOUR)
    acting.accept(world.tenant, incident.uid, actor="Olga", reason="The archive moved.", now=NOW + 2 * HOUR)
    incident.refresh_from_db()
    assert (incident.state, incident.closed_by_hand, incident.clear_proposed_at) == ("closed", True, None)
    assert incident.close_reason == "Accepted by Olga: The archive moved."
    assert events(world, incident)[-1] == ("closed", "Accepted by Olga: The archive moved.")
    answer(world, sticky=True, now=NOW + 3 * HOUR)
    assert not Incident.objects.of(world.tenant).filter(state="open").exists(), "the same happening was accepted"


def test_what_closes_by_itself_needs_nobody_to_accept_it(world: World) -> None:
    incident = flagged(world)
    with pytest.raises(acting.CannotAct, match="closes by itself"):
        acting.accept(world.tenant, incident.uid, actor="Olga", reason="Fine.", now=NOW)


def test_several_at_once_have_an_event_and_an_entry_each_and_closed_ones_are_passed_over(world: World) -> None:
    jobs = [make_job(world.tenant, world.server, world.client, f"job {number}") for number in range(3)]
    incidents = [flagged(world, job=job) for job in jobs]
    acting.close_by_hand(world.tenant, incidents[0].uid, actor="Olga", reason="Known.", now=NOW)
    action = acting.snoozing(actor="Olga", until=NOW + HOUR, now=NOW)
    uids = [incident.uid for incident in incidents]
    assert acting.act_on_several(world.tenant, uids, action) == 2
    assert [events(world, incident)[-1][0] for incident in incidents] == ["closed", "snoozed", "snoozed"]
    entries = AuditEntry.objects.of(world.tenant).filter(action="incident snoozed")
    assert {entry.subject_id for entry in entries} == {incident.pk for incident in incidents[1:]}
    assert acting.act_on_several(world.other, uids, action) == 0, "another tenant's incidents are not there"


def test_as_many_statements_for_many_as_for_few(world: World) -> None:
    counts = []
    for number in (2, 8):
        jobs = [make_job(world.tenant, world.server, world.client, f"{number} {each}") for each in range(number)]
        uids = [flagged(world, job=job).uid for job in jobs]
        action = acting.assigning(acting.find_member(world.tenant, world.owner.uid), actor="Olga", now=NOW)
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert acting.act_on_several(world.tenant, uids, action) == number
        counts.append(len(asked))
    assert counts[0] == counts[1]
