"""Lanes: a claim is a token and a lease; settling needs the token; an expired claim counts as outcome unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.db.utils import InternalError

from msp.outbox import lanes
from msp.outbox.delivering import deliver_due
from msp.outbox.lanes import Claim
from msp.outbox.models import Lane, LaneAttempt
from tests.world import World

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


def claim_one(*, now: datetime = NOW) -> Claim:
    (claim,) = lanes.claim("ticket", now=now, limit=10)
    return claim


def lane(world: World) -> Lane:
    found: Lane = Lane.objects.of(world.tenant).get()
    return found


@pytest.fixture(autouse=True)
def _marked(world: World) -> None:
    lanes.mark(world.tenant.pk, "ticket", [7], now=NOW)


def test_a_lane_is_claimed_once_and_settled_by_its_token(world: World) -> None:
    claim = claim_one()
    assert lanes.claim("ticket", now=NOW, limit=10) == ()
    assert lanes.claim("stripe", now=NOW, limit=10) == ()
    assert lanes.settle_done(claim, now=NOW)
    assert (lane(world).confirmed, lane(world).next_attempt_at, lane(world).claim_token) == (1, None, None)
    assert not lanes.settle_done(claim, now=NOW)


def test_a_claim_that_runs_out_is_taken_over_as_unknown_and_its_token_is_worth_nothing(world: World) -> None:
    first = claim_one()
    later = NOW + lanes.LEASE
    second = claim_one(now=later)
    assert (first.unknown, second.unknown) == (False, True)
    assert not lanes.settle_later(first, now=later, reason="late")
    assert not lanes.extend(first, now=later)
    assert lanes.extend(second, now=later)
    assert lane(world).last_error == ""


def test_what_is_marked_during_a_call_is_delivered_after_it(world: World) -> None:
    claim = claim_one()
    lanes.mark(world.tenant.pk, "ticket", [7], now=NOW)
    assert lanes.settle_done(claim, now=NOW)
    again = claim_one()
    assert again.wanted == claim.wanted + 1


def test_a_wait_that_was_asked_for_is_kept_when_more_is_marked(world: World) -> None:
    lanes.settle_later(claim_one(), now=NOW, reason="slow down", retry_after=600)
    lanes.mark(world.tenant.pk, "ticket", [7], now=NOW)
    assert lanes.claim("ticket", now=NOW + timedelta(seconds=599), limit=10) == ()
    assert claim_one(now=NOW + timedelta(seconds=600)).attempts == 1


def test_waits_grow_to_half_an_hour() -> None:
    waits = [lanes.retry_wait(attempts).total_seconds() for attempts in range(20)]
    assert waits[:3] == [20, 40, 80]
    assert waits == sorted(waits)
    assert waits[-1] == 1800


def test_a_stuck_lane_waits_for_a_person(world: World) -> None:
    lanes.settle_stuck(claim_one(), now=NOW, reason="no such queue")
    lanes.mark(world.tenant.pk, "ticket", [7], now=NOW)
    assert lanes.claim("ticket", now=NOW + timedelta(days=9), limit=10) == ()
    assert lanes.free(world.other.pk, [lane(world).pk], now=NOW) == 0
    assert lanes.free(world.tenant.pk, [lane(world).pk], now=NOW) == 1
    assert claim_one().attempts == 0


def test_a_deliverer_that_raises_does_not_stop_the_others(world: World) -> None:
    lanes.mark(world.tenant.pk, "ticket", [8, 9], now=NOW)
    done: list[int] = []

    def deliver(claim: Claim, *, now: datetime) -> None:
        if claim.object_id == 8:
            raise ZeroDivisionError
        done.append(claim.object_id)
        lanes.settle_done(claim, now=now)

    assert deliver_due({"ticket": deliver}, now=lambda: NOW) == 3
    assert sorted(done) == [7, 9]
    bad = Lane.objects.of(world.tenant).get(object_id=8)
    assert (bad.unknown, bad.attempts) == (True, 1)


def test_what_is_allowed_in_a_moment_is_waited_for_and_what_is_far_off_is_not(world: World) -> None:
    lanes.mark(world.tenant.pk, "ticket", [8, 9], now=NOW)
    for claim, seconds in zip(lanes.claim("ticket", now=NOW, limit=3), (0.7, 3, 60), strict=True):
        lanes.settle_wait(claim, now=NOW, until=NOW + timedelta(seconds=seconds))
    clock, naps = [NOW], list[float]()

    def nap(seconds: float) -> None:
        naps.append(seconds)
        clock[0] += timedelta(seconds=seconds)

    def deliver(claim: Claim, *, now: datetime) -> None:
        lanes.settle_done(claim, now=now)

    assert deliver_due({"ticket": deliver}, now=lambda: clock[0], nap=nap) == 2
    assert (sum(naps), max(naps)) == (3, 0.5)
    assert deliver_due({"ticket": deliver}, now=lambda: NOW) == 0


def test_another_thread_is_called_once_when_there_is_work_for_two(world: World) -> None:
    called: list[int] = []

    def deliver(claim: Claim, *, now: datetime) -> None:
        lanes.settle_done(claim, now=now)

    deliver_due({"ticket": deliver}, now=lambda: NOW, call_another=lambda: called.append(1))
    assert called == []
    lanes.mark(world.tenant.pk, "ticket", range(10, 16), now=NOW)
    assert deliver_due({"ticket": deliver}, now=lambda: NOW, call_another=lambda: called.append(1)) == 6
    assert called == [1]


def test_attempts_are_only_inserted(world: World) -> None:
    lanes.note_attempt(claim_one(), action="create", outcome="done", detail="42", now=NOW)
    with pytest.raises((IntegrityError, InternalError), match="only inserted"), transaction.atomic():
        LaneAttempt.objects.of(world.tenant).update(detail="x")
