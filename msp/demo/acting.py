"""What people do in the demonstration: with incidents, windows of maintenance, restore tests, and the morning's list.

Each deed is the product's own, as the pages do it; the events of the demonstration's clock call them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from alerts.acting import acknowledge, assign, close_by_hand, settings_changed, snooze
from alerts.models import Incident, Silence
from alerts.reports.morning import MorningScope, read_morning
from alerts.reports.nights import night_at, noon_of
from alerts.reports.restore_tests import RestoreValues, record_restore_test
from alerts.reports.reviewing import sign_review
from msp.demo.building import Built
from msp.demo.nights import Window
from msp.demo.playing import Event
from msp.demo.scenario import Act
from msp.estate.queries import Reach

#: A weekly window is agreed for so long.
AGREED = timedelta(days=365)


def acting(built: Built, act: Act, window: Window) -> Event:
    at = window.at(days_ago=act.days_ago, hour=act.hour)
    return Event(at, lambda now: DEEDS[act.what](built, act, now))


def do_acknowledge(built: Built, act: Act, now: datetime) -> None:
    acknowledge(built.tenant, find_incident(built, act).uid, actor=built.technician, note=act.note, now=now)


def do_assign(built: Built, act: Act, now: datetime) -> None:
    """The technician takes it."""
    person = built.plan.people[1][2]
    assign(built.tenant, find_incident(built, act).uid, person=person, actor=built.technician, now=now)


def do_snooze(built: Built, act: Act, now: datetime) -> None:
    until = now + timedelta(hours=act.hours)
    snooze(built.tenant, find_incident(built, act).uid, actor=built.technician, until=until, note=act.note, now=now)


def do_close(built: Built, act: Act, now: datetime) -> None:
    close_by_hand(built.tenant, find_incident(built, act).uid, actor=built.technician, reason=act.note, now=now)


def do_silence(built: Built, act: Act, now: datetime) -> None:
    Silence.objects.of(built.tenant).create(
        scope_kind="client",
        scope_id=built.clients[act.client].pk,
        starts_at=now,
        ends_at=now + timedelta(hours=act.hours),
        reason=act.note,
        created_by=built.technician,
    )
    settings_changed(built.tenant, now=now)


def do_every_week(built: Built, act: Act, now: datetime) -> None:
    Silence.objects.of(built.tenant).create(
        scope_kind="client",
        scope_id=built.clients[act.client].pk,
        starts_at=now,
        ends_at=now + AGREED,
        schedule="sun 02:00",
        minutes=act.hours * 60,
        timezone=built.plan.zone,
        reason=act.note,
        created_by=built.technician,
    )
    settings_changed(built.tenant, now=now)


def do_restore(built: Built, act: Act, now: datetime) -> None:
    """Somebody restored something of this job an hour ago, by hand, and kept the proof."""
    values = RestoreValues(
        tested_by=built.plan.people[1][1],
        tested_at=now - timedelta(hours=1),
        what=act.note,
        result="good",
        seconds=23 * 60,
        restored_bytes=4_200_000_000,
        proof="Checksums of all files compared with the originals: no difference.",
    )
    record_restore_test(built.tenant, built.jobs[act.job].selection, values, actor=built.actor(now))


def do_review(built: Built, act: Act, now: datetime) -> None:
    """The list since noon of the day before, as the morning page shows it, signed with what is left."""
    night = night_at(now, built.plan.zone)
    since = noon_of(night, built.plan.zone)
    morning = read_morning(Reach(built.tenant.pk), MorningScope(), since=since, until=now)
    day = night + timedelta(days=1)
    sign_review(built.tenant, morning, day=day, nothing_left=False, note=act.note, actor=built.actor(now))


def find_incident(built: Built, act: Act) -> Incident:
    """The open incident that a person deals with; raises DoesNotExist if the scenario does not bring it about."""
    found: Incident = Incident.objects.of(built.tenant).get(state="open", kind=act.kind, job_id=built.jobs[act.job].pk)
    return found


DEEDS: Mapping[str, Callable[[Built, Act, datetime], None]] = {
    "acknowledge": do_acknowledge,
    "assign": do_assign,
    "snooze": do_snooze,
    "close": do_close,
    "silence": do_silence,
    "every week": do_every_week,
    "restore": do_restore,
    "review": do_review,
}
