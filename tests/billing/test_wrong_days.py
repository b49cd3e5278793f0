"""A person's word about a day: a further entry with a reason, which a run read again does not undo."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from billing.corrections import late_corrections
from billing.explaining import explain_line
from billing.finalising import finalise, void_and_replace
from billing.invoicing import draft_run, redraft_one
from billing.ledger import enter_usage
from billing.measuring_queries import unapproved_figures
from billing.models import Invoice, InvoiceRun, UsageEntry
from billing.refusals import Refused
from billing.wrong_days import correct_day, entries_of_day
from msp.tenants.models import AuditEntry
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, lines_of, measurement, october, only_invoice
from tests.world import World, make_job

pytestmark = pytest.mark.django_db
PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}
TWELFTH = date(2026, 10, 12)
LATER = NOVEMBER + timedelta(hours=1)


@pytest.fixture
def run(month: Month, world: World) -> InvoiceRun:
    """100 GB on each day of October, but 162 GB on the 12th: 102 GB on average, 10.20."""
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB) | {TWELFTH: 162 * GB})
    return draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)


def correct(world: World, *, quantity: int | None, **values: Any) -> None:
    defaults: dict[str, Any] = {
        "metric": "protected",
        "day": TWELFTH,
        "source": f"run:{world.job.pk}:run-20261012T120000",
        "actor": ACTOR,
        "reason": "a copied folder",
        "now": LATER,
    }
    correct_day(world.tenant, world.job.selection, quantity=quantity, **defaults | values)


def test_a_corrected_day_is_a_further_entry_that_the_draft_is_charged_by(world: World, run: InvoiceRun) -> None:
    assert str(only_invoice(run).net) == "10.2000"
    correct(world, quantity=100 * GB)
    invoice = redraft_one(world.tenant, only_invoice(run).uid, now=LATER)
    assert invoice is not None
    assert str(invoice.net) == "10.0000"
    told = explain_line(world.tenant, lines_of(invoice)[0].uid)
    day = told.selections[0].days[11]
    assert (day.quantity, day.corrected, day.job_name) == (100 * GB, "a copied folder", "files")
    entries = UsageEntry.objects.of(world.tenant).filter(local_day=TWELFTH, metric="protected")
    assert list(entries.order_by("revision").values_list("revision", "quantity")) == [(0, 162 * GB), (1, 100 * GB)]
    assert finalise(world.tenant, invoice.uid, actor=ACTOR, now=LATER).state == "final"
    audited = AuditEntry.objects.of(world.tenant).get(action="usage.corrected")
    assert (audited.before["quantity"], audited.after["quantity"]) == (162 * GB, 100 * GB)
    assert audited.reason == "a copied folder"


def test_a_run_read_again_does_not_undo_a_persons_word(world: World, run: InvoiceRun) -> None:
    correct(world, quantity=100 * GB)
    at = datetime(2026, 10, 12, 12, tzinfo=UTC)
    again = measurement(world.job, at, 163 * GB)
    assert enter_usage(world.tenant.pk, [again], now=LATER).entries == 0
    told = entries_of_day(world.tenant, world.job.selection, metric="protected", day=TWELFTH, now=LATER)
    assert [(each.quantity, each.counts, each.billed) for each in told] == [
        (162 * GB, False, False), (100 * GB, True, True),
    ]  # fmt: skip
    gone = measurement(world.job, at, None)
    assert enter_usage(world.tenant.pk, [gone], now=LATER).entries == 1  # the run itself is somebody else's now


def test_a_withdrawn_figure_leaves_the_day_to_the_one_before_it(world: World, run: InvoiceRun) -> None:
    correct(world, quantity=None)
    invoice = redraft_one(world.tenant, only_invoice(run).uid, now=LATER)
    assert invoice is not None
    day = explain_line(world.tenant, lines_of(invoice)[0].uid).selections[0].days[11]
    assert (day.state, day.quantity, day.measured_on) == ("late", 100 * GB, date(2026, 10, 11))


def test_a_day_without_a_run_gets_a_figure_of_its_own(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(carry_days=0, **PER_GB))
    month.measure(world.job, {day: size for day, size in october(100 * GB).items() if day != TWELFTH})
    run = draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
    assert only_invoice(run).held
    correct(world, quantity=131 * GB, source="")
    invoice = redraft_one(world.tenant, only_invoice(run).uid, now=LATER)
    assert invoice is not None
    assert (invoice.held, str(invoice.net)) == ([], "10.1000")


def test_a_final_invoice_is_a_late_correction_until_it_is_replaced(world: World, run: InvoiceRun) -> None:
    final = finalise(world.tenant, only_invoice(run).uid, actor=ACTOR, now=NOVEMBER)
    correct(world, quantity=100 * GB)
    (late,) = late_corrections(world.tenant, since=OCTOBER, now=LATER)
    assert (late.number, str(late.difference)) == (final.number, "-0.20")
    assert [(day.day, day.billed, day.known) for day in late.days] == [(TWELFTH, 162 * GB, 100 * GB)]
    with pytest.raises(Refused, match="Only a draft"):
        redraft_one(world.tenant, final.uid, now=LATER)
    draft = void_and_replace(world.tenant, final.uid, actor=ACTOR, reason="wrong day", now=LATER)
    assert draft is not None
    finalise(world.tenant, draft.uid, actor=ACTOR, now=LATER)
    assert late_corrections(world.tenant, since=OCTOBER, now=LATER) == ()
    assert Invoice.objects.of(world.tenant).filter(state="void").count() == 1


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"quantity": 162 * GB}, "what stands"),
        ({"quantity": -1}, "0 or more"),
        ({"quantity": 2**63}, "0 or more"),
        ({"quantity": 1, "reason": "  "}, "Say why"),
        ({"quantity": 1, "day": date(2026, 12, 1)}, "not begun"),
        ({"quantity": 1, "day": date(2026, 10, 13)}, "no longer one of that day"),
        ({"quantity": 1, "source": "run:0:unknown"}, "no longer one of that day"),
        ({"quantity": None, "source": ""}, "no figure to withdraw"),
    ],
)
def test_what_cannot_be_is_refused(world: World, run: InvoiceRun, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        correct(world, **values)
    assert not AuditEntry.objects.of(world.tenant).filter(action="usage.corrected").exists()


def test_figures_that_wait_for_an_approval_are_listed_with_both_sizes(month: Month, world: World) -> None:
    month.measure(world.job, october(100 * GB, last=10))
    month.measure(world.job, october(130 * GB, first=11), basis="logical-each")
    second = make_job(world.tenant, world.server, world.client, "image")
    month.measure(second, october(140 * GB, first=9, last=9), selection_id=world.job.selection_id)
    (row,) = unapproved_figures(world.tenant, since=OCTOBER)
    assert (row.selection, row.basis, row.approved_basis) == ("backup01: files", "logical-each", "logical-once")
    assert (row.first_day, row.last_day, row.days) == (date(2026, 10, 11), date(2026, 10, 31), 21)
    assert (row.last_bytes, row.approved_bytes, row.same_job) == (130 * GB, 100 * GB, True)
    assert unapproved_figures(world.other, since=OCTOBER) == ()
