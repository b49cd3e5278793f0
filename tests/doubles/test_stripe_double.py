"""The double must be strict, or tests against it prove nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from stripe import InvalidRequestError, StripeClient, StripeError

from tests.doubles.stripe_double import API_KEY, KEY_LIFETIME_SECONDS, StripeDouble


@pytest.fixture
def double() -> Iterator[StripeDouble]:
    with StripeDouble() as running:
        yield running


@pytest.fixture
def client(double: StripeDouble) -> StripeClient:
    return StripeClient(API_KEY, base_addresses={"api": double.url}, max_network_retries=0)


def test_unknown_parameters_are_refused_at_any_depth(client: StripeClient) -> None:
    customer = client.v1.customers.create({"name": "Acme"})
    invoice = client.v1.invoices.create({"customer": customer.id, "currency": "eur"})
    bad: list[Any] = [{"amout": 5}, {"amount": 5, "period": {"start": 1, "ends": 2}}]
    for line in bad:
        with pytest.raises(InvalidRequestError, match="unknown parameter: lines"):
            client.v1.invoices.add_lines(invoice.id, {"lines": [line]})
    wrong: Any = {"nam": "Acme"}
    with pytest.raises(InvalidRequestError, match="unknown parameter: nam"):
        client.v1.customers.create(wrong)


def test_a_key_is_replayed_for_a_day_and_then_forgotten(double: StripeDouble, client: StripeClient) -> None:
    first = client.v1.customers.create({"name": "Acme"}, {"idempotency_key": "k"})
    assert client.v1.customers.create({"name": "Acme"}, {"idempotency_key": "k"}).id == first.id
    double.clock += KEY_LIFETIME_SECONDS
    assert client.v1.customers.create({"name": "Acme"}, {"idempotency_key": "k"}).id != first.id


def test_a_key_with_other_parameters_is_an_error(client: StripeClient) -> None:
    client.v1.customers.create({"name": "Acme"}, {"idempotency_key": "k"})
    with pytest.raises(StripeError, match="same parameters"):
        client.v1.customers.create({"name": "Other"}, {"idempotency_key": "k"})


def test_even_a_500_is_replayed(double: StripeDouble, client: StripeClient) -> None:
    double.fail("server error", at="POST /v1/customers")
    for _ in range(2):
        with pytest.raises(StripeError, match="went wrong"):
            client.v1.customers.create({"name": "Acme"}, {"idempotency_key": "k"})
    assert double.customers == {}


def test_lists_come_in_pages_newest_first(client: StripeClient) -> None:
    made = [client.v1.customers.create({"name": f"c{n}"}).id for n in range(5)]
    listed = client.v1.customers.list({"limit": 2})
    assert [customer.id for customer in listed.data] == made[:-3:-1]
    assert [customer.id for customer in listed.auto_paging_iter()] == made[::-1]


def test_a_number_is_taken_once(client: StripeClient) -> None:
    customer = client.v1.customers.create({"name": "Acme"})
    client.v1.invoices.create({"customer": customer.id, "currency": "eur", "number": "A-1"})
    with pytest.raises(InvalidRequestError, match="already used"):
        client.v1.invoices.create({"customer": customer.id, "currency": "eur", "number": "A-1"})
