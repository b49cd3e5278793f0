"""Changing a job by hand: checked, audited, its clock due, its selection dated."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from alerts.sweeping import sweep
from msp.backups.changing import change_job, move_job_selection
from msp.backups.models import JobSelectionSpan, JobState
from msp.estate.models import Selection
from msp.estate.spans import Actor, BadChange
from msp.tenants.models import AuditEntry
from tests.world import World

NOW = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
ACTOR = Actor(name="tech@northwind.example", now=NOW)
FAR = NOW + timedelta(days=9)

pytestmark = pytest.mark.django_db


def clock(world: World) -> datetime | None:
    moment: datetime | None = JobState.objects.of(world.tenant).get(job=world.job).check_after
    return moment


def test_a_schedule_makes_the_clock_due(world: World) -> None:
    JobState.objects.of(world.tenant).update(check_after=FAR)
    job = change_job(world.tenant, world.job.pk, {"schedule": "daily 22:00"}, actor=ACTOR)
    assert (job.schedule, clock(world)) == ("daily 22:00", NOW)
    JobState.objects.of(world.tenant).update(check_after=FAR)
    change_job(world.tenant, world.job.pk, {"schedule": "daily 22:00"}, actor=ACTOR)
    assert clock(world) == FAR
    assert AuditEntry.objects.of(world.tenant).count() == 1


def test_a_paused_job_loses_its_clock_at_the_next_sweep_and_gets_it_back(world: World) -> None:
    change_job(world.tenant, world.job.pk, {"state": "paused"}, actor=ACTOR)
    sweep(now=NOW)
    assert clock(world) is None
    change_job(world.tenant, world.job.pk, {"state": "active"}, actor=ACTOR)
    sweep(now=NOW)
    later = clock(world)
    assert later is not None
    assert later > NOW


def test_a_job_without_a_state_row_gets_one(world: World) -> None:
    JobState.objects.of(world.tenant).filter(job=world.job).delete()
    change_job(world.tenant, world.job.pk, {"schedule": "every 6h"}, actor=ACTOR)
    assert clock(world) == NOW


@pytest.mark.parametrize(
    ("field", "value"), [("schedule", "sometimes"), ("timezone", "Mars/Olympus"), ("state", "proposed")]
)
def test_bad_values_are_refused_by_field(field: str, value: str, world: World) -> None:
    with pytest.raises(BadChange) as refused:
        change_job(world.tenant, world.job.pk, {field: value}, actor=ACTOR)
    assert refused.value.field == field
    assert not AuditEntry.objects.of(world.tenant).exists()


def test_a_job_moves_to_another_selection(world: World) -> None:
    there = Selection.objects.of(world.tenant).create(client=world.client, name="all of it", registered_at=NOW)
    before = world.job.selection_id
    move_job_selection(world.tenant, world.job.pk, selection=there, on=date(2026, 4, 1), actor=ACTOR)
    world.job.refresh_from_db()
    assert world.job.selection_id == there.pk
    spans = JobSelectionSpan.objects.of(world.tenant).filter(job=world.job).order_by("since")
    assert list(spans.values_list("selection_id", "since", "until")) == [
        (before, date(2026, 1, 1), date(2026, 4, 1)),
        (there.pk, date(2026, 4, 1), None),
    ]
    with pytest.raises(BadChange, match="2026-04-01"):
        move_job_selection(
            world.tenant, world.job.pk, selection=selection_of(world, before), on=date(2026, 3, 1), actor=ACTOR
        )
    assert clock(world) == NOW


def selection_of(world: World, pk: int) -> Selection:
    found: Selection = Selection.objects.of(world.tenant).get(pk=pk)
    return found
