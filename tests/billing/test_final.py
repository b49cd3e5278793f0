"""Final documents: numbered without gaps, frozen, verifiable, replaced only by another; late logs never change them."""

from __future__ import annotations

import threading
from datetime import date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections, transaction

from billing import finalising
from billing.corrections import late_corrections
from billing.finalising import finalise, void_and_replace
from billing.invoicing import draft_run, redraft
from billing.models import Invoice, InvoiceLine, InvoiceRun, InvoiceSeries, Seller, UsageEntry
from billing.numbering import check_number_format
from billing.refusals import NotFound, Refused
from billing.snapshots import frozen
from billing.verifying import verify
from msp.tenants.models import AuditEntry
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, invoices_of, lines_of, october, only_invoice
from tests.world import World, make_client, make_job, make_world

PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}
LATER = NOVEMBER + timedelta(days=1)


def drafted(month: Month, now: datetime = NOVEMBER) -> InvoiceRun:
    return draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=now)


def one_final(month: Month, world: World) -> Invoice:
    """Acme Dental: 100 GB all month at 0.10, 19 % tax: 10.00 + 1.90 = 11.90."""
    month.on_plan(world.client, month.plan(**PER_GB), tax_rate=Decimal("0.19"))
    month.measure(world.job, october(100 * GB))
    return finalise(month.tenant, only_invoice(drafted(month)).uid, actor=ACTOR, now=NOVEMBER)


def refused(statement: str, *params: int) -> None:
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, params)


@pytest.mark.django_db
def test_a_final_document_and_its_lines_cannot_be_changed(month: Month, world: World) -> None:
    invoice = one_final(month, world)
    refused("UPDATE billing_invoice SET total = 1 WHERE id = %s", invoice.pk)
    refused("UPDATE billing_invoice SET state = 'draft' WHERE id = %s", invoice.pk)
    refused("DELETE FROM billing_invoice WHERE id = %s", invoice.pk)
    refused("UPDATE billing_invoiceline SET amount = 1 WHERE invoice_id = %s", invoice.pk)
    refused("DELETE FROM billing_invoiceline WHERE invoice_id = %s", invoice.pk)
    refused("UPDATE billing_plan SET minimum = 5")
    refused("UPDATE billing_measuringchoice SET basis = 'used'")
    with pytest.raises(Refused, match="2026-00001 is final already"):
        finalise(world.tenant, invoice.uid, actor=ACTOR, now=LATER)


@pytest.mark.django_db
def test_the_snapshot_keeps_everything_the_document_shows(month: Month, world: World) -> None:
    snapshot = frozen(one_final(month, world))
    assert snapshot["number"] == "2026-00001"
    assert snapshot["seller"]["legal_name"] == "Northwind MSP GmbH"
    assert snapshot["bill_to"]["legal_name"] == "Acme Dental"
    assert (snapshot["first_day"], snapshot["last_day"], snapshot["timezone"]) == ("2026-10-01", "2026-11-01", "UTC")
    (line,) = snapshot["lines"]
    assert (line["working"]["plan"]["code"], line["working"]["plan"]["version"]) == ("per-gb", 1)
    assert (line["size_contract"], line["agreement"][:2], len(line["evidence"][0]["days"])) == ("1", "A-", 31)
    month.seller.legal_name = "Renamed"
    month.seller.save()
    assert verify(world.tenant, Invoice.objects.of(world.tenant).get().uid).holds


@pytest.mark.django_db
def test_a_draft_that_the_ledger_has_overtaken_is_not_made_final(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB))
    run = drafted(month)
    month.measure(world.job, {date(2026, 10, 31): 131 * GB}, known=NOVEMBER + timedelta(minutes=1))
    invoice = only_invoice(run)
    with pytest.raises(Refused, match="out of date"):
        finalise(world.tenant, invoice.uid, actor=ACTOR, now=NOVEMBER + timedelta(minutes=2))
    redraft(world.tenant, run, now=NOVEMBER + timedelta(minutes=3))
    final = finalise(world.tenant, invoice.uid, actor=ACTOR, now=NOVEMBER + timedelta(minutes=4))
    # (30 x 100 + 131) / 31 = 101 GB
    assert final.net == Decimal("10.10")


