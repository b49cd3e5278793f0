"""Asks whatever is due: claims one polled row after the other, hands it to what knows how, and settles the claim.

Called by the task ``poll``. A poller stores what it read before it writes down how far it came, and raises the failures
of ``integrations.errors``; each becomes a sentence on the row and a longer wait. One row that fails stops no other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from django.db import InterfaceError, OperationalError

from integrations.configuration import BadConfig
from integrations.errors import DeliveryFailure, TemporaryFailure
from msp.channels import claiming
from msp.channels.claiming import Claim
from msp.channels.models import Polled

log = logging.getLogger(__name__)

UNEXPECTED = "Something unexpected went wrong here; the log of the polling worker tells what."


@dataclass(frozen=True)
class Polling:
    """What came of asking: how many deliveries were stored, and whether ``more`` wait there.

    ``remark`` is a failure that cost none of them (mails are read, but could not be moved): shown as the row's error.
    """

    stored: int
    more: bool = False
    remark: str = ""


class Poller(Protocol):
    """Asks one claimed row; stops when its time is up. Raises DeliveryFailure, BadConfig."""

    def __call__(self, claimed: Claim, *, now: Callable[[], datetime], is_time_up: Callable[[], bool]) -> Polling: ...


Pollers = Mapping[type[Polled], Poller]


def poll_due(pollers: Pollers, *, now: Callable[[], datetime], is_time_up: Callable[[], bool]) -> int:
    """Ask what is due until nothing is, or the time is up; answers how many deliveries were stored."""
    stored = 0
    waiting = dict(pollers)
    while waiting and not is_time_up():
        for model, poller in list(waiting.items()):
            claims = claiming.claim(model, now=now(), limit=1)
            if not claims:
                del waiting[model]
            else:
                stored += poll_one(claims[0], poller, now=now, is_time_up=is_time_up)
    return stored


def poll_one(claimed: Claim, poller: Poller, *, now: Callable[[], datetime], is_time_up: Callable[[], bool]) -> int:
    """Ask one row and settle its claim."""
    try:
        done = poller(claimed, now=now, is_time_up=is_time_up)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the lease ends by itself
    except DeliveryFailure as failure:
        retry_after = failure.retry_after if isinstance(failure, TemporaryFailure) else None
        claiming.settle_failed(claimed, now=now(), reason=failure.reason, retry_after=retry_after)
    except BadConfig as bad:
        claiming.settle_failed(claimed, now=now(), reason=bad.reason)
    except Exception as error:
        log.error("%s %s failed", claimed.model.__name__, claimed.row_id, exc_info=error)
        claiming.settle_failed(claimed, now=now(), reason=UNEXPECTED)
    else:
        settle(claimed, done, now=now())
        return done.stored
    return 0


def settle(claimed: Claim, done: Polling, *, now: datetime) -> None:
    if done.remark:
        claiming.settle_failed(claimed, now=now, reason=done.remark)
    else:
        claiming.settle_done(claimed, now=now, more=done.more)
