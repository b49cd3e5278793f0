"""Payments: recorded once, allocated within what both sides allow, read from banks' files, matched without a doubt."""

from __future__ import annotations

import threading
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, connections, transaction

from billing.crediting import credit
from billing.finalising import finalise, void_and_replace
from billing.invoicing import draft_run
from billing.models import Invoice, Payment, PaymentAllocation, Seller
from billing.owing import Owed, owed_of
from billing.paying import PaymentEntry, allocate, record_payment, record_stripe_payment, take_off, withdraw
from billing.payment_files import CsvColumns, read_payments
from billing.payment_imports import Imported, import_payments
from billing.payment_queries import payment_page, payment_rows
from billing.refusals import NotFound, Refused
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, invoices_of, october
from tests.world import World, make_job

LATER = NOVEMBER + timedelta(days=1)
WHO: dict[str, Any] = {"actor": ACTOR, "now": LATER}
PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}
CAMT = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt><Stmt>
<Acct><Id><IBAN>DE89370400440532013000</IBAN></Id></Acct>{entries}</Stmt></BkToCstmrStmt></Document>"""
ENTRY = """<Ntry><Amt Ccy="{ccy}">{amount}</Amt><CdtDbtInd>{side}</CdtDbtInd><Sts><Cd>{state}</Cd></Sts>
<BookgDt><Dt>2026-11-03</Dt></BookgDt><AcctSvcrRef>{ref}</AcctSvcrRef><NtryDtls><TxDtls>
<Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs><RltdPties><Dbtr><Pty><Nm>Acme Dental</Nm></Pty></Dbtr></RltdPties>
<RmtInf><Ustrd>{text}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"""


def camt(*entries: dict[str, str]) -> bytes:
    usual = {"ccy": "EUR", "amount": "11.90", "side": "CRDT", "state": "BOOK", "ref": "A1", "text": "2026-00001"}
    return CAMT.format(entries="".join(ENTRY.format(**usual | entry) for entry in entries)).encode()


@pytest.fixture
def invoices(month: Month, world: World) -> list[Invoice]:
    """2026-00001 of Acme Dental, 11.90 EUR, and 2026-00002 of the bakery, 4.00 EUR."""
    plan = month.plan(**PER_GB)
    month.on_plan(world.client, plan, tax_rate=Decimal("0.19"))
    month.on_plan(world.resold_client, plan)
    month.measure(world.job, october(100 * GB))
    month.measure(make_job(world.tenant, world.server, world.resold_client, "oven"), october(40 * GB))
    run = draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
    drafts = sorted(invoices_of(run), key=lambda invoice: -invoice.total)
    return [finalise(month.tenant, draft.uid, actor=ACTOR, now=NOVEMBER) for draft in drafts]


def entry(amount: str = "11.90", **values: Any) -> PaymentEntry:
    usual: dict[str, Any] = {"currency": "EUR", "received_on": date(2026, 11, 3), "source": "hand"}
    return PaymentEntry(amount=Decimal(amount), **{"source_id": f"hand:{uuid4()}"} | usual | values)


def paid(month: Month, amount: str = "11.90", **values: Any) -> Payment:
    return record_payment(month.tenant, month.seller, entry(amount, **values), **WHO)[0]


def open_of(invoice: Invoice) -> Decimal:
    return owed_of(invoice.tenant_id, [invoice.pk])[invoice.pk].open


def take(month: Month, content: bytes, **columns: Any) -> Imported:
    return import_payments(month.tenant, month.seller, content, columns=CsvColumns(**columns), name="bank.xml", **WHO)


@pytest.mark.django_db
def test_whole_part_several_and_what_is_left(month: Month, invoices: list[Invoice]) -> None:
    acme, bakery = invoices
    payment = paid(month, "20.00")
    allocate(month.tenant, payment.uid, acme.uid, amount=Decimal("5"), **WHO)
    assert open_of(acme) == Decimal("6.90")
    allocate(month.tenant, payment.uid, acme.uid, **WHO)
    allocate(month.tenant, payment.uid, bakery.uid, **WHO)
    assert (open_of(acme), open_of(bakery)) == (Decimal(0), Decimal(0))
    (row,) = payment_rows(month.tenant, waiting=True)
    assert (row.left, row.bill_to) == (Decimal("4.10"), "Acme Dental")
    assert take_off(month.tenant, payment.uid, bakery.uid, **WHO) == Decimal("4.00")
    assert open_of(bakery) == Decimal("4.00")
    assert [each.amount for each in payment_page(month.tenant, payment.uid).settles] == [Decimal("11.90")]


@pytest.mark.django_db
def test_a_credit_note_after_payment_leaves_too_much_that_is_paid_back(month: Month, invoices: list[Invoice]) -> None:
    acme = invoices[0]
    allocate(month.tenant, paid(month).uid, acme.uid, **WHO)
    credit(month.tenant, acme.uid, reason="an outage", **WHO)
    assert open_of(acme) == Decimal("-11.90")
    back = paid(month, "-11.90")
    allocate(month.tenant, back.uid, acme.uid, **WHO)
    assert open_of(acme) == 0


def test_overdue_is_after_the_day_it_was_due() -> None:
    owed = Owed(total=Decimal(2), credited=Decimal(-1), paid=Decimal(0), due_on=date(2026, 11, 16))
    assert (owed.is_overdue(date(2026, 11, 16)), owed.is_overdue(date(2026, 11, 17))) == (False, True)
    settled = Owed(total=Decimal(2), credited=Decimal(-1), paid=Decimal(1), due_on=date(2026, 11, 16))
    assert not settled.is_overdue(date(2026, 12, 1))


@pytest.mark.django_db
def test_the_same_payment_twice_is_one_and_another_amount_is_refused(month: Month) -> None:
    first = entry(source_id="bank:1")
    payment, is_new = record_payment(month.tenant, month.seller, first, **WHO)
    again, is_new_again = record_payment(month.tenant, month.seller, first, **WHO)
    assert (is_new, is_new_again, payment.pk) == (True, False, again.pk)
    with pytest.raises(Refused, match=r"A payment of 11.90 EUR with this id is recorded already"):
        record_payment(month.tenant, month.seller, entry("12", source_id="bank:1"), **WHO)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "values, sentence",
    [
        ({"amount": "0"}, "other than 0"),
        ({"amount": "1.001"}, "smallest unit"),
        ({"amount": "10000000000000"}, "13 digits"),
        ({"currency": "XXX"}, "not a currency"),
        ({"method": "barter"}, "no method 'barter'"),
        ({"source_id": ""}, "1 to 200 characters"),
        ({"reference": "x" * 1001}, "at most 1,000"),
    ],
)
def test_payments_that_cannot_be_are_refused(month: Month, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        record_payment(month.tenant, month.seller, entry(**values), **WHO)
    assert not Payment.objects.of(month.tenant).exists()


@pytest.mark.django_db
def test_allocations_that_cannot_be_are_refused(month: Month, world: World, invoices: list[Invoice]) -> None:
    acme, bakery = invoices
    payment, small = paid(month, "20"), paid(month, "1")
    for uid, invoice, amount, sentence in (
        (payment.uid, acme, "12", "Only 11.90 EUR of the invoice is open"),
        (small.uid, acme, "2", "Only 1.00 EUR of this payment is left"),
        (payment.uid, acme, "-1", "nothing to settle"),
        (payment.uid, acme, "0.001", "smallest unit"),
        (paid(month, "5", currency="USD").uid, acme, None, "in USD, the invoice in EUR"),
    ):
        with pytest.raises(Refused, match=sentence):
            allocate(month.tenant, uid, invoice.uid, amount=Decimal(amount) if amount else None, **WHO)
    other = Seller.objects.of(world.tenant).create(legal_name="Harbour IT Ltd", reseller=world.reseller)
    theirs, _ = record_payment(world.tenant, other, entry(), **WHO)
    with pytest.raises(Refused, match="received by another seller"):
        allocate(world.tenant, theirs.uid, acme.uid, **WHO)
    for act in (
        lambda: allocate(world.other, payment.uid, acme.uid, **WHO),
        lambda: record_payment(world.other, month.seller, entry(), **WHO),
        lambda: payment_page(world.other, payment.uid),
    ):
        with pytest.raises(NotFound):
            act()
    allocate(world.tenant, payment.uid, bakery.uid, **WHO)
    with pytest.raises(Refused, match="is settled by payments: take them off"):
        void_and_replace(world.tenant, bakery.uid, reason="wrong", **WHO)
    with pytest.raises(Refused, match="take it off them first"):
        withdraw(world.tenant, payment.uid, reason="typed twice", **WHO)
    with pytest.raises(Refused, match="needs a reason"):
        withdraw(world.tenant, small.uid, reason=" ", **WHO)
    withdraw(world.tenant, small.uid, reason="typed twice", **WHO)
    with pytest.raises(Refused, match="was withdrawn"):
        allocate(world.tenant, small.uid, acme.uid, **WHO)


@pytest.mark.django_db
def test_allocations_are_only_inserted(month: Month, invoices: list[Invoice]) -> None:
    allocate(month.tenant, paid(month).uid, invoices[0].uid, **WHO)
    for statement in ("UPDATE billing_paymentallocation SET amount = 1", "DELETE FROM billing_paymentallocation"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.mark.django_db(transaction=True)
def test_two_people_at_once_settle_an_invoice_once(month: Month, invoices: list[Invoice]) -> None:
    payments, answers = [paid(month), paid(month)], []

    def work(payment: Payment) -> None:
        try:
            allocate(month.tenant, payment.uid, invoices[0].uid, **WHO)
            answers.append("settled")
        except Refused as refusal:
            answers.append(refusal.reason)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=[payment]) for payment in payments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["There is nothing to settle: the payment is used up, or nothing is open.", "settled"]


@pytest.mark.django_db
def test_stripe_is_taken_once(month: Month, invoices: list[Invoice]) -> None:
    for _ in range(2):
        record_stripe_payment(
            invoices[0], external_id="in_1:11.90", amount=Decimal("11.90"), received_on=date(2026, 11, 3), now=LATER
        )
    assert open_of(invoices[0]) == 0
    assert PaymentAllocation.objects.of(month.tenant).count() == 1


@pytest.mark.django_db
def test_a_statement_is_matched_by_number_and_exact_amount_and_the_rest_waits(
    month: Month, invoices: list[Invoice]
) -> None:
    content = camt(
        {"text": "Invoice 2026-00001, thank you"},
        {"text": "2026-00002", "amount": "3.99", "ref": "A2"},
        {"text": "no number", "ref": "A3"},
        {"side": "DBIT", "ref": "A4"},
        {"state": "PDNG", "ref": "A5"},
    )
    done = take(month, content)
    assert done == Imported(new=3, known=0, matched=1, passed_over=2)
    assert (open_of(invoices[0]), open_of(invoices[1])) == (Decimal(0), Decimal("4.00"))
    assert [row.left for row in payment_rows(month.tenant, waiting=True)] == [Decimal("11.90"), Decimal("3.99")]
    assert take(month, content) == Imported(new=0, known=3, matched=0, passed_over=2)
    overlapping = camt({"text": "Invoice 2026-00001, thank you"}, {"text": "later", "ref": "A9"})
    assert take(month, overlapping) == Imported(new=1, known=1, matched=0, passed_over=0)


@pytest.mark.django_db
def test_a_payment_for_several_invoices_of_one_payer_and_equal_entries(month: Month, invoices: list[Invoice]) -> None:
    # two payers in one reference leave a doubt; a longer number is another number; equal entries are two payments
    content = camt(
        {"text": "2026-00001 2026-00002", "amount": "15.90"},
        {"text": "2026-000011", "ref": "B"},
        {"text": "x", "ref": "C"},
        {"text": "x", "ref": "C"},
    )
    assert take(month, content) == Imported(new=4, known=0, matched=0, passed_over=0)
    assert take(month, content).known == 4


@pytest.mark.django_db
def test_a_csv_of_a_bank(month: Month, invoices: list[Invoice]) -> None:
    content = (
        "Buchungstag;Auftraggeber;Verwendungszweck;Betrag;Waehrung\n"
        "03.11.2026;Bäckerei;Rechnung 2026-00002;4,00;EUR\n"
        "03.11.2026;Miete;Miete;-1.200,50;EUR\n"
        "04.11.2026;Jemand;?;1.234,56;EUR\n"
    ).encode("cp1252")
    done = take(month, content, dates="dmy", decimal=",")
    assert done == Imported(new=2, known=0, matched=1, passed_over=1)
    assert open_of(invoices[1]) == 0
    assert take(month, content, dates="dmy", decimal=",").known == 2
    assert {row.amount for row in payment_rows(month.tenant)} == {Decimal("4.00"), Decimal("1234.56")}


BOMB = b'<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><Document>&b;</Document>'
FILE = b'<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><Document>&a;</Document>'


@pytest.mark.parametrize(
    "content, sentence",
    [
        (BOMB, "declares a DTD or entities"),
        (FILE, "declares a DTD or entities"),
        (b"<Document", "no XML that can be read"),
        (b"<Document/>", "no camt.053"),
        (camt({"amount": "1e5"}), "amount '1e5' 'EUR' cannot be read"),
        (camt({"amount": "-1"}), "cannot be read"),
        (camt({"ccy": "eur"}), "cannot be read"),
        (b"", "The file is empty"),
        (b"a,b\n1,2\n", "no column for the date"),
        (b"date,amount,reference\n2026-13-01,1,x\n2026-11-03,one,x\n", "Line 2: .*no day.* Line 3: .*no amount"),
        (b"date,amount,reference\n2026-11-03,NaN,x\n", "no amount"),
        (b"date,amount,reference\n2026-11-03,1,\x00\n", "character that no text has"),
        (b"x" * 10_000_001, "at most 10,000,000"),
    ],
)
def test_hostile_and_broken_files_are_refused(content: bytes, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        read_payments(content, columns=CsvColumns())


def test_a_batch_is_its_parts_only_if_they_add_up() -> None:
    detail = "<TxDtls><Amt Ccy='EUR'>{}</Amt><RmtInf><Ustrd>{}</Ustrd></RmtInf></TxDtls>"
    batch = (
        "<Ntry><Amt Ccy='EUR'>3.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts>"
        "<BookgDt><Dt>2026-11-03</Dt></BookgDt>"
        "<NtryDtls>{}</NtryDtls></Ntry>"
    )
    for second, amounts in (("2.00", [Decimal("1.00"), Decimal("2.00")]), ("1.00", [Decimal("3.00")])):
        details = detail.format("1.00", "one") + detail.format(second, "two")
        read = read_payments(CAMT.format(entries=batch.format(details)).encode(), columns=CsvColumns())
        assert [entry.amount for entry in read.entries] == amounts
