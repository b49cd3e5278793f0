"""Celery's tasks: each says only "look now" and works at most a minute, then asks for another.

They carry no data and no time: what is due stands in PostgreSQL. A lost task is made up for by the next beat, a
repeated one finds nothing to do. ``deliver`` and ``poll`` have each a queue and a worker process of their own, so that
hung gateways and mailboxes stop nothing else.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.db import close_old_connections
from kombu.exceptions import OperationalError

from alerts import agreement_desks
from alerts.delivering import deliver_ticket
from alerts.falling_back import deliver_fallback
from alerts.looking import look_due
from alerts.mail_answers import take_waiting
from alerts.marking import ensure_clocks
from alerts.reports import verdicts
from alerts.reports.mailing import deliver_report, freeze_due
from alerts.sweeping import sweep as sweep_due
from alerts.ticket_calls import forget_old as forget_old_calls
from billing.collecting import deliver_collection
from billing.mailing import deliver_document
from billing.psa_pushing import deliver_push
from billing.reconciling import reconcile_due
from msp import partitions, pipeline
from msp.celery import app
from msp.channels.mailboxes import poll_mailbox
from msp.channels.models import Mailbox, PullSource
from msp.channels.polling import Pollers, poll_due
from msp.channels.pulling import poll_source
from msp.garbage import collect_seldom
from msp.outbox.delivering import Deliverer, deliver_due

SECONDS = 45
#: How long the line rests after a batch that was not full: nobody notices, and the next batch is fuller.
REST_SECONDS = 0.1

POLLERS: Pollers = {Mailbox: poll_mailbox, PullSource: poll_source}
DELIVERERS: dict[str, Deliverer] = {
    "ticket": deliver_ticket,
    "fallback": deliver_fallback,
    "stripe": deliver_collection,
    "mail": deliver_report,
    "document": deliver_document,
    "psa": partial(deliver_push, desks=agreement_desks),
}


def clock() -> datetime:
    return datetime.now(UTC)


def timer(seconds: float = SECONDS) -> Callable[[], bool]:
    """A function that says whether the time is up."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


@app.task
def process_receipts() -> int:
    """Process what waits; when the minute is not enough, ask for another."""
    close_old_connections()
    collect_seldom()
    is_time_up = timer()
    done = pipeline.process_waiting(now=clock, is_time_up=is_time_up, rest=lambda: time.sleep(REST_SECONDS))
    if done:
        wake_delivery()
    if is_time_up():
        wake_processing()
    return done


@app.task
def sweep() -> int:
    """Evaluate what has become due."""
    close_old_connections()
    collect_seldom()
    done = sweep_due(now=clock(), is_time_up=timer())
    if done:
        wake_delivery()
    return done


@app.task
def deliver() -> int:
    """Deliver lanes that are out of step."""
    close_old_connections()
    is_time_up = timer()
    done = deliver_due(DELIVERERS, now=clock, is_time_up=is_time_up, nap=time.sleep, call_another=wake_delivery)
    if is_time_up():
        wake_delivery()
    return done


@app.task
def poll() -> int:
    """Ask mailboxes and other systems that are due for logs."""
    close_old_connections()
    is_time_up = timer()
    stored = poll_due(POLLERS, now=clock, is_time_up=is_time_up)
    if stored:
        wake_processing()
        wake_looking()
    if is_time_up():
        wake(poll)
    return stored


@app.task
def look() -> int:
    """Take the mails about tickets that wait, then look at the tickets in other systems whose time has come, or about
    which those systems called.
    """
    close_old_connections()
    is_time_up = timer()
    looked = take_waiting(now=clock, is_time_up=is_time_up) + look_due(now=clock, is_time_up=is_time_up)
    if looked:
        wake_delivery()
    if is_time_up():
        wake(look)
    return looked


@app.task
def judge_nights() -> int:
    """Write the verdicts of nights that are over, and forget those whose legal term is; old calls about tickets too."""
    close_old_connections()
    now = clock()
    forgotten = verdicts.forget_old(now=now) + forget_old_calls(days=settings.BACKLEDGER.call_log_days, now=now)
    return verdicts.judge_nights(now=now) + forgotten


@app.task
def reconcile_payments() -> int:
    """Compare the books with Stripe once a day, each seller by itself."""
    close_old_connections()
    done = reconcile_due(now=clock())
    if done:
        wake_delivery()
    return done


@app.task
def write_reports() -> int:
    """Write the morning reports that have become due; the delivery worker sends them."""
    close_old_connections()
    done = freeze_due(now=clock(), is_time_up=timer())
    if done:
        wake_delivery()
    return done


@app.task
def give_clocks() -> int:
    """Whatever was made without a clock is looked at within minutes."""
    close_old_connections()
    return ensure_clocks(now=clock())


@app.task
def ensure_partitions() -> int:
    close_old_connections()
    return partitions.ensure_partitions(clock())


def wake_delivery() -> None:
    """Say "look now" to the delivery worker."""
    wake(deliver)


def wake_processing() -> None:
    """Say "look now" to the worker of the line; called by the ingest door after a commit."""
    wake(process_receipts)


def wake_polling() -> None:
    """Say "look now" to the worker that asks mailboxes and other systems."""
    wake(poll)


def wake_looking() -> None:
    """Say "look now" to the worker that looks at tickets in other systems."""
    wake(look)


def wake(task: Any) -> None:
    """Send a task; if Redis is away, the next beat does the same. One that waited for a minute is not needed."""
    with contextlib.suppress(OperationalError):
        task.apply_async(ignore_result=True, retry=False, expires=60)
