"""One-off charges and credits land exactly once, on the right document, with a working that recomputes."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from billing.charging import OneOffDraft, enter_one_off, withdraw
from billing.finalising import finalise, void_and_replace
from billing.invoicing import draft_run, redraft
from billing.models import Agreement, Invoice, InvoiceRun, Seller
from billing.models_adjusting import OneOff
from billing.params import BadParams
from billing.refusals import NotFound, Refused
from billing.reviewing import compare_with_last_month
from billing.verifying import verify
from tests.billing.months import (
    ACTOR,
    BEGAN,
    GB,
    NOVEMBER,
    OCTOBER,
    Month,
    invoices_of,
    lines_of,
    money,
    nights,
    only_invoice,
)  # fmt: skip
from tests.world import World, make_client, make_world

PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}
LATER = NOVEMBER + timedelta(hours=1)
NOVEMBER_FIRST = date(2026, 11, 1)
DECEMBER = datetime(2026, 12, 2, 8, tzinfo=UTC)


def drafted(month: Month, *, first_day: date = OCTOBER, now: datetime = NOVEMBER) -> InvoiceRun:
    return draft_run(month.tenant, month.seller, first_day=first_day, actor=ACTOR, now=now)


def acme(month: Month, world: World, **payer: Any) -> Agreement:
    """Acme Dental: 100 GB in October and November at 0.10 = 10.00 a month."""
    subscription = month.on_plan(world.client, month.plan(**PER_GB), **payer)
    month.measure(world.job, nights(OCTOBER, date(2026, 11, 30), 100 * GB))
    return subscription.agreement


def enter(month: Month, agreement: Agreement, /, *, now: datetime = BEGAN, **values: Any) -> OneOff:
    client = values.pop("client", None)
    terms: dict[str, Any] = {"kind": "charge", "description": "Restore on site", "amount": money("120.00"), **values}
    return enter_one_off(month.tenant, agreement, draft=OneOffDraft(**terms), actor=ACTOR, now=now, client=client)


def shown(invoice: Invoice) -> list[tuple[str, str, Decimal]]:
    return [(line.kind, line.description, line.amount) for line in lines_of(invoice)]


@pytest.mark.django_db
def test_a_charge_and_a_credit_stand_after_the_lines_of_their_client(month: Month, world: World) -> None:
    agreement = acme(month, world, tax_rate=Decimal("0.19"))
    enter(
        month,
        agreement,
        client=world.client,
        amount=None,
        quantity=money("2.5"),
        unit_price=money("80.25"),
        unit="hour",
    )
    enter(month, agreement, kind="credit", description="Late restore", amount=money("15"), tax_rate=Decimal(0))
    final = finalise(month.tenant, only_invoice(drafted(month)).uid, actor=ACTOR, now=NOVEMBER)
    usage, charge, credit = lines_of(final)
    # 2.5 x 80.25 = 200.625, half up 200.63
    assert (charge.kind, charge.quantity, charge.unit, charge.amount) == (
        "charge", Decimal("2.5"), "hour", money("200.63"),
    )  # fmt: skip
    assert (credit.kind, credit.amount, credit.quantity) == ("credit", money("-15.00"), Decimal(-1))
    assert usage.amount == money("10.00")
    assert (credit.tax_category, credit.tax_rate, charge.tax_rate) == ("Z", Decimal(0), Decimal("0.19"))
    # net 10.00 + 200.63 - 15.00; tax 19 % of 210.63 = 40.0197, 0 % of -15.00
    assert (final.net, final.tax, final.total) == (money("195.63"), money("40.02"), money("235.65"))
    assert verify(month.tenant, final.uid).differences == ()
    assert OneOff.objects.of(month.tenant).filter(invoice=final).count() == 2


@pytest.mark.django_db
def test_drafting_twice_doubles_nothing_and_the_next_month_has_it_no_more(month: Month, world: World) -> None:
    enter(month, acme(month, world))
    run = drafted(month)
    assert [line[0] for line in shown(only_invoice(run))] == ["usage", "charge"]
    with CaptureQueriesContext(connection) as queries:
        redraft(month.tenant, run, now=LATER)
    verbs = ("INSERT", "UPDATE", "DELETE")
    assert [query["sql"] for query in queries.captured_queries if query["sql"].startswith(verbs)] == []
    november = drafted(month, first_day=NOVEMBER_FIRST, now=DECEMBER)
    assert [line[0] for line in shown(only_invoice(november))] == ["usage"]
    redraft(month.tenant, run, now=DECEMBER)
    assert [line[0] for line in shown(only_invoice(run))] == ["usage", "charge"]


@pytest.mark.django_db
def test_it_waits_for_its_month_and_lands_on_a_later_one_if_that_is_the_first(month: Month, world: World) -> None:
    enter(month, acme(month, world), month=NOVEMBER_FIRST)
    assert [line[0] for line in shown(only_invoice(drafted(month)))] == ["usage"]
    november = drafted(month, first_day=NOVEMBER_FIRST, now=DECEMBER)
    assert [line[0] for line in shown(only_invoice(november))] == ["usage", "charge"]


@pytest.mark.django_db
def test_a_payer_without_a_subscription_gets_a_document_for_it(month: Month, world: World) -> None:
    agreement = month.agreement(month.bill_to("Cove Clinic"))
    charge = enter(month, agreement)
    run = drafted(month)
    invoice = only_invoice(run)
    assert (invoice.net, shown(invoice)) == (money("120.00"), [("charge", "Restore on site", money("120.00"))])
    redraft(month.tenant, run, now=LATER)
    assert only_invoice(run).pk == invoice.pk
    withdraw(month.tenant, charge.uid, actor=ACTOR, reason="Not done", now=LATER)
    redraft(month.tenant, run, now=LATER + timedelta(minutes=1))
    assert invoices_of(run) == []


@pytest.mark.django_db
def test_a_voided_document_lets_it_go_and_its_replacement_takes_it(month: Month, world: World) -> None:
    charge = enter(month, acme(month, world))
    final = finalise(month.tenant, only_invoice(drafted(month)).uid, actor=ACTOR, now=NOVEMBER)
    with pytest.raises(Refused, match="2026-00001, which is final"):
        withdraw(month.tenant, charge.uid, actor=ACTOR, reason="Mistake", now=LATER)
    replacement = void_and_replace(month.tenant, final.uid, actor=ACTOR, reason="Wrong address", now=LATER)
    assert replacement is not None
    charge.refresh_from_db()
    assert charge.invoice_id == replacement.pk
    assert [line[0] for line in shown(replacement)] == ["usage", "charge"]
    again = finalise(month.tenant, replacement.uid, actor=ACTOR, now=LATER)
    assert again.net == money("130.00")
    for document in (final, again):
        assert verify(month.tenant, document.uid).differences == ()


@pytest.mark.django_db
def test_a_final_document_takes_no_charge_entered_later(month: Month, world: World) -> None:
    agreement = acme(month, world)
    run = drafted(month)
    final = finalise(month.tenant, only_invoice(run).uid, actor=ACTOR, now=NOVEMBER)
    charge = enter(month, agreement, now=LATER)
    redraft(month.tenant, run, now=LATER + timedelta(minutes=1))
    charge.refresh_from_db()
    assert charge.invoice_id is None
    assert [line[0] for line in shown(final)] == ["usage"]


@pytest.mark.django_db
def test_a_draft_that_misses_a_charge_is_out_of_date(month: Month, world: World) -> None:
    agreement = acme(month, world)
    run = drafted(month)
    enter(month, agreement, now=LATER)
    with pytest.raises(Refused, match="out of date"):
        finalise(month.tenant, only_invoice(run).uid, actor=ACTOR, now=LATER)


@pytest.mark.django_db
def test_a_document_below_zero_is_held(month: Month, world: World) -> None:
    enter(month, acme(month, world), kind="credit", amount=money("12.50"))
    invoice = only_invoice(drafted(month))
    assert invoice.net == money("-2.50")
    (sentence,) = invoice.held
    assert sentence.startswith("It would come to -2.50 EUR: credits and corrections are more than what is charged.")
    with pytest.raises(Refused, match="held"):
        finalise(month.tenant, invoice.uid, actor=ACTOR, now=NOVEMBER)


@pytest.mark.django_db
def test_the_review_says_that_it_is_charged_once(month: Month, world: World) -> None:
    enter(month, acme(month, world))
    drafted(month)
    november = drafted(month, first_day=NOVEMBER_FIRST, now=DECEMBER)
    (gone, same) = compare_with_last_month(month.tenant, november)
    assert (gone.who, gone.reason, gone.before, gone.now) == ("Restore on site", "once", money("120.00"), None)
    assert same.reason == "same"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "field", "sentence"),
    [
        ({"amount": money("1.005")}, "amount", "1.005 is finer than EUR, which has 2 decimals"),
        ({"amount": money("0")}, "amount", "more than 0"),
        ({"amount": money("-5")}, "amount", "enter a credit"),
        ({"amount": money("1e14")}, "amount", "at most 12 digits"),
        ({"amount": None}, "amount", "either an amount, or a quantity"),
        ({"quantity": money("2")}, "quantity", "not with an amount"),
        ({"amount": None, "unit_price": money("2")}, "quantity", "say how many"),
        ({"amount": None, "unit_price": money("0.00001"), "quantity": money("1")}, "unit_price", "4 after"),
        ({"amount": None, "unit_price": money("0.0001"), "quantity": money("1")}, "unit_price", "nothing to charge"),
        ({"currency": "USD"}, "currency", "pays in EUR, not in USD"),
        ({"tax_rate": money("1")}, "tax_rate", "less than 100 %"),
        ({"month": date(2025, 12, 1)}, "month", "before Northwind MSP began here, in January 2026"),
        ({"month": date(2026, 10, 2)}, "month", "first day"),
        ({"description": "  "}, "description", "the payer reads it"),
        ({"kind": "refund"}, "kind", "charge, credit"),
    ],
)  # fmt: skip
def test_what_cannot_be_charged_is_refused(month: Month, values: dict[str, Any], field: str, sentence: str) -> None:
    agreement = month.agreement(month.bill_to("Cove Clinic"))
    with pytest.raises(BadParams) as refusal:
        enter(month, agreement, **values)
    assert (refusal.value.field, sentence in refusal.value.reason) == (field, True)
    assert not OneOff.objects.of(month.tenant).exists()


@pytest.mark.django_db
def test_a_currency_without_decimals_takes_none(month: Month) -> None:
    agreement = month.agreement(month.bill_to("Kyoto KK", currency="JPY"))
    with pytest.raises(BadParams, match="finer than JPY, which has 0 decimals"):
        enter(month, agreement, amount=money("1200.5"))
    enter(month, agreement, amount=money("1200"))
    assert only_invoice(drafted(month)).net == Decimal(1200)


@pytest.mark.django_db
def test_what_belongs_to_another_tenant_is_not_there(month: Month, world: World) -> None:
    charge = enter(month, month.agreement(month.bill_to("Cove Clinic")))
    with pytest.raises(NotFound):
        withdraw(world.other, charge.uid, actor=ACTOR, reason="Mine", now=LATER)
    with pytest.raises(NotFound):
        enter(month, charge.agreement, client=make_client(world.other, "Elsewhere GmbH"))


@pytest.mark.django_db(transaction=True)
def test_two_runs_at_once_do_not_both_take_it() -> None:
    world = make_world()
    seller = Seller.objects.of(world.tenant).create(legal_name="Northwind MSP GmbH")
    month = Month(tenant=world.tenant, seller=seller)
    enter(month, acme(month, world))
    together = threading.Barrier(2)

    def draft(first_day: date) -> None:
        try:
            together.wait()
            drafted(month, first_day=first_day, now=DECEMBER)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=draft, args=(day,)) for day in (OCTOBER, NOVEMBER_FIRST)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(lines_of(invoice)) for invoice in Invoice.objects.of(world.tenant)) == [1, 2]
