"""Claims of polled rows: one worker a row, a dead worker is made up for, failures wait longer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from msp.channels import claiming
from msp.channels.models import Mailbox, PullSource
from tests.world import START, World

pytestmark = pytest.mark.django_db


def make_mailbox(world: World, username: str = "backups@msp.example", **values: Any) -> Mailbox:
    given = {"check_after": START, "created_at": START, "host": "imap.example", "every_minutes": 5} | values
    mailbox: Mailbox = Mailbox.objects.of(world.tenant).create(username=username, **given)
    return mailbox


def fresh(row: Any) -> Any:
    return type(row).objects.of(row.tenant_id).get(pk=row.pk)


def test_only_what_is_due_and_active_is_claimed_and_only_once(world: World) -> None:
    due = make_mailbox(world)
    make_mailbox(world, "later", check_after=START + timedelta(minutes=1))
    make_mailbox(world, "paused", state="paused")
    claims = claiming.claim(Mailbox, now=START, limit=10)
    assert [each.row_id for each in claims] == [due.pk]
    assert claiming.claim(Mailbox, now=START, limit=10) == ()


def test_the_limit_holds_and_the_longest_due_comes_first(world: World) -> None:
    for minutes in (3, 1, 2):
        make_mailbox(world, f"m{minutes}", check_after=START - timedelta(minutes=minutes))
    claims = claiming.claim(Mailbox, now=START, limit=1)
    assert [fresh_name(each) for each in claims] == ["m3"]


def fresh_name(claimed: claiming.Claim) -> str:
    row = claiming.load(claimed)
    assert isinstance(row, Mailbox)
    return row.username


def test_a_lost_lease_is_claimed_again_and_the_first_claim_settles_nothing(world: World) -> None:
    row = make_mailbox(world)
    (first,) = claiming.claim(Mailbox, now=START, limit=1)
    later = START + claiming.LEASE
    (second,) = claiming.claim(Mailbox, now=later, limit=1)
    assert not claiming.progress(first, now=later, last_uid=7)
    assert not claiming.settle_done(first, now=later)
    assert claiming.load(first) is None
    assert fresh(row).last_uid == 0
    assert claiming.progress(second, now=later, last_uid=9)
    assert claiming.settle_done(second, now=later)
    row = fresh(row)
    assert (row.last_uid, row.check_after, row.claim_token) == (9, later + timedelta(minutes=5), None)


def test_failures_wait_longer_and_a_success_forgets_them(world: World) -> None:
    row, now, waits = make_mailbox(world), START, []
    for _ in range(3):
        (claimed,) = claiming.claim(Mailbox, now=now, limit=1)
        claiming.settle_failed(claimed, now=now, reason="It refused the password.")
        waits.append(fresh(row).check_after - now)
        now = fresh(row).check_after
    assert waits == [timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4)]
    assert (fresh(row).failures, fresh(row).last_error) == (3, "It refused the password.")
    (claimed,) = claiming.claim(Mailbox, now=now, limit=1)
    claiming.settle_done(claimed, now=now, more=True)
    assert (fresh(row).failures, fresh(row).last_error, fresh(row).check_after) == (0, "", now)
    assert claiming.retry_wait(500) == claiming.LONGEST_RETRY


def test_other_tables_are_claimed_alike_and_secrets_are_sealed(world: World) -> None:
    source = PullSource.objects.of(world.tenant).create(
        server=world.server, name="Comet", kind="comet", secrets={"password": "x1"}, check_after=START, created_at=START
    )
    (claimed,) = claiming.claim(PullSource, now=START, limit=5, tenant_id=world.tenant.pk)
    assert claiming.progress(claimed, now=START, cursor={"since": 5})
    assert claiming.settle_failed(claimed, now=START, reason="busy", retry_after=30)
    row = fresh(source)
    assert (row.cursor, row.secrets, row.check_after) == (
        {"since": 5},
        {"password": "x1"},
        START + timedelta(seconds=30),
    )
    assert claiming.claim(PullSource, now=START + timedelta(hours=1), limit=5, tenant_id=world.other.pk) == ()
