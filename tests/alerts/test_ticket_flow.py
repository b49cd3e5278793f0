"""From recorded runs to incidents to tickets on real servers (SMTP and HTTP), and back to closed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts import acting, delivering
from alerts.delivering import deliver_ticket
from alerts.errands import read_errand
from alerts.evaluating import evaluate_jobs
from alerts.models import Destination, Incident, IncidentEvent, Route, RuleSetting, Silence, Ticket, TicketUpdate
from alerts.rules import check_subject
from alerts.sweeping import sweep
from alerts.tickets_by_hand import answer_unknown
from integrations.logs.joblog import JobLog, LogError
from msp.backups.models import BackupJob, JobState
from msp.backups.recording import record_runs
from msp.backups.runs import AssignedRun
from msp.outbox import lanes
from msp.outbox.delivering import deliver_due
from msp.outbox.models import Lane, LaneAttempt
from tests.doubles.mailbox import Mailbox
from tests.doubles.ticket_server import Ticket as There
from tests.doubles.ticket_server import TicketServer
from tests.integrations.tickets.configs import email_json, rest_json
from tests.world import START, World, make_job

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as server:
        yield server


@pytest.fixture
def desk() -> Iterator[TicketServer]:
    with TicketServer() as server:
        yield server


@pytest.fixture
def world(transactional_db: None) -> World:
    from tests.world import make_world

    return make_world()


class Play:
    """Plays runs and time on one world."""

    def __init__(self, world: World) -> None:
        self.world, self.now, self.receipts = world, NOW, 0
        JobState.objects.of(world.tenant).update(check_after=None)
        BackupJob.objects.of(world.tenant).update(registered_at=NOW - timedelta(hours=1))

    def to_mail(self, mailbox: Mailbox, **route: Any) -> Destination:
        return self.destination("email", email_json(mailbox.port), **route)

    def to_desk(self, desk: TicketServer, **route: Any) -> Destination:
        return self.destination("rest", rest_json(desk.url), **route)

    def destination(self, gateway: str, config: dict[str, Any], **route: Any) -> Destination:
        tenant = self.world.tenant
        made: Destination = Destination.objects.of(tenant).create(
            name=gateway, gateway=gateway, config=config, created_at=START
        )
        values = {"position": 1, "hold_minutes": 0} | route
        Route.objects.of(tenant).create(destination=made, **values)
        return made

    def run(self, outcome: Any, *, job: Any = None, **values: Any) -> None:
        """A run that ended now, recorded and evaluated in one transaction, as the pipeline does."""
        from django.db import transaction

        self.receipts += 1
        job = job or self.world.job
        log = JobLog(product="restic", operation=values.pop("operation", "backup"), outcome=outcome, ended_at=self.now,
                     run_id=str(self.receipts), **values)  # fmt: skip
        given = AssignedRun(job.pk, job.selection_id, self.world.client.pk, self.receipts, 0, "x", self.now, log)
        with transaction.atomic():
            recorded = record_runs(self.world.tenant.pk, [given], now=self.now)
            evaluate_jobs(self.world.tenant.pk, recorded.job_ids, now=self.now)

    def wait(self, **time: float) -> None:
        self.now += timedelta(**time)

    def deliver(self) -> int:
        return deliver_due({"ticket": deliver_ticket}, now=lambda: self.now)

    def sweep(self) -> int:
        return sweep(now=self.now)

    def incident(self) -> Incident:
        found: Incident = Incident.objects.of(self.world.tenant).order_by("-id")[0]
        return found

    def ticket(self) -> Ticket:
        found: Ticket = Ticket.objects.of(self.world.tenant).order_by("-id")[0]
        return found

    def lane(self) -> Lane:
        found: Lane = Lane.objects.of(self.world.tenant).get(kind="ticket", object_id=self.ticket().pk)
        return found


@pytest.fixture
def play(world: World) -> Play:
    return Play(world)


FAILED = {"errors": (LogError("unable to open repository: disk full"),)}


def test_a_failed_run_opens_one_ticket_by_mail_and_a_good_run_closes_it(play: Play, mailbox: Mailbox) -> None:
    play.to_mail(mailbox)
    play.run("failure", **FAILED)
    assert play.deliver() == 1
    (first,) = mailbox.messages()
    ticket = play.ticket()
    assert f"[{ticket.reference}]" in first["Subject"]
    assert "Acme Dental" in first["Subject"]
    body = first.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "disk full" in body
    assert f"/incidents/{play.incident().uid}" in body
    assert play.incident().told_at == NOW

    play.wait(hours=1)
    play.run("success")
    assert play.deliver() == 1
    second = mailbox.messages()[1]
    assert second["In-Reply-To"] == first["Message-ID"]
    assert (play.incident().state, play.ticket().confirmed_state) == ("closed", "closed")
    assert play.deliver() == 0
    assert len(mailbox.kept) == 2


def test_further_failures_are_the_same_ticket_and_say_no_more_than_needed(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk)
    for _ in range(5):
        play.run("failure", **FAILED)
        play.deliver()
        play.wait(hours=1)
    assert len(desk.tickets) == 1
    assert play.incident().seen_count == 5
    assert len(desk.tickets[0].notes) == 2  # the opening, and the step to critical at the third failure


def test_a_default_hold_keeps_quiet_until_its_end_and_a_good_run_in_time_tells_nobody(
    play: Play, mailbox: Mailbox
) -> None:
    play.to_mail(mailbox, hold_minutes=60)
    play.run("failure", **FAILED)
    assert play.deliver() == 0
    play.wait(minutes=30)
    play.run("success")
    play.wait(minutes=60)
    play.sweep()
    assert play.deliver() == 0
    assert play.incident().state == "closed"

    play.run("failure", **FAILED)
    play.wait(minutes=61)
    play.sweep()
    assert play.deliver() == 1
    assert len(mailbox.kept) == 1


def test_the_third_failure_ends_the_hold(play: Play, mailbox: Mailbox) -> None:
    play.to_mail(mailbox, hold_minutes=60)
    for _ in range(3):
        play.run("failure", **FAILED)
        play.wait(minutes=5)
    play.sweep()
    play.deliver()
    assert len(mailbox.kept) == 1


def test_a_missed_backup_is_found_by_the_clock_alone(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk)
    play.run("success", protected_bytes=10)
    play.wait(hours=26, minutes=59)
    play.sweep()
    assert not Incident.objects.of(play.world.tenant).exists()
    play.wait(minutes=2)
    play.sweep()
    play.deliver()
    assert (play.incident().kind, play.incident().severity) == ("no_recent_backup", "warning")
    assert len(desk.tickets) == 1
    play.run("success", protected_bytes=10)
    play.deliver()
    assert desk.tickets[0].status == "closed"


@pytest.mark.parametrize("operation", ["prune", "verify", "restore"])
def test_an_operation_that_is_no_backup_closes_nothing(play: Play, desk: TicketServer, operation: str) -> None:
    play.to_desk(desk)
    play.run("failure", **FAILED)
    play.run("success", operation=operation)
    assert play.incident().state == "open"


def test_incidents_of_one_client_share_a_ticket_that_closes_with_the_last(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk, grouping="client")
    other = make_job(
        play.world.tenant, play.world.server, play.world.client, "databases", registered_at=NOW - timedelta(hours=1)
    )
    play.run("failure", **FAILED)
    play.run("failure", job=other, **FAILED)
    play.deliver()
    assert len(desk.tickets) == 1
    play.wait(hours=1)
    play.run("success")
    play.deliver()
    assert desk.tickets[0].status != "closed"
    play.run("success", job=other)
    play.deliver()
    assert desk.tickets[0].status == "closed"
    assert [update.kind for update in TicketUpdate.objects.of(play.world.tenant).order_by("seq")] == [
        "opened", "joined", "left", "left", "closed",
    ]  # fmt: skip


def test_a_lost_answer_is_looked_up_and_not_repeated(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk)
    desk.fail_next("answer lost after commit", method="POST")
    play.run("failure", **FAILED)
    play.deliver()
    assert play.lane().unknown
    assert play.incident().told_at is None
    play.wait(minutes=5)
    play.deliver()
    assert len(desk.tickets) == 1
    assert play.ticket().external_id == "1"
    assert play.incident().told_at == play.now
    assert [a.outcome for a in LaneAttempt.objects.of(play.world.tenant).order_by("id")] == ["unknown", "found"]


def test_a_lost_answer_by_mail_waits_for_a_person(play: Play, mailbox: Mailbox) -> None:
    play.to_mail(mailbox)
    mailbox.fail_next("drop after mail")
    play.run("failure", **FAILED)
    for _ in range(4):
        play.deliver()
        play.wait(minutes=10)
    assert len(mailbox.kept) == 1
    lane = play.lane()
    assert lane.stuck
    assert play.ticket().reference in lane.last_error
    answer_unknown(play.world.tenant, str(play.ticket().uid), exists=True, external_id="", actor="tech", now=play.now)
    play.run("success")
    play.deliver()
    assert (len(mailbox.kept), play.ticket().confirmed_state) == (2, "closed")


def test_a_worker_that_dies_in_the_call_does_not_double_the_ticket(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk)
    play.run("failure", **FAILED)
    (claim,) = lanes.claim("ticket", now=play.now, limit=1)
    Ticket.objects.of(play.world.tenant).update(create_attempted_at=play.now)  # stored before the call; then killed
    assert play.deliver() == 0
    for _ in range(4):
        play.wait(minutes=3)
        play.deliver()
    assert len(desk.tickets) == 1
    assert not lanes.settle_done(claim, now=play.now)


def test_a_creation_that_is_late_there_is_found_by_a_second_search(play: Play, desk: TicketServer) -> None:
    """The worker died, the other system stood still, and the first search overtook the creation there."""
    play.to_desk(desk)
    play.run("failure", **FAILED)
    lanes.claim("ticket", now=play.now, limit=1)
    Ticket.objects.of(play.world.tenant).update(create_attempted_at=play.now)
    play.wait(minutes=3)
    play.deliver()
    assert [request.method for request in desk.log] == ["GET"]
    desk.tickets.append(There(1, "late", play.ticket().reference, "normal"))
    play.wait(seconds=30)
    Lane.objects.of(play.world.tenant).update(next_attempt_at=play.now)  # hurried along: too early all the same
    play.deliver()
    assert len(desk.log) == 1
    for _ in range(3):
        play.wait(minutes=3)
        play.deliver()
    assert [ticket.title for ticket in desk.tickets] == ["late"]
    assert play.ticket().external_id == "1"
    assert play.incident().told_at is not None


def test_a_worker_that_wakes_up_late_undoes_no_newer_attempt(play: Play, desk: TicketServer) -> None:
    """It slept in its search, found nothing, and meanwhile another created the ticket, or is about it."""
    play.to_desk(desk)
    play.run("failure", **FAILED)
    first, second = play.now - timedelta(hours=1), play.now
    rows = Ticket.objects.of(play.world.tenant)
    missed = {"missed_at": (first + timedelta(minutes=5)).isoformat()}
    rows.update(create_attempted_at=first, thread=missed)
    (claim,) = lanes.claim("ticket", now=play.now, limit=1)
    errand = read_errand(claim, allow_private=True)
    rows.update(create_attempted_at=second)
    delivering.find(errand, now=play.now)
    assert play.ticket().create_attempted_at == second


def test_a_closing_mail_of_unknown_outcome_waits_for_a_person(play: Play, mailbox: Mailbox) -> None:
    """A second closing mail may open the ticket again; a worker that died in the call counts as unknown, too."""
    play.to_mail(mailbox)
    play.run("failure", **FAILED)
    play.deliver()
    play.run("success")
    (claim,) = lanes.claim("ticket", now=play.now, limit=1)
    thread = play.ticket().thread
    Ticket.objects.of(play.world.tenant).update(
        thread={**thread, "closing": "1"}
    )  # stored before the call; then killed
    play.wait(minutes=3)
    play.deliver()
    assert (len(mailbox.kept), play.lane().stuck, claim.unknown) == (1, True, False)
    answer_unknown(play.world.tenant, str(play.ticket().uid), exists=False, external_id="", actor="tech", now=play.now)
    play.deliver()
    assert (len(mailbox.kept), play.ticket().confirmed_state) == (2, "closed")


def test_a_further_problem_is_told_again_rather_than_never(play: Play, mailbox: Mailbox) -> None:
    play.to_mail(mailbox, grouping="client")
    other = make_job(
        play.world.tenant, play.world.server, play.world.client, "databases", registered_at=NOW - timedelta(hours=1)
    )
    play.run("failure", **FAILED)
    play.deliver()
    play.run("failure", job=other, **FAILED)
    mailbox.fail_next("drop after mail")
    play.deliver()
    assert play.incident().told_at is None
    play.wait(minutes=5)
    play.deliver()
    assert play.incident().told_at == play.now
    second, third = mailbox.messages()[1:]
    assert second["Message-ID"] == third["Message-ID"]


def test_an_outage_collapses_to_what_is_still_true(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk)
    play.run("failure", **FAILED)
    desk.fail_next("unavailable")
    play.deliver()
    play.run("success")
    play.wait(hours=2)
    play.deliver()
    assert desk.tickets == []
    assert play.ticket().confirmed_state == "closed"


def test_retry_after_is_honoured_and_a_refusal_waits_for_a_person(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk)
    desk.fail_next("too many requests")
    play.run("failure", **FAILED)
    play.deliver()
    due = play.lane().next_attempt_at
    assert due is not None
    assert due > play.now
    play.now = due
    desk.fail_next("refused")
    play.deliver()
    assert play.lane().stuck
    assert desk.tickets == []


def test_acknowledged_and_silenced_incidents_tell_nobody_until_that_ends(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk, hold_minutes=60)
    tenant = play.world.tenant
    play.run("failure", **FAILED)
    acting.acknowledge(tenant, play.incident().uid, actor="Tech", note="on it", until=NOW + timedelta(hours=5), now=NOW)
    play.wait(hours=4)
    play.sweep()
    assert play.deliver() == 0
    assert play.incident().acknowledged_by == "Tech"
    Silence.objects.of(tenant).create(
        scope_kind="client",
        scope_id=play.world.client.pk,
        starts_at=NOW,
        ends_at=NOW + timedelta(hours=8),
        reason="move",
    )
    play.wait(hours=2)
    play.sweep()
    assert play.deliver() == 0
    assert "move" in play.incident().untold_reason
    play.wait(hours=3)
    play.sweep()
    assert play.deliver() == 1
    kinds = [event.kind for event in IncidentEvent.objects.of(tenant).order_by("seq")]
    assert kinds[:3] == ["opened", "acknowledged", "ack_ended"]


def test_closing_by_hand_holds_until_it_happens_again(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk)
    play.run("failure", **FAILED)
    play.deliver()
    with pytest.raises(acting.CannotAct):
        acting.close_by_hand(play.world.tenant, play.incident().uid, actor="Tech", reason=" ", now=play.now)
    acting.close_by_hand(play.world.tenant, play.incident().uid, actor="Tech", reason="test server", now=play.now)
    play.deliver()
    assert desk.tickets[0].status == "closed"
    evaluate_jobs(play.world.tenant.pk, [play.world.job.pk], now=play.now)
    assert play.incident().state == "closed"
    play.wait(hours=2)
    play.run("failure", **FAILED)
    assert (play.incident().state, play.incident().reopened_count) == ("open", 1)


def test_a_person_of_another_tenant_cannot_act(play: Play) -> None:
    play.run("failure", **FAILED)
    with pytest.raises(Incident.DoesNotExist):
        acting.snooze(
            play.world.other, play.incident().uid, actor="x", until=play.now + timedelta(days=1), now=play.now
        )


def test_nobody_told_is_explained_when_no_route_matches(play: Play, desk: TicketServer) -> None:
    play.to_desk(desk, kinds=["quota_overrun"])
    play.run("failure", **FAILED)
    play.wait(hours=2)
    play.sweep()
    assert play.incident().untold_reason == "No route matches this incident."
    assert play.deliver() == 0


def test_settings_of_the_nearest_scope_win(play: Play) -> None:
    tenant = play.world.tenant
    for scope, scope_id, failures in (("tenant", tenant.pk, 1), ("job", play.world.job.pk, 3)):
        RuleSetting.objects.of(tenant).create(
            kind="errors", scope_kind=scope, scope_id=scope_id, parameters={"failures": failures}, updated_at=START
        )
    play.run("failure", **FAILED)
    assert not Incident.objects.of(tenant).exists()
    play.run("failure", **FAILED)
    play.run("failure", **FAILED)
    assert play.incident().kind == "errors"


def test_a_rule_that_fails_on_one_job_does_not_stop_the_others(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    from alerts import evaluating

    others = [make_job(play.world.tenant, play.world.server, play.world.client, f"j{n}") for n in range(6)]
    bad = others[3].pk
    BackupJob.objects.of(play.world.tenant).update(registered_at=START)

    def check(facts: Any, settings: Any, now: datetime) -> Any:
        if getattr(facts, "job_id", None) == bad:
            raise ZeroDivisionError
        return check_subject(facts, settings, now)

    monkeypatch.setattr(evaluating, "check_subject", check)
    JobState.objects.of(play.world.tenant).update(check_after=NOW)
    play.sweep()
    flagged = set(Incident.objects.of(play.world.tenant).values_list("job_id", flat=True))
    assert flagged == {play.world.job.pk, *(job.pk for job in others)} - {bad}
    assert JobState.objects.of(play.world.tenant).get(job_id=bad).check_after == NOW + timedelta(minutes=15)