@pytest.mark.django_db
def test_a_late_log_before_the_cut_off_counts_and_one_after_it_is_a_listed_correction(
    month: Month, world: World
) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB, last=30))
    month.measure(world.job, {date(2026, 10, 31): 131 * GB}, known=NOVEMBER - timedelta(seconds=1))
    invoice = finalise(world.tenant, only_invoice(drafted(month)).uid, actor=ACTOR, now=NOVEMBER)
    assert invoice.net == Decimal("10.10")
    assert late_corrections(world.tenant, since=OCTOBER, now=NOVEMBER) == ()
    # the log of the 7th is read again and says 131 GB: (29 x 100 + 2 x 131) / 31 = 102 GB
    month.measure(world.job, {date(2026, 10, 7): 131 * GB}, known=LATER)
    before = frozen(invoice)
    redraft(world.tenant, invoice.run, now=LATER)
    assert frozen(Invoice.objects.of(world.tenant).get()) == before
    (correction,) = late_corrections(world.tenant, since=OCTOBER, now=LATER)
    assert (correction.billed, correction.recomputed, correction.difference) == (
        Decimal("10.10"), Decimal("10.20"), Decimal("0.10"),
    )  # fmt: skip
    (day,) = correction.days
    assert (day.day, day.billed, day.known) == (date(2026, 10, 7), 100 * GB, 131 * GB)
    # what was known at the cut-off still verifies
    assert verify(world.tenant, invoice.uid).differences == ()


@pytest.mark.django_db
def test_void_and_replace_keeps_both_documents(month: Month, world: World) -> None:
    invoice = one_final(month, world)
    month.measure(world.job, {date(2026, 10, 7): 131 * GB}, known=LATER)
    with pytest.raises(Refused, match="needs a reason"):
        void_and_replace(world.tenant, invoice.uid, actor=ACTOR, reason=" ", now=LATER)
    draft = void_and_replace(world.tenant, invoice.uid, actor=ACTOR, reason="late log", now=LATER)
    assert draft is not None
    assert (draft.state, draft.replaces_id, draft.net) == ("draft", invoice.pk, Decimal("10.10"))
    old = Invoice.objects.of(world.tenant).get(pk=invoice.pk)
    assert (old.state, old.number, old.void_reason, old.total) == ("void", "2026-00001", "late log", Decimal("11.90"))
    final = finalise(world.tenant, draft.uid, actor=ACTOR, now=LATER)
    assert (final.number, frozen(final)["replaces"]) == ("2026-00002", "2026-00001")
    assert verify(world.tenant, old.uid).holds
    assert late_corrections(world.tenant, since=OCTOBER, now=LATER) == ()
    with pytest.raises(Refused, match="Only a final invoice"):
        void_and_replace(world.tenant, old.uid, actor=ACTOR, reason="again", now=LATER)
    actions = AuditEntry.objects.of(world.tenant).filter(subject_kind="invoice").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == [
        "invoice.finalised", "invoice.voided", "invoice.finalised",
    ]  # fmt: skip


@pytest.mark.django_db
def test_a_hold_that_was_wiped_from_the_row_still_holds(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB, last=10))
    invoice = only_invoice(drafted(month))
    Invoice.objects.of(world.tenant).update(held=[])
    with pytest.raises(Refused, match="no measurement on 2026-10-14"):
        finalise(world.tenant, invoice.uid, actor=ACTOR, now=NOVEMBER)


@pytest.mark.django_db
def test_another_tenants_invoice_is_not_found(month: Month, world: World) -> None:
    invoice = one_final(month, world)
    for act in (
        lambda: finalise(world.other, invoice.uid, actor=ACTOR, now=LATER),
        lambda: void_and_replace(world.other, invoice.uid, actor=ACTOR, reason="mine", now=LATER),
        lambda: verify(world.other, invoice.uid),
    ):
        with pytest.raises(NotFound):
            act()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement, sentence",
    [
        (
            "UPDATE billing_invoice SET snapshot = jsonb_set(snapshot, '{bill_to,address}', '\"elsewhere\"')",
            "does not have the hash",
        ),
        ("UPDATE billing_invoice SET snapshot = jsonb_set(snapshot, '{lines,0,amount}', '\"9.00\"')", "comes to 10.00"),
        ("UPDATE billing_invoice SET total = 12", "total is 12"),
        ("UPDATE billing_invoiceline SET amount = 12", "Line 1 differs"),
        (
            "UPDATE billing_usageentry SET quantity = 1 WHERE local_day = '2026-10-09'",
            "on 2026-10-09: billed by 100000000000 bytes",
        ),
        ("DELETE FROM billing_usageentry WHERE local_day = '2026-10-09'", "the ledger says None"),
    ],
)
def test_verifying_finds_what_was_tampered_with(month: Month, world: World, statement: str, sentence: str) -> None:
    invoice = one_final(month, world)
    verified = verify(world.tenant, invoice.uid)
    assert (verified.differences, verified.lines, verified.days) == ((), 1, 31)
    with connection.cursor() as cursor:  # as somebody with the keys of the database could
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement)
    found = verify(world.tenant, invoice.uid)
    assert not found.holds
    assert any(sentence in difference for difference in found.differences), found.differences


