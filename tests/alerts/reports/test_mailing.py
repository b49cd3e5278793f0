"""Morning reports over a real SMTP server: one mail for each due moment, whatever breaks in between."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from alerts.models import Destination, MorningReport
from alerts.reports.mailing import deliver_report, freeze_due, send_now
from msp.outbox import lanes
from msp.outbox.delivering import deliver_due
from msp.outbox.models import Lane
from tests.dashboard import scene
from tests.doubles.mailbox import Mailbox
from tests.integrations.tickets.configs import email_json
from tests.world import World

DUE = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)  # a Friday, 07:30 in Berlin


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as server:
        yield server


def make_report(world: World, port: int, **values: Any) -> MorningReport:
    destination = Destination.objects.of(world.tenant).create(
        name="Mail", gateway="email", config=email_json(port), created_at=DUE
    )
    values = {"name": "Team", "recipients": ["team@msp.example", "boss@msp.example"], "check_after": DUE} | values
    row: MorningReport = MorningReport.objects.of(world.tenant).create(
        destination=destination, schedule="weekdays 07:30", timezone="Europe/Berlin", created_at=DUE, **values
    )
    return row


def deliver(at: datetime) -> int:
    return deliver_due({"mail": partial(deliver_report, allow_private=True)}, now=lambda: at)


def test_each_due_moment_is_one_mail(world: World, mailbox: Mailbox) -> None:
    row = make_report(world, mailbox.port)
    assert freeze_due(now=DUE - timedelta(seconds=1)) == 0
    assert freeze_due(now=DUE) == 1
    assert freeze_due(now=DUE) == 0
    deliver(DUE)
    deliver(DUE + timedelta(hours=1))
    (kept,) = mailbox.kept
    assert kept.recipients == ("team@msp.example", "boss@msp.example")
    row.refresh_from_db()
    assert row.check_after == DUE + timedelta(days=3)  # Monday
    assert row.last_sent_at == DUE
    assert row.since == DUE


def test_the_schedule_keeps_its_local_time_when_clocks_change(world: World, mailbox: Mailbox) -> None:
    friday = datetime(2026, 10, 23, 5, 30, tzinfo=UTC)
    row = make_report(world, mailbox.port, check_after=friday)
    freeze_due(now=friday)
    row.refresh_from_db()
    assert row.check_after == datetime(2026, 10, 26, 6, 30, tzinfo=UTC)


def test_an_empty_morning_says_so_with_what_was_watched(world: World, mailbox: Mailbox) -> None:
    make_report(world, mailbox.port)
    freeze_due(now=DUE)
    deliver(DUE)
    (message,) = mailbox.messages()
    assert message["Subject"] == "Team: nothing needs you"
    for part in ("plain", "html"):
        body = message.get_body((part,))
        assert body is not None
        assert "Nothing is open and nothing was closed." in body.get_content()
        assert "watched, 0 runs received" in body.get_content()


def test_what_logs_and_names_bring_is_text(world: World, mailbox: Mailbox) -> None:
    row = make_report(world, mailbox.port, name="Team\r\nBcc: spy@evil.example")
    scene.make_incident(world.job, summary="<script>alert(1)</script>\r\nBcc: x@evil.example", opened_at=DUE, since=DUE)
    send_now(row, now=DUE + timedelta(hours=1))
    deliver(DUE + timedelta(hours=1))
    (message,) = mailbox.messages()
    assert message["Bcc"] is None
    assert message["Subject"] == "Team Bcc: spy@evil.example: 1 new"
    html, text = message.get_body(("html",)), message.get_body(("plain",))
    assert html is not None
    assert text is not None
    assert "<script>" not in html.get_content()
    assert "&lt;script&gt;alert(1)" in html.get_content()
    assert "since 2026-11-20 07:30 CET. <script>" in text.get_content()
    assert mailbox.kept[0].recipients == ("team@msp.example", "boss@msp.example")


def test_after_an_outage_of_days_one_mail_tells_everything(world: World, mailbox: Mailbox) -> None:
    row = make_report(world, mailbox.port)
    Destination.objects.of(world.tenant).update(paused_at=DUE, pause_reason="The server is away.")
    scene.make_incident(world.job, opened_at=DUE - timedelta(hours=1), since=DUE)
    for day in range(5):
        freeze_due(now=DUE + timedelta(days=day))
        deliver(DUE + timedelta(days=day))
    assert not mailbox.kept
    Destination.objects.of(world.tenant).update(paused_at=None)
    deliver(DUE + timedelta(days=4, hours=1))
    (message,) = mailbox.messages()
    row.refresh_from_db()
    assert row.since == DUE + timedelta(days=4)
    assert str(message["Message-ID"]).startswith(f"<{row.uid.hex[:16]}-20261124T0630")


def test_our_own_standstill_is_made_up_for_by_one_mail(world: World, mailbox: Mailbox) -> None:
    make_report(world, mailbox.port)
    later = DUE + timedelta(days=12)
    assert freeze_due(now=later) == 1
    deliver(later)
    assert len(mailbox.kept) == 1


def test_an_unknown_outcome_is_repeated_with_the_same_message_id(world: World, mailbox: Mailbox) -> None:
    make_report(world, mailbox.port)
    mailbox.fail_next("drop after mail")
    freeze_due(now=DUE)
    deliver(DUE)
    deliver(DUE + timedelta(hours=1))
    first, second = mailbox.messages()
    assert first["Message-ID"] == second["Message-ID"]
    deliver(DUE + timedelta(hours=2))
    assert len(mailbox.kept) == 2


def test_a_killed_worker_loses_nothing_and_its_claim_settles_nothing(world: World, mailbox: Mailbox) -> None:
    row = make_report(world, mailbox.port)
    freeze_due(now=DUE)
    (dead,) = lanes.claim("mail", now=DUE, limit=5)
    assert lanes.claim("mail", now=DUE, limit=5) == ()
    deliver(DUE + timedelta(minutes=5))
    deliver_report(dead, now=DUE + timedelta(minutes=6), allow_private=True)
    assert len(mailbox.kept) == 1
    assert Lane.objects.of(world.tenant).get(object_id=row.pk, kind="mail").next_attempt_at is None


def test_a_refused_mail_waits_for_a_person_or_the_next_due_moment(world: World, mailbox: Mailbox) -> None:
    make_report(world, mailbox.port)
    mailbox.fail_next("refuse mail")
    freeze_due(now=DUE)
    deliver(DUE)
    lane = Lane.objects.of(world.tenant).get(kind="mail")
    assert lane.stuck
    assert "Looks like spam" in lane.last_error
    freeze_due(now=DUE + timedelta(days=3))
    deliver(DUE + timedelta(days=3))
    assert len(mailbox.kept) == 1


def test_one_that_is_switched_off_sends_nothing(world: World, mailbox: Mailbox) -> None:
    row = make_report(world, mailbox.port)
    freeze_due(now=DUE)
    MorningReport.objects.of(world.tenant).filter(pk=row.pk).update(enabled=False)
    deliver(DUE)
    assert freeze_due(now=DUE + timedelta(days=9)) == 0
    assert not mailbox.kept


def test_a_scope_leaves_out_the_others(world: World, mailbox: Mailbox) -> None:
    make_report(world, mailbox.port, client_ids=[world.resold_client.pk])
    scene.make_incident(world.job, opened_at=DUE, since=DUE)
    freeze_due(now=DUE + timedelta(hours=1))
    assert MorningReport.objects.of(world.tenant).get().content["lines"] == []
    assert MorningReport.objects.of(world.tenant).get().content["inbox"] is None
