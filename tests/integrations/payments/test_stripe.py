"""A final invoice reaches Stripe once and to the cent, wherever the push is broken off."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from integrations.configuration import BadConfig, config_from_json
from integrations.errors import DeliveryFailure, OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.payments import stripe, stripe_events
from integrations.payments.documents import FinishedInvoice, FinishedLine, PayingParty, PostalAddress
from integrations.payments.stripe import Call, Config, StripeIds
from tests.doubles.stripe_double import API_KEY, Fault, StripeDouble, parse_form

NOW = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
CALL = Call(NOW, 20.0, allow_private=True)
NOTHING = StripeIds()
WEBHOOK_SECRET = "whsec_s3cret_of_callbacks"


@pytest.fixture
def double() -> Iterator[StripeDouble]:
    with StripeDouble() as running:
        yield running


@pytest.fixture
def config(double: StripeDouble) -> Config:
    return Config(api_key=API_KEY, webhook_secret=WEBHOOK_SECRET, api_base=double.url)


def an_invoice(
    *amounts: str, currency: str = "EUR", total: str | None = None, name: str = "Acme Dental"
) -> FinishedInvoice:
    lines = tuple(
        FinishedLine(f"line-{n}", f"Protected size, {n}", Decimal(amount), date(2026, 11, 1), date(2026, 11, 30))
        for n, amount in enumerate(amounts)
    )
    return FinishedInvoice(
        invoice_id="0b6a2f9e-1111-4222-8333-444455556666",
        number="INV-2026-0042",
        content_hash="c0ffee" * 10,
        currency=currency,
        issued_on=date(2026, 12, 1),
        due_on=date(2026, 12, 15),
        paying=PayingParty("bt-7", name, "pay@acme.example", PostalAddress("1 High St", "", "N1", "London", "", "GB")),
        lines=lines,
        total=Decimal(total) if total else sum((line.amount for line in lines), Decimal(0)),
        order_number="PO 9",
    )


INVOICE = an_invoice("512.25", "-12.25", "95.00")


def lines_added(double: StripeDouble) -> list[int]:
    """How many lines each request brought."""
    added = [request for request in double.writes() if request.target.endswith("/add_lines")]
    return [len(parse_form(request.body.decode())["lines"]) for request in added]


def only_invoice(double: StripeDouble) -> dict[str, object]:
    (invoice,) = double.invoices.values()
    return invoice


def test_an_invoice_arrives_finalised_with_our_number_amounts_and_days(double: StripeDouble, config: Config) -> None:
    pushed = stripe.push_invoice(config, INVOICE, NOTHING, call=CALL)
    invoice = only_invoice(double)
    assert (pushed.status, invoice["number"], invoice["total"]) == ("open", "INV-2026-0042", 59500)
    assert invoice["collection_method"] == "send_invoice"
    assert datetime.fromtimestamp(int(str(invoice["due_date"])), UTC).date() == INVOICE.due_on
    assert datetime.fromtimestamp(int(str(invoice["effective_at"])), UTC).date() == INVOICE.issued_on
    lines = double.lines[str(invoice["id"])]
    assert [(line["amount"], line["metadata"]["backledger_line"]) for line in lines] == [
        (51225, "line-0"), (-1225, "line-1"), (9500, "line-2"),
    ]  # fmt: skip
    (customer,) = double.customers.values()
    assert (customer["name"], customer["address"]["city"]) == ("Acme Dental", "London")
    assert pushed.page_url


def test_a_draft_never_advances_by_itself_and_takes_no_pending_items(double: StripeDouble, config: Config) -> None:
    stripe.push_invoice(config, INVOICE, NOTHING, call=CALL)
    created = next(request for request in double.writes() if request.target == "/v1/invoices")
    assert b"auto_advance=false" in created.body
    assert b"pending_invoice_items_behavior=exclude" in created.body
    assert created.headers["idempotency-key"] == f"inv:{INVOICE.invoice_id}:{INVOICE.content_hash[:32]}"
    assert created.headers["stripe-version"] == stripe.API_VERSION


def test_a_second_push_writes_nothing(double: StripeDouble, config: Config) -> None:
    first = stripe.push_invoice(config, INVOICE, NOTHING, call=CALL)
    written = len(double.writes())
    assert stripe.push_invoice(config, INVOICE, NOTHING, call=CALL) == first
    assert stripe.push_invoice(config, INVOICE, first.ids, call=CALL) == first
    assert len(double.writes()) == written


STEPS = (r"POST /v1/customers", r"POST /v1/invoices", r"POST .*/add_lines", r"POST .*/finalize")
BREAKS: tuple[Fault, ...] = (
    "answer lost after commit", "rate limit", "server error", "server error after commit", "in use",
)  # fmt: skip


@pytest.mark.parametrize("days_later", [0, 2])
@pytest.mark.parametrize("fault", BREAKS)
@pytest.mark.parametrize("step", STEPS)
def test_a_push_broken_at_any_step_is_completed_by_the_next(
    double: StripeDouble, config: Config, step: str, fault: Fault, days_later: int
) -> None:
    big = an_invoice(*["1.01"] * 130)
    double.fail(fault, at=step)
    with pytest.raises(OutcomeUnknown if "server" in fault or "lost" in fault else TemporaryFailure):
        stripe.push_invoice(config, big, NOTHING, call=CALL)
    double.clock += days_later * 86400
    pushed = stripe.push_invoice(config, big, NOTHING, call=CALL)
    invoice = only_invoice(double)
    assert (pushed.status, invoice["total"], len(double.customers)) == ("open", 13130, 1)
    assert len(double.lines[pushed.ids.invoice_id or ""]) == 130


def test_lines_go_in_batches_and_only_a_lost_line_is_added_again(double: StripeDouble, config: Config) -> None:
    big = an_invoice(*["2.00"] * 210)
    double.fail("lines lost", at=r"POST .*/add_lines")
    with pytest.raises(PermanentFailure, match="41800 EUR"):
        stripe.push_invoice(config, big, NOTHING, call=CALL)
    assert only_invoice(double)["status"] == "draft"
    assert lines_added(double) == [100, 100, 10]
    stripe.push_invoice(config, big, NOTHING, call=CALL)
    assert only_invoice(double)["total"] == 42000
    assert lines_added(double)[3:] == [1]


def test_a_difference_of_one_cent_is_never_finalised(double: StripeDouble, config: Config) -> None:
    double.fail("total off by a cent", at=r"POST .*/add_lines")
    with pytest.raises(PermanentFailure) as caught:
        stripe.push_invoice(config, INVOICE, NOTHING, call=CALL)
    assert "59500 EUR" in caught.value.reason
    assert "59501 EUR" in caught.value.reason
    assert only_invoice(double)["status"] == "draft"
    assert not [request for request in double.log if request.target.endswith("/finalize")]


@pytest.mark.parametrize(
    "currency, amount, minor",
    [("JPY", "1200", 1200), ("KWD", "5.120", 5120), ("EUR", "0.01", 1), ("ISK", "40.00", 4000), ("usd", "10", 1000)],
)
def test_amounts_are_sent_in_the_currencys_own_unit(
    double: StripeDouble, config: Config, currency: str, amount: str, minor: int
) -> None:
    stripe.push_invoice(config, an_invoice(amount, currency=currency), NOTHING, call=CALL)
    assert only_invoice(double)["total"] == minor


@pytest.mark.parametrize(
    "document, reason",
    [
        (an_invoice("5.124", currency="KWD"), "multiple of 0.010"),
        (an_invoice("40.10", currency="ISK"), "multiple of 1.00"),
        (an_invoice("12.5", currency="JPY"), "multiple of 1"),
        (an_invoice("0.001"), "multiple of 0.01"),
        (an_invoice("5", currency="UGX"), "UGX"),
        (an_invoice("1.00", total="1.01"), "do not add up"),
        (an_invoice("-1.00"), "credit note"),
        (an_invoice(*["1"] * 251), "250 lines"),
        (replace(INVOICE, lines=(*INVOICE.lines, replace(INVOICE.lines[0], amount=Decimal(0)))), "the same id"),
    ],
)
def test_what_stripe_cannot_hold_is_refused_before_anything_is_sent(
    double: StripeDouble, config: Config, document: FinishedInvoice, reason: str
) -> None:
    with pytest.raises(PermanentFailure, match=reason):
        stripe.push_invoice(config, document, NOTHING, call=CALL)
    assert double.log == []


def test_another_version_of_the_same_invoice_is_refused(double: StripeDouble, config: Config) -> None:
    stripe.push_invoice(config, INVOICE, NOTHING, call=CALL)
    with pytest.raises(PermanentFailure, match="another version"):
        stripe.push_invoice(config, replace(INVOICE, content_hash="beef" * 16), NOTHING, call=CALL)
    assert len(double.invoices) == 1


def test_a_draft_with_a_line_of_somebody_else_is_refused(double: StripeDouble, config: Config) -> None:
    double.fail("rate limit", at=r"POST .*/finalize")
    with pytest.raises(TemporaryFailure):
        stripe.push_invoice(config, INVOICE, NOTHING, call=CALL)
    (lines,) = double.lines.values()
    lines.append(lines[0] | {"id": "il_foreign", "metadata": {}})
    with pytest.raises(PermanentFailure, match="not in invoice INV-2026-0042"):
        stripe.push_invoice(config, INVOICE, NOTHING, call=CALL)


def test_two_copies_are_told_to_a_person_not_guessed_between(double: StripeDouble, config: Config) -> None:
    stripe.push_invoice(config, INVOICE, NOTHING, call=CALL)
    copy = dict(only_invoice(double)) | {"id": "in_copy"}
    double.invoices["in_copy"], double.lines["in_copy"] = copy, []
    with pytest.raises(PermanentFailure, match="more than once"):
        stripe.push_invoice(config, INVOICE, NOTHING, call=CALL)


def test_our_customer_is_found_behind_many_others_and_brought_up_to_date(double: StripeDouble, config: Config) -> None:
    stripe.push_invoice(config, INVOICE, NOTHING, call=CALL)
    (ours,) = double.customers
    for n in range(230):
        double.customers[f"cus_x{n}"] = double.customers[ours] | {"id": f"cus_x{n}", "metadata": {}}
    renamed = an_invoice("1.00", name="Acme Dental Group")
    later = replace(renamed, invoice_id="next", number="INV-2026-0043", content_hash="d" * 64)
    assert stripe.push_invoice(config, later, NOTHING, call=CALL).ids.customer_id == ours
    assert double.customers[ours]["name"] == "Acme Dental Group"
    assert len(double.customers) == 231


def test_known_objects_that_are_gone_are_looked_up_again(double: StripeDouble, config: Config) -> None:
    pushed = stripe.push_invoice(config, INVOICE, StripeIds("cus_gone", "in_gone"), call=CALL)
    assert pushed.ids.customer_id in double.customers
    assert len(double.invoices) == 1


def test_an_invoice_that_was_voided_there_is_not_made_again(double: StripeDouble, config: Config) -> None:
    stripe.push_invoice(config, INVOICE, NOTHING, call=CALL)
    stripe.void(config, INVOICE, NOTHING, call=CALL)
    with pytest.raises(PermanentFailure, match="was voided"):
        stripe.push_invoice(config, INVOICE, NOTHING, call=CALL)
    assert len(double.invoices) == 1


def test_voiding_can_be_repeated_and_takes_what_it_finds(double: StripeDouble, config: Config) -> None:
    stripe.void(config, INVOICE, NOTHING, call=CALL)  # never pushed: nothing to do
    double.fail("rate limit", at=r"POST .*/finalize")
    with pytest.raises(TemporaryFailure):
        stripe.push_invoice(config, INVOICE, NOTHING, call=CALL)
    stripe.void(config, INVOICE, NOTHING, call=CALL)
    assert double.invoices == {}
    double.clock += 2 * 86400  # the creation's key is forgotten: it would answer with the deleted draft
    stripe.push_invoice(config, INVOICE, NOTHING, call=CALL)
    stripe.void(config, INVOICE, NOTHING, call=CALL)
    stripe.void(config, INVOICE, NOTHING, call=CALL)
    assert only_invoice(double)["status"] == "void"


def test_a_paid_invoice_is_reported_as_paid_and_cannot_be_voided(double: StripeDouble, config: Config) -> None:
    ids = stripe.push_invoice(config, INVOICE, NOTHING, call=CALL).ids
    double.pay(ids.invoice_id or "")
    assert stripe.push_invoice(config, INVOICE, ids, call=CALL).status == "paid"
    with pytest.raises(PermanentFailure, match="credit note"):
        stripe.void(config, INVOICE, ids, call=CALL)


def test_a_wrong_key_is_permanent_and_not_shown(double: StripeDouble) -> None:
    config = Config(api_key="sk_test_wr0ng_key", api_base=double.url)
    with pytest.raises(PermanentFailure) as caught:
        stripe.push_invoice(config, INVOICE, NOTHING, call=CALL)
    assert "wr0ng" not in caught.value.reason
    assert "Invalid API Key" in caught.value.reason


def test_a_rate_limit_and_a_refused_connection_are_temporary(double: StripeDouble, config: Config) -> None:
    double.fail("rate limit", at=r"GET /v1/customers")
    with pytest.raises(TemporaryFailure):
        stripe.push_invoice(config, INVOICE, NOTHING, call=CALL)
    with pytest.raises(TemporaryFailure):
        stripe.push_invoice(replace(config, api_base="http://127.0.0.1:1"), INVOICE, NOTHING, call=CALL)


def test_the_own_network_is_out_of_reach_without_leave(double: StripeDouble, config: Config) -> None:
    with pytest.raises(PermanentFailure, match="must not be called"):
        stripe.push_invoice(config, INVOICE, NOTHING, call=replace(CALL, allow_private=False))
    assert double.log == []


def test_a_connected_account_is_named_in_every_request(double: StripeDouble, config: Config) -> None:
    stripe.push_invoice(replace(config, account="acct_reseller"), INVOICE, NOTHING, call=CALL)
    assert {request.headers.get("stripe-account") for request in double.log} == {"acct_reseller"}


def test_charging_needs_no_due_date(double: StripeDouble, config: Config) -> None:
    stripe.push_invoice(replace(config, collection="charge_automatically"), INVOICE, NOTHING, call=CALL)
    assert only_invoice(double)["collection_method"] == "charge_automatically"
    assert only_invoice(double)["auto_advance"] is True


@pytest.mark.parametrize("field, value", [("api_key", "pk_test_1"), ("webhook_secret", "abc"), ("account", "reseller")])
def test_a_bad_configuration_is_refused_with_a_sentence(field: str, value: str) -> None:
    with pytest.raises(BadConfig, match=r"must begin with .*\.") as caught:
        config_from_json(Config, {"api_key": API_KEY, field: value})
    assert caught.value.field == field


def signed(body: bytes, at: datetime, secret: str = WEBHOOK_SECRET) -> dict[str, str]:
    stamp = int(at.timestamp())
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={stamp},v1={mac}"}


EVENT = json.dumps(
    {"id": "evt_1", "type": "invoice.paid", "livemode": False, "data": {"object": {"id": "in_1", "object": "invoice"}}}
).encode()


def test_a_signed_callback_is_read(config: Config) -> None:
    event = stripe_events.verify_webhook(config, signed(EVENT, NOW), EVENT, now=NOW)
    assert (event.event_id, event.kind, event.object_id, event.livemode) == ("evt_1", "invoice.paid", "in_1", False)


@pytest.mark.parametrize(
    "headers, body, late",
    [
        (signed(EVENT, NOW, "whsec_other"), EVENT, 0),
        (signed(EVENT, NOW), EVENT + b" ", 0),
        ({}, EVENT, 0),
        ({"Stripe-Signature": "nonsense"}, EVENT, 0),
        (signed(EVENT, NOW), EVENT, 301),
        (signed(b"[]", NOW), b"[]", 0),
        (signed(b"\xff", NOW), b"\xff", 0),
    ],
)
def test_any_other_callback_is_refused(config: Config, headers: dict[str, str], body: bytes, late: int) -> None:
    with pytest.raises(PermanentFailure):
        stripe_events.verify_webhook(config, headers, body, now=NOW + timedelta(seconds=late))


def test_no_callback_is_believed_without_a_secret(double: StripeDouble) -> None:
    with pytest.raises(PermanentFailure):
        stripe_events.verify_webhook(Config(api_key=API_KEY), signed(EVENT, NOW, " "), EVENT, now=NOW)


def test_no_failure_shows_the_key(double: StripeDouble, config: Config) -> None:
    for fault in BREAKS:
        double.fail(fault, at=r"GET /v1/customers")
        with pytest.raises(DeliveryFailure) as caught:
            stripe.push_invoice(config, INVOICE, NOTHING, call=CALL)
        assert API_KEY not in caught.value.reason
    assert API_KEY not in repr(config)
