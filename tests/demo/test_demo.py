"""The demonstration as a whole, made once: what is in it, that the product is sound on it, that it stays as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from alerts.models import Destination, Incident, IncidentEvent, RestoreTest, Review, Silence, Ticket
from alerts.reports.reviewing import is_intact
from alerts.rules import RULES
from billing.models import Invoice, InvoiceLine
from billing.verifying import verify
from billing.working import recompute
from integrations.configuration import config_from_json
from integrations.tickets import rest
from msp.backups.models import BackupJob, JobRun, JobState
from msp.census import count_orphans, take_census
from msp.demo.filling import MSPS, Filled, fill
from msp.estate.models import Client
from msp.ingest.models import InboxItem, Receipt, ReceiptQueue
from msp.outbox.models import Lane
from msp.tenants.models import LookupKey, Membership, Tenant, User

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.usefixtures("made"), pytest.mark.timeout(600)]

#: Early in a month, so that the last month and the days before it are all that must be told.
NOW = datetime(2026, 10, 6, 8, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def made(django_db_setup: None, django_db_blocker: Any) -> Iterator[Filled]:
    """Filled in once for all tests of this file, and taken back at the end."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield fill(now=NOW, days=30)
        transaction.set_rollback(True)


@pytest.fixture(params=[plan.name for plan in MSPS])
def tenant(request: pytest.FixtureRequest) -> Tenant:
    found: Tenant = Tenant.objects.get(name=request.param)
    return found


def test_the_census_counts_nothing_that_must_not_be(tenant: Tenant) -> None:
    assert take_census(None, now=NOW).faults(NOW) == ()
    orphans = count_orphans(NOW.date())
    assert (orphans.runs, orphans.queued) == (0, 0)
    assert not ReceiptQueue.objects.of(tenant).exists()


def test_every_log_was_read_or_waits_for_the_reason_it_was_made_for(tenant: Tenant) -> None:
    plan = next(plan for plan in MSPS if plan.name == tenant.name)
    reasons = set(InboxItem.objects.of(tenant).values_list("reason", flat=True))
    assert (
        {"unrecognised", "unreadable", "unassigned"}
        <= reasons
        <= {"unrecognised", "unreadable", "unassigned", "refused"}
    )
    assert Receipt.objects.of(tenant).filter(state="inbox").count() == len(plan.strays)
    assert Receipt.objects.of(tenant).filter(state="done", door="demo").count() > 300
    outcomes = set(JobRun.objects.of(tenant).values_list("operation", "outcome"))
    assert {("backup", "success"), ("backup", "warning"), ("backup", "failure")} <= outcomes
    assert {("restore", "success"), ("verify", "success"), ("prune", "success")} <= outcomes


def test_the_kinds_of_incident_that_tell_its_stories_were_seen_open_and_closed() -> None:
    kinds = {(kind, state) for kind, state in Incident.unwalled.values_list("kind", "state")}
    shown = {
        "no_recent_backup",
        "no_data_sent",
        "errors",
        "quota_overrun",
        "processing_delayed",
        "did_not_start",
        "unstable",
        "server_silent",
    }
    assert shown <= {kind for kind, _ in kinds} <= set(RULES)
    assert {(kind, "open") for kind in ("no_recent_backup", "no_data_sent", "errors", "quota_overrun")} <= kinds
    assert {("errors", "closed"), ("no_recent_backup", "closed"), ("processing_delayed", "closed")} <= kinds


def test_people_have_acted() -> None:
    northern = Tenant.objects.get(name=MSPS[0].name)
    incidents = Incident.objects.of(northern)
    assert incidents.filter(state="open", acknowledged_note__contains="payroll.db").count() == 1
    assert incidents.filter(state="closed", closed_by_hand=True).count() == 1
    assert incidents.filter(state="open", reopened_count__gte=2).exists()  # the flapping one
    silenced = incidents.filter(state="open", silenced_until__gt=NOW, told_at=None)
    assert {one.client.code for one in silenced.select_related("client")} == {"wasserturm"}
    assert IncidentEvent.objects.of(northern).filter(kind="acknowledged", actor=MSPS[0].people[1][2]).count() == 1


def test_a_server_that_is_off_is_one_incident_with_its_jobs_under_it() -> None:
    hudson = Tenant.objects.get(name=MSPS[1].name)
    incidents = Incident.objects.of(hudson).filter(state="open")
    cause = incidents.get(kind="server_silent")
    assert cause.ticket_id is not None
    under = incidents.filter(cause=cause, kind="no_recent_backup")
    assert {one.ticket_id for one in under} == {None}
    assert under.count() >= 2, "the first may have been told before two were due, which makes it the server's silence"


def test_what_is_in_peoples_hands_is_shown_as_such() -> None:
    hudson = Tenant.objects.get(name=MSPS[1].name)
    incidents = Incident.objects.of(hudson).filter(state="open")
    assert incidents.filter(assigned_to__email=MSPS[1].people[1][2]).count() == 1
    assert incidents.filter(snoozed_until__gt=NOW).count() == 1
    assert Silence.objects.of(hudson).exclude(schedule="").count() == 1
    review = Review.objects.of(hudson).get()
    assert review.listed
    assert is_intact(review)
    assert RestoreTest.objects.of(hudson).get().result == "good"


