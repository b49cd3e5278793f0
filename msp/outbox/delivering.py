"""The loop of the delivery worker: claim due lanes of every kind, hand each to the function that delivers its kind.

Called by the task ``deliver`` outside any transaction. A deliverer makes its calls, settles its claim and does not
raise for what the other system does; if it raises all the same, the claim runs out and counts as *outcome unknown*.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from django.db import InterfaceError, OperationalError

from msp.outbox import lanes
from msp.outbox.lanes import Claim

log = logging.getLogger(__name__)

#: Claims are delivered one after the other: all calls of one round must fit into one lease.
CLAIMED_AT_ONCE = 2
#: What falls due so soon is waited for: tickets often wait but a moment for the next call that is allowed.
SOON = timedelta(seconds=5)
#: Meanwhile something else may fall due: the shortest nap and the longest, in seconds.
NAPS = (0.02, 0.5)


class Deliverer(Protocol):
    def __call__(self, claim: Claim, *, now: datetime) -> None: ...


def deliver_due(
    deliverers: Mapping[str, Deliverer],
    *,
    now: Callable[[], datetime],
    is_time_up: Callable[[], bool] = lambda: False,
    nap: Callable[[float], None] | None = None,
    call_another: Callable[[], None] = lambda: None,
) -> int:
    """Deliver until nothing is due or the time is up; answers how many claims were worked on.

    With ``nap`` (which sleeps so many seconds) what falls due within seconds is waited for. ``call_another`` is called
    once if there is more than one thread's work.
    """
    done = 0
    while not is_time_up():
        claims = [one for kind in deliverers for one in lanes.claim(kind, now=now(), limit=CLAIMED_AT_ONCE)]
        if not claims:
            seconds = None if nap is None else seconds_until_due(deliverers, now=now())
            if nap is None or seconds is None:
                break
            nap(seconds)
            continue
        if not done and len(claims) >= CLAIMED_AT_ONCE:
            call_another()
        for claim in claims:
            deliver_one(deliverers[claim.kind], claim, now=now())
        done += len(claims)
    return done


def seconds_until_due(kinds: Iterable[str], *, now: datetime) -> float | None:
    """How long to wait for the next lane; None if none falls due soon."""
    due = lanes.next_due(kinds)
    if due is None or due > now + SOON:
        return None
    shortest, longest = NAPS
    return min(max((due - now).total_seconds(), shortest), longest)


def deliver_one(deliverer: Deliverer, claim: Claim, *, now: datetime) -> None:
    try:
        deliverer(claim, now=now)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("lane %s of tenant %s could not be delivered", claim.lane_id, claim.tenant_id)
        lanes.settle_later(claim, now=now, reason="An error of ours; see the service's log.", unknown=True)
