"""Credit notes: never more than what is left of a line, in a series of their own, frozen and verified like invoices."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, connections, transaction

from billing import crediting
from billing.crediting import CreditedLine, credit, creditable_lines
from billing.finalising import finalise, void_and_replace
from billing.following import what_followed
from billing.invoicing import draft_run, redraft
from billing.models import Invoice, InvoiceSeries
from billing.refusals import NotFound, Refused
from billing.reviewing import compare_with_last_month
from billing.snapshots import frozen
from billing.verifying import verify
from msp.tenants.models import AuditEntry
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, lines_of, october, only_invoice
from tests.world import World

LATER = NOVEMBER + timedelta(days=1)
PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}


@pytest.fixture
def invoice(month: Month, world: World) -> Invoice:
    """Acme Dental: 100 GB all month at 0.10, 19 % tax: 10.00 + 1.90 = 11.90."""
    month.on_plan(world.client, month.plan(**PER_GB), tax_rate=Decimal("0.19"))
    month.measure(world.job, october(100 * GB))
    run = draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
    return finalise(month.tenant, only_invoice(run).uid, actor=ACTOR, now=NOVEMBER)


def take(invoice: Invoice, *lines: CreditedLine, reason: str = "an outage") -> Invoice:
    return credit(invoice.tenant, invoice.uid, lines=lines, reason=reason, actor=ACTOR, now=LATER)


def part(invoice: Invoice, amount: str | None = None, quantity: str | None = None) -> CreditedLine:
    (line,) = lines_of(invoice)
    return CreditedLine(
        line_uid=line.uid,
        amount=None if amount is None else Decimal(amount),
        quantity=None if quantity is None else Decimal(quantity),
    )


@pytest.mark.django_db
def test_a_part_by_amount_and_the_rest(invoice: Invoice) -> None:
    first = take(invoice, part(invoice, "4.00"))
    # 4.00 x 19 % = 0.76
    assert (first.kind, first.state, first.number) == ("credit", "final", "CN-2026-00001")
    assert (first.net, first.tax, first.total) == (Decimal("-4.00"), Decimal("-0.76"), Decimal("-4.76"))
    assert [line.left for line in creditable_lines(invoice)] == [Decimal(6)]
    rest = take(invoice)
    assert (rest.number, rest.net, rest.total) == ("CN-2026-00002", Decimal("-6.00"), Decimal("-7.14"))
    with pytest.raises(Refused, match="Nothing is left of 2026-00001"):
        take(invoice)
    assert what_followed(invoice.tenant, invoice.uid).credited == -invoice.total
    series = InvoiceSeries.objects.of(invoice.tenant_id).order_by("series").values_list("series", "next_number")
    assert list(series) == [("2026", 2), ("credit 2026", 3)]


@pytest.mark.django_db
def test_a_part_by_quantity_is_rounded_once(invoice: Invoice) -> None:
    note = take(invoice, part(invoice, quantity="33.333"))
    # 33.333 / 100 x 10.00 = 3.3333, rounded 3.33; 3.33 x 19 % = 0.6327
    assert (note.net, note.tax) == (Decimal("-3.33"), Decimal("-0.63"))
    (line,) = lines_of(note)
    assert (line.quantity, line.unit, line.kind, line.tax_rate) == (Decimal("-33.333"), "GB", "credit", Decimal("0.19"))
    assert line.working["steps"][-1]["formula"] == "3.33 EUR x -1"


@pytest.mark.django_db
def test_it_is_frozen_with_the_parties_of_the_invoice_and_verified(invoice: Invoice, world: World) -> None:
    invoice.bill_to.legal_name = "Renamed"
    invoice.bill_to.save()
    note = take(invoice, part(invoice, "4.00"))
    snapshot = frozen(note)
    (line,) = snapshot["lines"]
    assert snapshot["bill_to"]["legal_name"] == "Acme Dental"
    assert (snapshot["kind"], snapshot["credits"]["number"], snapshot["reason"]) == (
        "credit",
        "2026-00001",
        "an outage",
    )
    assert line["credits"] == str(lines_of(invoice)[0].uid)
    assert verify(world.tenant, note.uid).differences == ()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE billing_invoice SET total = 1 WHERE id = %s", [note.pk])
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE billing_invoice SET total = -1 WHERE id = %s", [note.pk])
    assert not verify(world.tenant, note.uid).holds
    entry = AuditEntry.objects.of(world.tenant).get(action="invoice.credited")
    assert (entry.subject, entry.after["credits"], entry.reason) == ("CN-2026-00001", "2026-00001", "an outage")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "amount, quantity, sentence",
    [
        ("10.01", None, "10.01 EUR is more than the 10.00 EUR that is left"),
        ("0", None, "more than 0"),
        ("-1", None, "more than 0"),
        ("0.001", None, "not a whole number of the smallest unit"),
        ("1", "1", "an amount or a quantity, not both"),
        (None, "100.001", "has 100 GB"),
        (None, "0", "more than 0 of it"),
        (None, "0.001", "comes to nothing"),
    ],
)
def test_what_is_refused(invoice: Invoice, amount: str | None, quantity: str | None, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        take(invoice, part(invoice, amount, quantity))
    assert not Invoice.objects.of(invoice.tenant_id).filter(kind="credit").exists()


@pytest.mark.django_db
def test_other_refusals(invoice: Invoice, world: World) -> None:
    with pytest.raises(Refused, match="needs a reason"):
        take(invoice, reason=" ")
    with pytest.raises(Refused, match="named twice"):
        take(invoice, part(invoice, "1"), part(invoice, "1"))
    with pytest.raises(Refused, match="not on this invoice"):
        take(invoice, CreditedLine(line_uid=uuid4()))
    with pytest.raises(NotFound):
        credit(world.other, invoice.uid, reason="mine", actor=ACTOR, now=LATER)
    note = take(invoice, part(invoice, "4"))
    with pytest.raises(Refused, match="A credit note is not credited"):
        take(note)
    with pytest.raises(Refused, match="A credit note is not voided"):
        void_and_replace(world.tenant, note.uid, actor=ACTOR, reason="no", now=LATER)
    with pytest.raises(Refused, match=r"2026-00001 is credited by CN-2026-00001: credit the rest"):
        void_and_replace(world.tenant, invoice.uid, actor=ACTOR, reason="no", now=LATER)


@pytest.mark.django_db
def test_the_review_and_a_further_draft_pass_over_notes(invoice: Invoice, world: World) -> None:
    take(invoice, part(invoice, "4"))
    (change,) = compare_with_last_month(world.tenant, invoice.run)
    assert (change.now, change.reason) == (Decimal(10), "new")
    redraft(world.tenant, invoice.run, now=LATER)
    assert Invoice.objects.of(world.tenant).count() == 2


@pytest.mark.django_db
def test_a_void_invoice_is_refused(invoice: Invoice, world: World) -> None:
    void_and_replace(world.tenant, invoice.uid, actor=ACTOR, reason="wrong", now=LATER)
    with pytest.raises(Refused, match="this one is void"):
        take(invoice)


@pytest.mark.django_db
def test_a_failure_leaves_no_gap(invoice: Invoice, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(crediting, "_audit", broken)
        with pytest.raises(RuntimeError):
            take(invoice)
    assert take(invoice).number == "CN-2026-00001"


@pytest.mark.django_db(transaction=True)
def test_of_two_people_at_once_one_gets_the_line(invoice: Invoice) -> None:
    answers: list[str] = []

    def work() -> None:
        try:
            answers.append(take(invoice, part(invoice, "6")).number)
        except Refused as refusal:
            answers.append(refusal.reason)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers)[0] == "CN-2026-00001"
    assert sorted(answers)[1].startswith("Line 1: 6.00 EUR is more than the 4.00 EUR")