@pytest.mark.django_db
def test_the_commands_draft_finalise_and_verify(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB))
    unpaid = make_job(world.tenant, world.server, world.resold_client, "forgotten")
    month.measure(unpaid, october(5 * GB))
    out = StringIO()
    call_command("invoice_run", tenant=world.tenant.slug, month="2026-10", finalise=True, stdout=out)
    assert "-00001  Acme Dental  10.00 EUR" in out.getvalue()
    assert "billed by nobody: Bay Bakery, backup01: forgotten: measured on 31 days" in out.getvalue()
    number = Invoice.objects.of(world.tenant).get().number
    call_command("verify_invoice", number, tenant=world.tenant.slug, stdout=out)
    assert f"{number} holds: 1 lines, 31 days" in out.getvalue()
    for arguments, sentence in (
        ({"tenant": "nobody", "month": "2026-10"}, "no tenant nobody"),
        ({"tenant": world.tenant.slug, "month": "October"}, "not a month"),
        ({"tenant": world.other.slug, "month": "2026-10"}, "no seller yet"),
        ({"tenant": world.tenant.slug, "month": "2999-10"}, "not over"),
    ):
        with pytest.raises(CommandError, match=sentence):
            call_command("invoice_run", **arguments)
    with pytest.raises(CommandError, match="There is no invoice"):
        call_command("verify_invoice", number, tenant=world.other.slug)


@pytest.mark.django_db
def test_numbers_follow_the_sellers_format_and_begin_anew_each_year(month: Month, world: World) -> None:
    month.seller.number_format = "RE-{year}/{number:04d}"
    month.seller.save()
    InvoiceSeries.objects.of(world.tenant).create(seller=month.seller, series="2025", next_number=77)
    assert one_final(month, world).number == "RE-2026/0001"


@pytest.mark.parametrize(
    "text", ["", "{year}", "{number", "{number}-{client}", "{0}", "{month}-{number}", "{number.x}"]
)
def test_number_formats_that_cannot_number_are_refused(text: str) -> None:
    with pytest.raises(Refused):
        check_number_format(text)


@pytest.mark.django_db
def test_a_number_in_use_is_not_given_again(month: Month, world: World) -> None:
    one_final(month, world)
    InvoiceSeries.objects.of(world.tenant).update(next_number=1)
    job = make_job(world.tenant, world.server, world.resold_client, "a")
    plan = month.plan(code="second", price="per_unit", price_params={"unit_price": "1"})
    month.on_plan(world.resold_client, plan)
    month.measure(job, october(GB))
    draft = next(invoice for invoice in invoices_of(drafted(month)) if invoice.state == "draft")
    with pytest.raises(Refused, match="2026-00001 is the number of another document"):
        finalise(world.tenant, draft.uid, actor=ACTOR, now=NOVEMBER)


@pytest.mark.django_db
@pytest.mark.parametrize("step", ["take_number", "snapshot_of", "hash_of_plain", "_collect", "_audit"])
def test_a_crash_while_finalising_leaves_no_gap_and_can_be_repeated(month: Month, world: World, step: str) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB))
    draft = only_invoice(drafted(month))
    original = getattr(finalising, step)

    def works_and_dies(*args: Any, **values: Any) -> None:
        original(*args, **values)
        raise ConnectionResetError(step)

    with mock.patch.object(finalising, step, works_and_dies), pytest.raises(ConnectionResetError):
        finalise(world.tenant, draft.uid, actor=ACTOR, now=NOVEMBER)
    assert Invoice.objects.of(world.tenant).get().state == "draft"
    assert finalise(world.tenant, draft.uid, actor=ACTOR, now=NOVEMBER).number == "2026-00001"


@pytest.fixture
def committed() -> World:
    """The world for tests whose threads have connections of their own."""
    return make_world()


@pytest.mark.django_db(transaction=True)
def test_many_finalising_at_once_leave_no_gap_and_no_double(committed: World) -> None:
    world = committed
    month = Month(world.tenant, Seller.objects.of(world.tenant).create(legal_name="Northwind MSP GmbH"))
    plan = month.plan(**PER_GB)
    for name in ("a", "b", "c", "d", "e", "f"):
        client = make_client(world.tenant, f"Client {name}")
        month.on_plan(client, plan)
        month.measure(make_job(world.tenant, world.server, client, name), october(GB), known=NOVEMBER)
    run = draft_run(world.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
    refusals: list[str] = []
    start = threading.Barrier(8)

    def work(uid: Any) -> None:
        try:
            start.wait(10)
            finalise(world.tenant, uid, actor=ACTOR, now=NOVEMBER)
        except Refused as error:
            refusals.append(error.reason)
        finally:
            connections.close_all()

    uids = [invoice.uid for invoice in invoices_of(run)]
    threads = [threading.Thread(target=work, args=(uid,)) for uid in [*uids, *uids[:2]]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    numbers = sorted(invoice.number for invoice in invoices_of(run))
    assert numbers == [f"2026-{number:05d}" for number in range(1, 7)]
    assert len(refusals) == 2
    assert all("is final already" in refusal for refusal in refusals)
    assert InvoiceRun.objects.of(world.tenant).get().state == "final"
    assert UsageEntry.objects.of(world.tenant).count() == 6 * 31
    assert InvoiceLine.objects.of(world.tenant).count() == len(lines_of(invoices_of(run)[0])) * 6
