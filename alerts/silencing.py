"""Sets and ends silences: once, or again and again by a schedule. What makes no sense is refused with a sentence.

Called by the dashboard and the API. A silence hides nothing: incidents open and are shown as silenced.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db import transaction

from alerts.incidents import recheck_tellings
from alerts.models import Incident, Silence
from alerts.params import BadParams
from alerts.planning import recurrence_of
from alerts.recurring import AHEAD, MOST, Recurrence, windows_of
from alerts.telling import SilenceWindow
from alerts.wording import duration_words
from msp.backups.models import BackupJob
from msp.backups.schedule import BadSchedule, Every, expected_after, parse_schedule
from msp.estate.models import BackupServer, Client, Selection, Site, Volume
from msp.estate.spans import Actor, BadChange, checked_zone
from msp.tenants import audit
from msp.tenants.models import Tenant

#: What has rows to be silenced; the tenant itself has none.
MODELS: Mapping[str, Any] = {
    "client": Client, "site": Site, "server": BackupServer, "volume": Volume, "selection": Selection, "job": BackupJob,
}  # fmt: skip
LONGEST_ONCE, LONGEST_RECURRING = timedelta(days=366), timedelta(days=3660)
MOST_MINUTES = 7 * 24 * 60
#: More than this in all is worth a word: what is quiet for so long is better paused or retired.
MUCH = timedelta(days=30)
KEPT = ("scope_kind", "scope_id", "starts_at", "ends_at", "schedule", "minutes", "timezone")


@dataclass(frozen=True, kw_only=True)
class SilenceValues:
    """What a person asks for; ``schedule`` empty is one window, else ``minutes`` long from each start in ``zone``."""

    scope_kind: str
    scope_id: int
    starts_at: datetime
    ends_at: datetime
    schedule: str = ""
    minutes: int | None = None
    zone: str = ""
    reason: str = ""


@dataclass(frozen=True)
class SilencePreview:
    """The next windows, and a sentence where they are quiet for long in all ("" where not)."""

    windows: tuple[SilenceWindow, ...]
    warning: str


def set_silence(tenant: Tenant, values: SilenceValues, *, actor: Actor) -> Silence:
    """Store it and look at all tellings anew. Raises BadParams."""
    check_silence(tenant, values, now=actor.now)
    with transaction.atomic():
        row: Silence = Silence.objects.of(tenant).create(
            scope_kind=values.scope_kind,
            scope_id=values.scope_id,
            starts_at=values.starts_at,
            ends_at=values.ends_at,
            schedule=values.schedule.strip(),
            minutes=values.minutes if values.schedule.strip() else None,
            timezone=values.zone or tenant.timezone if values.schedule.strip() else "",
            reason=values.reason,
            created_by=actor.name[:200],
        )
        _record(tenant, row, action="silence set", actor=actor, reason=values.reason)
        recheck_tellings(tenant.pk, now=actor.now)
    return row


def end_silence(tenant: Tenant, row: Silence, *, actor: Actor) -> None:
    """End an open one now; one that has not begun is taken away; one that is over stays as it is."""
    if row.ends_at <= actor.now:
        return
    with transaction.atomic():
        _record(tenant, row, action="silence ended", actor=actor, ended=True)
        if row.starts_at < actor.now:
            row.ends_at = actor.now
            row.save(update_fields=["ends_at"])
        else:
            Silence.objects.of(tenant).filter(pk=row.pk).delete()
        recheck_tellings(tenant.pk, now=actor.now)


def check_silence(tenant: Tenant, values: SilenceValues, *, now: datetime) -> None:
    """Raises BadParams with the field and a sentence."""
    recurs = bool(values.schedule.strip())
    if values.ends_at <= values.starts_at:
        raise BadParams("ends_at", "A silence ends after it begins.")
    if values.ends_at <= now:
        raise BadParams("ends_at", "This window is over already.")
    if values.ends_at - values.starts_at > (LONGEST_RECURRING if recurs else LONGEST_ONCE):
        longest = "ten years" if recurs else "a year: pause or retire what is to be quiet for longer"
        raise BadParams("ends_at", f"A silence lasts at most {longest}.")
    if not recurs and values.minutes is not None:
        raise BadParams("minutes", "A silence without a schedule lasts from its begin to its end: leave this empty.")
    if recurs:
        _check_recurring(tenant, values)


def _check_recurring(tenant: Tenant, values: SilenceValues) -> None:
    if values.minutes is None or not 0 < values.minutes <= MOST_MINUTES:
        raise BadParams("minutes", f"Say how long each window is: from 1 to {MOST_MINUTES:,} minutes.")
    try:
        zone = checked_zone(values.zone or tenant.timezone)
    except BadChange as unknown:
        raise BadParams("timezone", unknown.reason) from unknown
    try:
        schedule = parse_schedule(values.schedule)
        before = values.starts_at - timedelta(seconds=1)
        first = values.starts_at if isinstance(schedule, Every) else expected_after(schedule, before, zone)
    except BadSchedule as refused:
        raise BadParams("schedule", refused.reason) from refused
    if first >= values.ends_at:
        raise BadParams("schedule", "This schedule names no start between the begin and the end.")


def preview_silence(tenant: Tenant, values: SilenceValues, *, now: datetime, most: int = 5) -> SilencePreview:
    """What it would silence next. Raises BadParams."""
    check_silence(tenant, values, now=now)
    recurrence = Recurrence(
        starts_at=values.starts_at,
        ends_at=values.ends_at,
        schedule=values.schedule.strip(),
        minutes=values.minutes or 0,
        zone=values.zone or tenant.timezone,
    )
    windows = windows_of(recurrence, now=max(now, values.starts_at))
    total = _quiet_in_all(recurrence, windows)
    warning = ""
    if total > MUCH:
        warning = f"It is quiet for about {duration_words(total)} in all. What needs no watching is better paused."
    return SilencePreview(tuple(islice(windows, most)), warning)


def _quiet_in_all(recurrence: Recurrence, windows: Sequence[SilenceWindow]) -> timedelta:
    """The time within the windows; of a recurring one its share of the next weeks, spread over its whole length."""
    length = recurrence.ends_at - recurrence.starts_at
    looked_at = min(length, AHEAD) if recurrence.schedule else length
    if len(windows) == MOST:  # there are more than were worked out
        looked_at = windows[-1].starts_at - windows[0].starts_at
    quiet, reached = timedelta(), recurrence.starts_at
    for window in windows:
        end = min(window.ends_at or recurrence.ends_at, recurrence.ends_at)
        start = max(window.starts_at, reached)
        quiet += max(end - start, timedelta())
        reached = max(reached, end)
    return min(quiet * (length / looked_at), length)


def silenced_now(tenant_id: int, silences: Collection[Silence], *, now: datetime) -> dict[int, int]:
    """By silence that is in force now, how many open incidents it covers; one query."""
    in_force = [
        one for one in silences if any(window.covers(now) for window in windows_of(recurrence_of(one), now=now))
    ]
    counts = {}
    rows = Incident.objects.of(tenant_id).filter(state="open")
    places = rows.values_list("client_id", "site_id", "server_id", "volume_id", "selection_id", "job_id")
    open_places = list(places) if in_force else []
    for one in in_force:
        if one.scope_kind == "tenant":
            counts[one.pk] = len(open_places)
        else:
            at = tuple(MODELS).index(one.scope_kind)
            counts[one.pk] = sum(place[at] == one.scope_id for place in open_places)
    return counts


def _record(tenant: Tenant, row: Silence, *, action: str, actor: Actor, reason: str = "", ended: bool = False) -> None:
    told = {name: getattr(row, name) for name in KEPT}
    told |= {name: told[name].isoformat() for name in ("starts_at", "ends_at")}
    audit.record(
        tenant,
        actor=actor.name,
        action=action,
        subject_kind="silence",
        subject_id=row.pk,
        subject=f"{row.scope_kind} {row.scope_id}",
        before=told if ended else None,
        after=None if ended else told,
        reason=reason,
        now=actor.now,
    )
