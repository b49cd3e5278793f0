"""Charges and discounts by the API: entered, listed, withdrawn, ended; refused at their field; for own keys only."""

from __future__ import annotations

from typing import Any

import pytest

from billing.models import Agreement
from tests.api.conftest import Caller, Callers
from tests.api.things import Things
from tests.world import World


@pytest.fixture
def agreement(things: Things, world: World) -> str:
    return str(Agreement.objects.of(world.tenant).earliest("pk").uid)


def charge(agreement: str, /, **changes: Any) -> dict[str, Any]:
    return {"agreement": agreement, "description": "Restore on site", "amount": "120.00"} | changes


def discount(agreement: str, /, **changes: Any) -> dict[str, Any]:
    return {"agreement": agreement, "name": "Loyalty", "percent": "10", "starts_on": "2026-11-01"} | changes


def test_a_charge_is_entered_listed_and_withdrawn(world: World, api: Caller, agreement: str) -> None:
    made = api.post("/charges", charge(agreement, amount=None, quantity="2.5", unit="hour", unit_price="80.25"))
    assert made.status_code == 201
    entered = made.json()
    # 2.5 x 80.25 = 200.625
    assert (entered["amount"], entered["state"], entered["currency"]) == ("200.6300", "waiting", "EUR")
    credit = api.post("/charges", charge(agreement, kind="credit", client=str(world.client.uid))).json()
    assert (credit["amount"], credit["client"]) == ("-120.0000", str(world.client.uid))
    assert api.get("/charges").json()["items"] == [entered, credit]
    assert api.get("/charges?kind=credit").json()["items"] == [credit]
    gone = api.post(f"/charges/{entered['uid']}/withdraw", {"reason": "Twice."}).json()
    assert gone == api.get(f"/charges/{entered['uid']}").json()
    assert gone["state"] == "withdrawn"
    assert api.post(f"/charges/{entered['uid']}/withdraw", {"reason": "Twice."}).status_code == 409


def test_a_discount_is_given_listed_and_ended(api: Caller, agreement: str) -> None:
    given = api.post("/discounts", discount(agreement)).json()
    assert (given["percent"], given["position"], given["ends_on"]) == ("10.0000", 1, None)
    assert api.get(f"/discounts?agreement={agreement}").json()["items"] == [given]
    ended = api.post(f"/discounts/{given['uid']}/end", {"on": "2026-12-01"}).json()
    assert ended == api.get(f"/discounts/{given['uid']}").json()
    assert ended["ends_on"] == "2026-12-01"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": "1.005"}, "amount"),
        ({"currency": "USD"}, "currency"),
        ({"month": "2020-01"}, "month"),
        ({"client": "8a1f2c0e-6f0c-4f5e-9b1e-1c1d5a7f0b21"}, "client"),
        ({"agreement": "8a1f2c0e-6f0c-4f5e-9b1e-1c1d5a7f0b21"}, "agreement"),
        ({"quantity": "2"}, "quantity"),
    ],
)
def test_a_charge_that_cannot_be_is_refused(api: Caller, agreement: str, changes: dict[str, Any], field: str) -> None:
    answer = api.post("/charges", charge(agreement, **changes))
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [field]
    assert api.get("/charges").json()["items"] == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"percent": "101"}, "percent"), ({"starts_on": "2020-01-01"}, "starts_on"), ({"amount": "5"}, "percent")],
)
def test_a_discount_that_cannot_be_is_refused(api: Caller, agreement: str, changes: dict[str, Any], field: str) -> None:
    answer = api.post("/discounts", discount(agreement, **changes))
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [field]


def test_only_the_tenants_own_keys_with_scope_billing_come_in(callers: Callers, agreement: str) -> None:
    uid = callers.owner.post("/charges", charge(agreement)).json()["uid"]
    given = callers.owner.post("/discounts", discount(agreement)).json()["uid"]
    for path, body in (("/charges", charge(agreement)), ("/discounts", discount(agreement))):
        assert callers.reseller.get(path).status_code == 404
        assert callers.reseller.post(path, body).status_code == 404
        assert callers.reader.get(path).status_code == 403
        assert callers.reader.post(path, body).status_code == 403
        assert callers.stranger.get(path).json()["items"] == []
        assert callers.stranger.post(path, body).status_code == 422
    assert callers.stranger.get(f"/charges/{uid}").status_code == 404
    assert callers.stranger.post(f"/charges/{uid}/withdraw", {"reason": "Mine."}).status_code == 404
    assert callers.stranger.post(f"/discounts/{given}/end", {"on": "2026-12-01"}).status_code == 404
