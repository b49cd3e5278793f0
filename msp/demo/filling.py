"""Fills in the demonstration: both tenants, from the first night to now, each in one transaction.

Called by the command ``demo``. Nobody sees a half-made tenant, and a worker that runs meanwhile finds nothing of it:
all of a tenant appears at once, or nothing does. A second call makes what is missing, and else changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from alerts.acting import settings_changed
from alerts.marking import ensure_clocks
from alerts.models import Destination
from billing.finalising import finalise
from billing.invoicing import draft_run
from billing.models import Invoice
from billing.periods import month_from, refuse_unfinished
from msp.demo.acting import acting
from msp.demo.building import Built, Login, build_msp, join, measure_volumes
from msp.demo.desk import Desk, switched_off
from msp.demo.hudson import HUDSON
from msp.demo.nights import PlannedRun, Window, plan_runs, window_of
from msp.demo.northern import NORTHERN
from msp.demo.playing import Clock, Event, deliveries_of, stray_delivery
from msp.demo.scenario import ClientPlan, MspPlan
from msp.estate.spans import set_client_state
from msp.partitions import ensure_partitions, make_partition
from msp.tenants.models import User

DAYS = 60
MSPS = (NORTHERN, HUDSON)
#: How long our own reading stood still on the night of ``pause_days_ago``.
PAUSE = timedelta(minutes=50)


@dataclass(frozen=True)
class Filled:
    """What a call did: the logins it made, none if everything was there already."""

    logins: tuple[Login, ...]

    @property
    def was_there(self) -> bool:
        return not self.logins


def fill(*, now: datetime, days: int = DAYS, msps: tuple[MspPlan, ...] = MSPS) -> Filled:
    """Make the demonstration tenants that are missing, with at least so many days until ``now``."""
    missing = tuple(plan for plan in msps if not User.objects.filter(email=plan.owner[2]).exists())
    windows = {plan.name: window_of(now, zone=plan.zone, days=days) for plan in missing}
    ensure_days(list(windows.values()), now=now)
    logins: tuple[Login, ...] = ()
    for plan in missing:
        with transaction.atomic():
            logins += fill_msp(plan, windows[plan.name])
    return Filled(logins)


def ensure_days(windows: list[Window], *, now: datetime) -> None:
    """Partitions of bodies are made for the days to come; these nights are past. Outside the transaction: it locks."""
    if not windows:
        return
    ensure_partitions(now)
    day = min(window.starts_at for window in windows).date() - timedelta(days=1)
    with connection.cursor() as cursor:
        while day <= now.date():
            make_partition(cursor, "ingest_body", f"{day:%Y%m%d}", since=day, until=day + timedelta(days=1))
            day += timedelta(days=1)


def fill_msp(plan: MspPlan, window: Window) -> tuple[Login, ...]:
    """One tenant, from its first day to now."""
    with Desk(plan.desk_host) as desk:
        built = build_msp(plan, desk, billed_from=window.last_month, now=window.starts_at)
        server_ids = {name: server.pk for name, server in built.servers.items()}
        runs = [run for client in plan.clients for job in client.jobs for run in plan_runs(client, job, window)]
        incoming = [*deliveries_of(runs, server_ids=server_ids)]
        for stray in plan.strays:
            at = window.at(days_ago=stray.days_ago, hour=stray.hour)
            incoming.append(stray_delivery(stray, at=at, server_ids=server_ids))
        clock = Clock(built.tenant.pk, incoming, pause=pause_of(plan, runs, window))
        clock.play(events_of(built, window), starts_at=window.starts_at, now=window.now)
    measure_volumes(built, now=window.now)
    switch_off(built)
    ensure_clocks(now=window.now)  # what was made besides and never fell due is looked at by the first sweep
    return built.logins


def pause_of(plan: MspPlan, runs: list[PlannedRun], window: Window) -> tuple[datetime, datetime] | None:
    """From shortly before the first log of that day on, our own reading stands still."""
    if plan.pause_days_ago is None:
        return None
    noon = window.at(days_ago=plan.pause_days_ago, hour=12)
    first = min((run.arrives_at for run in runs if run.arrives_at >= noon), default=noon)
    return first - timedelta(minutes=1), first + PAUSE


def switch_off(built: Built) -> None:
    """From now on the destinations only show what they would do, and lead nowhere."""
    Destination.objects.of(built.tenant).update(dry_run=True, config=switched_off(built.plan.desk_host))


# --- events --------------------------------------------------------------------------------------------------------


def events_of(built: Built, window: Window) -> list[Event]:
    """Clients that join or are suspended, what people do, the invoices of the last month."""
    events = [joining(built, client, window) for client in built.plan.clients]
    events += [suspending(built, client, window) for client in built.plan.clients if client.suspended_days_ago]
    events += [acting(built, act, window) for act in built.plan.acts]
    events.append(invoicing(built, window))
    return events


def joining(built: Built, client: ClientPlan, window: Window) -> Event:
    at = window.starts_at
    if client.joined_days_ago is not None:
        at = max(at, window.at(days_ago=client.joined_days_ago, hour=13))
    return Event(at, lambda now: join(built, client, now=now))


def suspending(built: Built, client: ClientPlan, window: Window) -> Event:
    def suspend(now: datetime) -> None:
        on = window.local_day(now)
        set_client_state(built.tenant, built.clients[client.code].pk, state="suspended", on=on, actor=built.actor(now))
        settings_changed(built.tenant, now=now)

    return Event(window.at(days_ago=client.suspended_days_ago or 0, hour=10), suspend)


def invoicing(built: Built, window: Window) -> Event:
    """The invoices of the last month, on the day on which the bookkeeper makes them (or now, if it is not here yet)."""
    days_since = window.local_day(window.now).day - built.plan.invoiced_on
    at = window.at(days_ago=days_since, hour=9, minute=30) if days_since > 0 else window.now

    def invoice(now: datetime) -> None:
        refuse_unfinished(month_from(window.last_month), zone=built.plan.zone, now=now)
        run = draft_run(built.tenant, built.seller, first_day=window.last_month, actor=built.bookkeeper, now=now)
        ready = Invoice.objects.of(built.tenant).filter(run=run, state="draft", held=[])
        for uid in list(ready.order_by("bill_to__legal_name").values_list("uid", flat=True))[: built.plan.finals]:
            finalise(built.tenant, uid, actor=built.bookkeeper, now=now)

    return Event(at, invoice)
