"""A credit note reaches Stripe once and to the cent, wherever the push is broken off; money goes back once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from integrations.errors import DeliveryFailure, PermanentFailure
from integrations.payments import stripe
from integrations.payments.documents import FinishedCreditNote
from integrations.payments.stripe import Config
from integrations.payments.stripe_credits import push_credit_note
from tests.doubles.stripe_double import API_KEY, StripeDouble
from tests.integrations.payments.test_stripe import BREAKS, CALL, INVOICE, NOTHING

NOTE = FinishedCreditNote(
    credit_id="cn-1",
    number="CN-2026-0007",
    content_hash="feed" * 16,
    invoice_id=INVOICE.invoice_id,
    invoice_number=INVOICE.number,
    currency="EUR",
    issued_on=date(2026, 12, 3),
    total=Decimal("95.00"),
)


@pytest.fixture
def double() -> Iterator[StripeDouble]:
    with StripeDouble() as running:
        yield running


@pytest.fixture
def config(double: StripeDouble) -> Config:
    return Config(api_key=API_KEY, api_base=double.url)


@pytest.fixture
def there(config: Config) -> str:
    """Our invoice of 595.00 EUR, final at Stripe: its id there."""
    return stripe.push_invoice(config, INVOICE, NOTHING, call=CALL).ids.invoice_id or ""


def only_note(double: StripeDouble) -> dict[str, object]:
    (note,) = double.credit_notes.values()
    return note


def test_of_an_open_invoice_less_is_left_to_pay(double: StripeDouble, config: Config, there: str) -> None:
    assert push_credit_note(config, NOTE, there, call=CALL).back_minor == 0
    note = only_note(double)
    assert (note["invoice"], note["total"], note["memo"]) == (there, 9500, "Credit note CN-2026-0007")
    assert double.invoices[there]["amount_remaining"] == 50000


@pytest.mark.parametrize(
    "money_back, name",
    [("refund", "refund_amount"), ("balance", "credit_amount"), ("outside", "out_of_band_amount")],
)
def test_what_was_paid_goes_back_as_the_note_says(
    double: StripeDouble, config: Config, there: str, money_back: str, name: str
) -> None:
    double.pay(there)
    note = replace(NOTE, money_back=money_back)  # type: ignore[arg-type]
    assert push_credit_note(config, note, there, call=CALL).back_minor == 9500
    assert only_note(double)[name] == "9500"


@pytest.mark.parametrize("days_later", [0, 2])
@pytest.mark.parametrize("fault", BREAKS)
def test_a_push_that_is_broken_off_credits_once(
    double: StripeDouble, config: Config, there: str, fault: str, days_later: int
) -> None:
    double.pay(there)
    double.fail(fault, at=r"POST /v1/credit_notes")  # type: ignore[arg-type]
    with pytest.raises(DeliveryFailure):
        push_credit_note(config, NOTE, there, call=CALL)
    double.clock += days_later * 86400
    first = push_credit_note(config, NOTE, there, call=CALL)
    assert push_credit_note(config, NOTE, there, call=CALL) == first
    assert (only_note(double)["total"], only_note(double)["refund_amount"]) == (9500, "9500")


@pytest.mark.parametrize(
    "note, reason",
    [
        (replace(NOTE, total=Decimal(0)), "takes nothing back"),
        (replace(NOTE, currency="USD"), "is in USD"),
        (replace(NOTE, invoice_id="another"), "is not our invoice"),
        (replace(NOTE, total=Decimal("595.01")), "exceeds what is left"),
        (replace(NOTE, total=Decimal("1.001")), "multiple of 0.01"),
    ],
)
def test_what_cannot_be_credited_is_refused(
    double: StripeDouble, config: Config, there: str, note: FinishedCreditNote, reason: str
) -> None:
    double.pay(there)
    with pytest.raises(PermanentFailure, match=reason):
        push_credit_note(config, note, there, call=CALL)
    assert double.credit_notes == {}


def test_a_void_invoice_is_not_credited(double: StripeDouble, config: Config, there: str) -> None:
    stripe.void(config, INVOICE, NOTHING, call=CALL)
    with pytest.raises(PermanentFailure, match="is void in Stripe"):
        push_credit_note(config, NOTE, there, call=CALL)


def test_another_version_and_two_copies_are_told_to_a_person(double: StripeDouble, config: Config, there: str) -> None:
    push_credit_note(config, NOTE, there, call=CALL)
    with pytest.raises(PermanentFailure, match="another version"):
        push_credit_note(config, replace(NOTE, content_hash="beef" * 16), there, call=CALL)
    double.credit_notes["cn_copy"] = only_note(double) | {"id": "cn_copy"}
    with pytest.raises(PermanentFailure, match="more than once"):
        push_credit_note(config, NOTE, there, call=CALL)
