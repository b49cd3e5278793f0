"""What a person must decide holds the invoice: missing days, another basis, figures that can hardly be true."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.finalising import finalise
from billing.invoicing import decide, draft_run, redraft
from billing.measuring import approve_basis
from billing.models import Invoice, InvoiceRun, MeasuringChoice
from billing.refusals import NotFound, Refused
from billing.snapshots import frozen
from msp.backups.models import BackupJob, JobSelectionSpan
from msp.estate.models import Selection
from msp.tenants.models import AuditEntry
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, lines_of, nights, october, only_invoice
from tests.world import World, make_job

pytestmark = pytest.mark.django_db
#: 0.10 EUR a GB, so that an average of 100 GB costs 10.00 EUR.
PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}


def drafted(month: Month, *, now: datetime = NOVEMBER) -> InvoiceRun:
    return draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=now)


def again(invoice: Invoice) -> Invoice:
    found: Invoice = Invoice.objects.of(invoice.tenant_id).get(pk=invoice.pk)
    return found


def test_a_late_day_is_carried_and_then_missing(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB, last=10) | october(100 * GB, first=16))
    invoice = only_invoice(drafted(month))
    # 11, 12 and 13 October are carried (3 days at most), 14 and 15 are missing
    assert invoice.held == ["backup01: files: no measurement on 2026-10-14, 2026-10-15."]
    (line,) = lines_of(invoice)
    states = [day["state"] for day in line.evidence[0]["days"][9:16]]
    assert states == ["measured", "late", "late", "late", "missing", "missing", "measured"]
    with pytest.raises(Refused, match=r"held: backup01: files: no measurement on 2026-10-14, 2026-10-15"):
        finalise(world.tenant, invoice.uid, actor=ACTOR, now=NOVEMBER)


def test_days_on_which_no_run_was_due_stand(month: Month, world: World) -> None:
    world.job.schedule = "mon,thu 06:30"
    world.job.save()
    month.on_plan(world.client, month.plan(**PER_GB))
    # Mondays and Thursdays of October 2026, and the one before
    due = [date(2026, 9, 28)] + [date(2026, 10, day) for day in (1, 5, 8, 12, 15, 19, 22, 26, 29)]
    month.measure(world.job, dict.fromkeys(due, 50 * GB))
    invoice = only_invoice(drafted(month))
    (line,) = lines_of(invoice)
    assert invoice.held == []
    assert [day["state"] for day in line.evidence[0]["days"][:5]] == ["measured", *["not_due"] * 3, "measured"]
    assert line.quantity == Decimal(50)


@pytest.mark.parametrize(
    "broken", [{"schedule": "now and then"}, {"schedule": "daily 22:00", "timezone": "Mars/Olympus"}, {"schedule": ""}]
)
def test_without_a_schedule_that_can_be_read_every_day_is_due(
    month: Month, world: World, broken: dict[str, str]
) -> None:
    BackupJob.objects.of(world.tenant).filter(pk=world.job.pk).update(**broken)
    month.on_plan(world.client, month.plan(**PER_GB, carry_days=0))
    month.measure(world.job, october(100 * GB, last=29))
    assert only_invoice(drafted(month)).held == ["backup01: files: no measurement on 2026-10-30, 2026-10-31."]


@pytest.mark.parametrize(
    "decision, amount",
    # 1 to 10 October measured and 11 to 13 carried at 100 GB, 14 and 15 missing, 16 to 31 measured at 160 GB
    # left out: (13 x 100 + 16 x 160) / 29 = 3860 / 29 = 133.1034... = 133.103 GB; x 0.10 = 13.3103 = 13.31
    # carried:  (15 x 100 + 16 x 160) / 31 = 4060 / 31 = 130.9677... = 130.968 GB; x 0.10 = 13.0968 = 13.10
    [("exclude_missing", "13.31"), ("carry_missing", "13.10")],
)
def test_what_a_person_decides_is_recorded_and_drafted(month: Month, world: World, decision: str, amount: str) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB, last=10) | october(160 * GB, first=16))
    run = drafted(month)
    invoice = decide(
        world.tenant, only_invoice(run).uid, decision=decision, actor=ACTOR, reason="disk swapped", now=NOVEMBER
    )
    assert invoice.held == []
    assert [line.amount for line in lines_of(invoice)] == [Decimal(amount)]
    entry = AuditEntry.objects.of(world.tenant).get(action="invoice.decided")
    assert (entry.actor, entry.reason, entry.after["decision"]) == (ACTOR, "disk swapped", decision)
    redraft(world.tenant, run, now=NOVEMBER + timedelta(hours=1))
    assert again(invoice).held == []
    final = finalise(world.tenant, invoice.uid, actor=ACTOR, now=NOVEMBER + timedelta(hours=2))
    assert frozen(final)["decisions"][0]["decision"] == decision


def test_a_decision_does_not_reach_days_that_went_missing_after_it(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB, last=10) | october(100 * GB, first=16))
    run = drafted(month)
    decide(world.tenant, only_invoice(run).uid, decision="exclude_missing", actor=ACTOR, reason="", now=NOVEMBER)
    # the run of the 16th is withdrawn: now the 16th is missing too
    month.measure(world.job, {date(2026, 10, 16): None}, known=NOVEMBER)  # type: ignore[dict-item]
    redraft(world.tenant, run, now=NOVEMBER + timedelta(hours=1))
    assert only_invoice(run).held == ["backup01: files: no measurement on 2026-10-14, 2026-10-15, 2026-10-16."]


def test_nothing_that_is_not_held_can_be_decided(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB))
    invoice = only_invoice(drafted(month))
    for decision, sentence in (("carry_missing", "Nothing is held"), ("shrug", "no decision 'shrug'")):
        with pytest.raises(Refused, match=sentence):
            decide(world.tenant, invoice.uid, decision=decision, actor=ACTOR, reason="", now=NOVEMBER)
    with pytest.raises(NotFound):
        decide(world.other, invoice.uid, decision="carry_missing", actor=ACTOR, reason="", now=NOVEMBER)


def test_a_day_with_no_figure_to_carry_stays_held(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB, starts_with="agreed"))
    month.measure(world.job, october(100 * GB, first=3))
    invoice = only_invoice(drafted(month))
    assert invoice.held == ["backup01: files: no measurement on 2026-10-01, 2026-10-02."]
    carried = decide(world.tenant, invoice.uid, decision="carry_missing", actor=ACTOR, reason="", now=NOVEMBER)
    assert carried.held == [
        "Acme Dental: there is no earlier figure to charge on 2026-10-01, 2026-10-02; leave these days out instead."
    ]
    left_out = decide(world.tenant, invoice.uid, decision="exclude_missing", actor=ACTOR, reason="", now=NOVEMBER)
    assert (left_out.held, left_out.net) == ([], Decimal("10.00"))


def test_before_the_first_good_run_nothing_is_charged(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB, first=17))
    invoice = only_invoice(drafted(month))
    # 15 of 31 days: 100 GB x 0.10 x 15/31 = 4.8387... = 4.84
    assert (invoice.held, invoice.net) == ([], Decimal("4.84"))
    assert lines_of(invoice)[0].description.endswith("2026-10-17 to 2026-10-31")


def test_what_was_never_measured_is_held(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    run = drafted(month)
    invoice = only_invoice(run)
    assert invoice.held == ["backup01: files: its protected size was never measured, so nothing is charged for it."]
    decided = decide(world.tenant, invoice.uid, decision="exclude_missing", actor=ACTOR, reason="new", now=NOVEMBER)
    assert (decided.held, lines_of(decided)) == ([], [])
    with pytest.raises(Refused, match="nothing on this draft"):
        finalise(world.tenant, invoice.uid, actor=ACTOR, now=NOVEMBER)


def test_a_changed_basis_bills_nothing_until_it_is_approved(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB, last=20))
    month.measure(world.job, october(250 * GB, first=21), basis="provisioned")
    run = drafted(month)
    invoice = only_invoice(run)
    missing, changed = invoice.held
    assert missing.startswith("backup01: files: no measurement on 2026-10-24")
    assert "job files counted another way (provisioned instead of logical-once) on 2026-10-21" in changed
    assert {day["quantity"] for day in lines_of(invoice)[0].evidence[0]["days"]} == {100 * GB, None}
    selection = Selection.objects.of(world.tenant).get(pk=world.job.selection_id)
    approve_basis(
        world.tenant, selection, world.job, "provisioned",
        actor=ACTOR, now=NOVEMBER, since=date(2026, 10, 21), reason="moved to images",
    )  # fmt: skip
    redraft(world.tenant, run, now=NOVEMBER + timedelta(minutes=1))
    # (20 x 100 + 11 x 250) / 31 = 4750 / 31 = 153.2258... = 153.226 GB; x 0.10 = 15.3226 = 15.32
    invoice = only_invoice(run)
    assert (invoice.held, invoice.net) == ([], Decimal("15.32"))
    assert "(counted logical-once, provisioned)" in lines_of(invoice)[0].description
    assert [choice.actor for choice in MeasuringChoice.objects.of(world.tenant).order_by("pk")] == ["", ACTOR]


def test_an_approval_begins_where_the_change_began(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB, last=20))
    month.measure(world.job, october(250 * GB, first=21), basis="provisioned")
    selection = Selection.objects.of(world.tenant).get(pk=world.job.selection_id)
    choice = approve_basis(world.tenant, selection, world.job, "provisioned", actor=ACTOR, now=NOVEMBER)
    assert choice.since == date(2026, 10, 21)
    assert only_invoice(drafted(month)).net == Decimal("15.32")


def test_two_jobs_on_one_selection_are_billed_once(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    copy = make_job(world.tenant, world.server, world.client, "offsite", role="copy")
    Selection.objects.of(world.tenant).filter(pk=copy.selection_id).update(state="retired")
    copy.selection_id = world.job.selection_id
    copy.save()
    JobSelectionSpan.objects.of(world.tenant).filter(job=copy).update(selection_id=world.job.selection_id)
    month.measure(world.job, october(100 * GB, last=20))
    month.measure(copy, october(100 * GB), client_id=world.client.pk)
    invoice = only_invoice(drafted(month))
    # the measuring job is silent from the 21st: the other one's figures are shown to a person, not billed in its place
    (sentence,) = invoice.held
    assert sentence.endswith("Job offsite measured it on 8 of these days but is not its measuring job.")
    month.measure(world.job, october(100 * GB, first=21), known=NOVEMBER)
    redraft(world.tenant, invoice.run, now=NOVEMBER + timedelta(hours=1))
    assert (only_invoice(invoice.run).held, only_invoice(invoice.run).net) == ([], Decimal("10.00"))


def test_a_job_cannot_measure_what_it_never_protected(month: Month, world: World) -> None:
    other = make_job(world.tenant, world.server, world.client, "other")
    selection = Selection.objects.of(world.tenant).get(pk=world.job.selection_id)
    with pytest.raises(Refused, match="does not protect"):
        approve_basis(world.tenant, selection, other, "used", actor=ACTOR, now=NOVEMBER, since=OCTOBER)


@pytest.mark.parametrize("size", [0, 12_000 * GB])
def test_a_figure_that_can_hardly_be_true_is_held(month: Month, world: World, size: int) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB) | {date(2026, 10, 31): size})
    invoice = only_invoice(drafted(month))
    assert invoice.held == [
        f"backup01: files: a figure that can hardly be true: {100 * GB} bytes, then {size} on 2026-10-31."
    ]
    accepted = decide(world.tenant, invoice.uid, decision="accept_figures", actor=ACTOR, reason="true", now=NOVEMBER)
    # (30 x 100 + size) / 31 at 0.10
    assert accepted.net == {0: Decimal("9.68"), 12_000 * GB: Decimal("48.39")}[size]


def test_a_plan_on_nothing_is_held(month: Month, world: World) -> None:
    plan = month.plan(**PER_GB)
    month.on_plan(world.resold_client, plan)
    assert only_invoice(drafted(month)).held == ["Bay Bakery: the plan Backup covers nothing, as it has no selection."]


def test_a_selection_that_travels_on_a_disk_is_not_charged_before_it_landed(month: Month, world: World) -> None:
    Selection.objects.of(world.tenant).filter(pk=world.job.selection_id).update(state="seeding")
    month.on_plan(world.client, month.plan(**PER_GB, starts_with="agreed"))
    assert Invoice.objects.of(world.tenant).filter(run=drafted(month)).count() == 0


def test_what_has_retired_is_charged_to_its_last_figure(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, nights(date(2026, 9, 28), date(2026, 10, 10), 100 * GB))
    Selection.objects.of(world.tenant).filter(pk=world.job.selection_id).update(state="retired")
    invoice = only_invoice(drafted(month))
    # 10 of 31 days: 10.00 x 10/31 = 3.2258...
    assert (invoice.held, invoice.net) == ([], Decimal("3.23"))
