"""Random histories through the real line, worker and sweep; the slow, obvious model must have flagged the same.

Runs come early, late, twice and out of order; the job moves to another server; silences come and go; the service is
down for hours or days, or its clock jumps. Incidents must open and close at the very same looks as in the reference.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from alerts.models import Incident, IncidentEvent, Silence
from msp.backups.models import BackupJob, JobState
from tests.simulation.reference import RULES, Change, Run, Setup, play
from tests.simulation.service import Service, Told, moments
from tests.world import World, make_server, make_world

#: Across both changes of clocks in Europe and America.
BEGINS = (datetime(2026, 3, 25, tzinfo=UTC), datetime(2026, 10, 21, tzinfo=UTC), datetime(2026, 2, 26, tzinfo=UTC))
LOOK = timedelta(minutes=15)
DAYS = 8
LOOKS = DAYS * 96
SCHEDULES = ("", "", "daily 02:30", "weekdays 22:00", "every 6h", "30 1 * * 0,3")
#: An example plays eight days, which takes about a second: few in each run, other ones each time, and no shrinking.
EXAMPLES = int(os.environ.get("BACKLEDGER_HISTORIES", "15"))
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


@dataclass(frozen=True)
class History:
    """``moves`` and ``silences`` are looks (numbers); ``down`` are pairs of looks in which the service does nothing."""

    setup: Setup
    runs: tuple[Run, ...]
    down: tuple[tuple[int, int], ...]
    moves: tuple[int, ...]
    silences: tuple[tuple[int, int], ...]


def at(begin: datetime, look: int) -> datetime:
    return begin + look * LOOK


@st.composite
def histories(draw: st.DrawFn) -> History:
    begin = draw(st.sampled_from(BEGINS))
    zone = draw(st.sampled_from(("UTC", "Europe/Berlin", "America/New_York")))
    ends = draw(st.lists(st.integers(1, LOOKS - 1), min_size=0, max_size=18, unique=True))
    runs = tuple(draw_run(draw, begin, look) for look in sorted(ends))
    down = draw(spans(most=2, longest=120))
    return History(
        setup=Setup(registered_at=begin, schedule=draw(st.sampled_from(SCHEDULES)), zone=zone),
        runs=tuple(sorted(runs, key=lambda run: run.arrives_at)),
        down=down,
        moves=tuple(draw(st.lists(st.integers(1, LOOKS - 1), max_size=1))),
        silences=draw(spans(most=2, longest=200)),
    )


def draw_run(draw: st.DrawFn, begin: datetime, look: int) -> Run:
    """Most succeed and arrive at once; some are late by hours, and so come after runs that ended later."""
    outcome = draw(st.sampled_from(("success", "success", "success", "failure", "warning", "skipped", "unknown")))
    late = draw(st.sampled_from((0, 0, 0, 0, 1, 30, 90)))
    size = draw(st.sampled_from((5_000_000, 5_000_000, 0, None)))
    ended = at(begin, look) - timedelta(seconds=look % 60)
    return Run(
        ended_at=ended, started_at=ended - timedelta(minutes=10), arrives_at=at(begin, look + late),
        outcome=outcome, protected_bytes=size if outcome in ("success", "warning") else None,
    )  # fmt: skip


def spans(*, most: int, longest: int) -> st.SearchStrategy[tuple[tuple[int, int], ...]]:
    one = st.tuples(st.integers(1, LOOKS - 2), st.integers(1, longest))
    return st.lists(one, max_size=most).map(lambda found: tuple((begin, begin + length) for begin, length in found))


class Played:
    """The product under one history, in a tenant of its own."""

    def __init__(self, history: History) -> None:
        self.history, self.begin = history, history.setup.registered_at
        self.world: World = make_world_of_its_own()
        self.service = Service(self.world.tenant.pk, pace=LOOK)
        self.job = self.set_up()
        self.other, _ = make_server(self.world.tenant, "backup02", client=self.world.client)
        self.looks: list[tuple[datetime, datetime | None]] = []

    def set_up(self) -> BackupJob:
        setup, job = self.history.setup, self.world.job
        BackupJob.objects.of(self.world.tenant).filter(pk=job.pk).update(
            schedule=setup.schedule, timezone=setup.zone, registered_at=setup.registered_at
        )
        JobState.objects.of(self.world.tenant).filter(job=job).update(check_after=setup.registered_at)
        for begin, end in self.history.silences:
            Silence.objects.of(self.world.tenant).create(
                scope_kind="job", scope_id=job.pk, starts_at=at(self.begin, begin), ends_at=at(self.begin, end)
            )
        return job

    def run(self) -> None:
        """Look by look: what arrived while the service was down is stored when it is up again."""
        waiting, resumed_at, was_up = list(self.history.runs), None, None
        for number, now in enumerate(moments(self.begin, at(self.begin, LOOKS), LOOK)):
            if any(begin <= number < end for begin, end in self.history.down):
                continue
            if was_up is not None and now - was_up > timedelta(minutes=16):
                is_long = now - was_up > timedelta(hours=1)
                is_new = resumed_at is None or now - resumed_at > timedelta(hours=4)
                resumed_at = now if is_long or is_new else resumed_at
            was_up = now
            if number in self.history.moves:
                BackupJob.objects.of(self.world.tenant).filter(pk=self.job.pk).update(server=self.other)
            arrived = [run for run in waiting if run.arrives_at <= now]
            waiting = [run for run in waiting if run.arrives_at > now]
            self.service.post(self.told(run) for run in arrived)
            self.service.look(now, arrived=bool(arrived))
            self.looks.append((now, resumed_at))

    def told(self, run: Run) -> Told:
        return Told(
            server_id=self.world.server.pk, job=self.job.name, started_at=run.started_at, ended_at=run.ended_at,
            arrives_at=run.arrives_at, outcome=run.outcome, protected_bytes=run.protected_bytes,
        )  # fmt: skip

    def changes(self) -> list[Change]:
        """What the product's incidents did, in order."""
        rows = IncidentEvent.objects.of(self.world.tenant).filter(kind__in=("opened", "reopened", "closed"))
        kinds = dict(Incident.objects.of(self.world.tenant).filter(job_id=self.job.pk).values_list("pk", "kind"))
        return [
            Change(row.at, kinds[row.incident_id], row.kind != "closed")
            for row in rows.order_by("at", "pk")
            if kinds.get(row.incident_id) in RULES
        ]


def make_world_of_its_own() -> World:
    """Only rows of this example are due: whatever an earlier one left is gone."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM alerts_heartbeat")
    return make_world()


def differences(product: Sequence[Change], reference: Sequence[Change]) -> list[str]:
    """What only one of the two flagged, in words, oldest first."""
    only = [(one.at, one.kind, one.opened, "the product") for one in set(product) - set(reference)]
    only += [(one.at, one.kind, one.opened, "the reference") for one in set(reference) - set(product)]
    return [
        f"{at:%d %H:%M} {kind} {'opened' if opened else 'closed'}, only in {who}"
        for at, kind, opened, who in sorted(only)
    ]


@pytest.mark.django_db
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(history=histories())
def test_the_product_flags_what_the_obvious_model_flags(history: History) -> None:
    from django.db import transaction

    with transaction.atomic():
        played = Played(history)
        played.run()
        expected = play(history.setup, history.runs, played.looks)
        event(f"{len(expected)} changes")
        assert differences(played.changes(), expected) == []
        transaction.set_rollback(True)