def test_the_stories_are_told(tenant: Tenant) -> None:
    """What was meant to be failing is, and says why."""
    lines = " ".join(str(line) for one in JobState.objects.of(tenant) for line in one.last_errors).lower()
    assert "no space left" in lines
    if tenant.name == MSPS[0].name:
        assert "lock" in lines
        assert "permission denied" in lines
    states = set(Client.objects.of(tenant).values_list("state", flat=True))
    assert {"active", "trial"} <= states
    assert BackupJob.objects.of(tenant).count() > 10


def test_tickets_are_as_wanted_there_and_nothing_is_ever_sent(tenant: Tenant) -> None:
    tickets = list(Ticket.objects.of(tenant))
    assert {ticket.confirmed_state for ticket in tickets} == {"open", "closed"}
    assert all(ticket.confirmed_state == ticket.wanted_state for ticket in tickets)
    assert all(ticket.external_id for ticket in tickets)
    told = Incident.objects.of(tenant).filter(state="open", told_at__isnull=False)
    assert told.exists()
    assert not told.filter(ticket=None).exists()
    assert not Lane.objects.of(tenant).exclude(next_attempt_at=None).exists()
    for destination in Destination.objects.of(tenant):
        assert destination.dry_run
        assert "Demonstration desk" in destination.name
        config = config_from_json(rest.Config, destination.config)
        assert config.base_url.endswith(".example")


def test_last_month_is_invoiced_final_and_draft_and_holds(tenant: Tenant) -> None:
    invoices = Invoice.objects.of(tenant)
    finals, drafts = invoices.filter(state="final"), invoices.filter(state="draft")
    assert finals.exists()
    assert drafts.exists()
    assert [draft for draft in drafts if any("no measurement on" in sentence for sentence in draft.held)]
    assert {invoice.currency for invoice in invoices} == {tenant.currency}
    for invoice in finals:
        assert invoice.total > 0
        assert verify(tenant, invoice.uid).differences == ()
    for line in InvoiceLine.objects.of(tenant).filter(invoice__in=finals):
        assert recompute(line.working) == Decimal(line.amount)


def test_each_person_is_in_one_tenant_and_can_log_in(made: Filled) -> None:
    assert {(login.msp, login.role) for login in made.logins} == {
        (plan.name, role) for plan in MSPS for role in ("owner", "technician", "billing", "reseller")
    }
    for login in made.logins:
        user = User.objects.get(email=login.email)
        assert user.check_password(login.password)
        memberships = Membership.unwalled.filter(user=user).select_related("tenant")
        assert [(one.tenant.name, one.role) for one in memberships] == [(login.msp, login.role)]


TABLES_WITH_REFERENCES = """
SELECT 'jobs', count(*) FROM backups_backupjob job JOIN estate_selection one ON one.id = job.selection_id
WHERE job.tenant_id <> one.tenant_id
UNION ALL SELECT 'runs', count(*) FROM backups_jobrun run JOIN backups_backupjob job ON job.id = run.job_id
WHERE job.tenant_id <> run.tenant_id
UNION ALL SELECT 'receipts', count(*) FROM ingest_receipt receipt JOIN estate_backupserver one
ON one.id = receipt.server_id WHERE receipt.tenant_id <> one.tenant_id
UNION ALL SELECT 'incidents', count(*) FROM alerts_incident incident JOIN estate_client one
ON one.id = incident.client_id WHERE incident.tenant_id <> one.tenant_id
UNION ALL SELECT 'tickets', count(*) FROM alerts_ticket ticket JOIN alerts_destination one
ON one.id = ticket.destination_id WHERE ticket.tenant_id <> one.tenant_id
UNION ALL SELECT 'usage', count(*) FROM billing_usageentry entry JOIN estate_selection one
ON one.id = entry.selection_id WHERE entry.tenant_id <> one.tenant_id
UNION ALL SELECT 'invoices', count(*) FROM billing_invoice invoice JOIN billing_billto one
ON one.id = invoice.bill_to_id WHERE invoice.tenant_id <> one.tenant_id
"""


def test_the_two_providers_have_nothing_in_common() -> None:
    with connection.cursor() as cursor:
        cursor.execute(TABLES_WITH_REFERENCES)
        assert {name: number for name, number in cursor.fetchall() if number} == {}
    northern, hudson = (Tenant.objects.get(name=plan.name) for plan in MSPS)
    for model in (Client, BackupJob, Incident, Ticket, Invoice, Receipt):
        ids = [set(model.objects.of(one).values_list("pk", flat=True)) for one in (northern, hudson)]
        assert ids[0]
        assert ids[1]
        assert not ids[0] & ids[1]
    assert LookupKey.objects.filter(tenant=northern, kind="key").count() == len(MSPS[0].servers)


def counts() -> dict[str, int]:
    """How many rows every table of ours has."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = "
            "'public'::regnamespace"
        )
        names = [name for (name,) in cursor.fetchall()]
        found = {}
        for name in names:
            cursor.execute(f'SELECT count(*) FROM "{name}"')
            found[name] = cursor.fetchone()[0]
    return found


def test_a_second_run_says_it_is_there_and_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    before = counts()
    assert fill(now=NOW, days=30).was_there
    call_command("demo", skip_checks=True)
    assert "there already" in capsys.readouterr().out
    assert counts() == before


def test_logins_are_printed_as_lines_of_json(made: Filled, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("msp.management.commands.demo.fill", lambda **_: made)
    call_command("demo", skip_checks=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["email"] for line in lines] == [login.email for login in made.logins]
    assert all(line["password"] for line in lines)
