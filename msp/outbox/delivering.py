"""The loop of the delivery worker: claim due lanes of every kind, hand each to the function that delivers its kind.

Called by the task ``deliver`` outside any transaction. A deliverer makes its calls, settles its claim and does not
raise for what the other system does; if it raises all the same, the claim runs out and counts as *outcome unknown*.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from django.db import InterfaceError, OperationalError

from msp.outbox import lanes
from msp.outbox.lanes import Claim

log = logging.getLogger(__name__)

#: Claims are delivered one after the other: all calls of one round must fit into one lease.
CLAIMED_AT_ONCE = 2


class Deliverer(Protocol):
    def __call__(self, claim: Claim, *, now: datetime) -> None: ...


def deliver_due(
    deliverers: Mapping[str, Deliverer], *, now: Callable[[], datetime], is_time_up: Callable[[], bool] = lambda: False
) -> int:
    """Deliver until nothing is due or the time is up; answers how many claims were worked on."""
    done = 0
    while not is_time_up():
        claims = [one for kind in deliverers for one in lanes.claim(kind, now=now(), limit=CLAIMED_AT_ONCE)]
        if not claims:
            break
        for claim in claims:
            deliver_one(deliverers[claim.kind], claim, now=now())
        done += len(claims)
    return done


def deliver_one(deliverer: Deliverer, claim: Claim, *, now: datetime) -> None:
    try:
        deliverer(claim, now=now)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("lane %s of tenant %s could not be delivered", claim.lane_id, claim.tenant_id)
        lanes.settle_later(claim, now=now, reason="An error of ours; see the service's log.", unknown=True)
