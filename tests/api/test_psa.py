"""Agreement lines by the API: read, chosen, compared, pushed; for own keys with the scope billing only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from tests.api.conftest import Caller, Callers
from tests.api.things import Things
from tests.billing.psa_desks import connected
from tests.world import World


@pytest.fixture
def destination(world: World, settings: Any) -> Iterator[str]:
    settings.BACKLEDGER = replace(settings.BACKLEDGER, allow_private_destinations=True)
    with ExitStack() as stack:
        row, _ = connected(world, "connectwise", stack)
        yield str(row.uid)


def test_lines_are_read_chosen_compared_and_pushed(api: Caller, things: Things, destination: str) -> None:
    client, plan = str(things.own.client.uid), f"plan-{things.own.client.pk}"
    wanted = {"destination": destination, "client": client, "plan": plan, "agreement_id": "501", "line_id": "9001"}
    assert api.put("/psa-lines", wanted).json() == {"changed": True}
    assert api.put("/psa-lines", wanted).json() == {"changed": False}
    lines = api.get(f"/psa-lines?destination={destination}&client={client}").json()["items"]
    assert [(line["name"], line["quantity"], line["plan"]) for line in lines] == [
        ("Backup storage per GB", "200.000000", plan), ("Service desk", "1.000000", ""),
    ]  # fmt: skip
    compared = f"/psa-differences?destination={destination}&month=2026-10"
    assert [row["state"] for row in api.get(compared).json()["items"]] == ["unread"]
    (row,) = api.get(f"{compared}&compare=true").json()["items"]
    assert (row["state"], row["there"], row["quantity"], row["unit"]) == ("change", "200.000000", "400.000000", "GB")
    month = {"destination": destination, "month": "2026-10"}
    assert api.post("/psa-pushes", month | {"rows": []}).json() == {"pushed": 0, "problems": []}
    pushed = api.post("/psa-pushes", month | {"rows": [{"client": client, "plan": plan}]})
    assert (pushed.status_code, pushed.json()) == (201, {"pushed": 1, "problems": []})
    again = api.post("/psa-pushes", month).json()
    assert again["pushed"] == 0
    assert "on its way" in again["problems"][0]
    (push,) = api.get("/psa-pushes?state=waiting").json()["items"]
    assert (push["quantity"], push["day"], push["client"]["name"]) == ("400.000000", "2026-10-01", "Acme Dental")


def test_bad_input_is_refused_with_a_sentence(api: Caller, things: Things, destination: str) -> None:
    client, plan = str(things.own.client.uid), f"plan-{things.own.client.pk}"
    wanted = {"destination": destination, "client": client, "plan": plan, "agreement_id": "501", "line_id": "9001"}
    assert api.put("/psa-lines", wanted | {"plan": "no-such"}).status_code == 422
    assert api.put("/psa-lines", wanted | {"line_id": "4711"}).status_code == 422
    resold = str(things.resold.client.uid)
    answer = api.get(f"/psa-lines?destination={destination}&client={resold}")
    assert answer.status_code == 409
    assert "has no company" in answer.json()["detail"]
    compared = f"/psa-differences?destination={destination}"
    assert api.get(f"{compared}&month=2026-11").status_code == 409
    assert api.get(f"{compared}&month=2026-10&day=2026-09-30").status_code == 409
    assert api.get(f"{compared}&month=October").status_code == 400


def test_others_find_nothing(callers: Callers, things: Things, destination: str) -> None:
    month = {"destination": destination, "month": "2026-10"}
    codes = {
        name: (
            getattr(callers, name).get(f"/psa-differences?destination={destination}&month=2026-10").status_code,
            getattr(callers, name).post("/psa-pushes", month).status_code,
        )
        for name in ("reseller", "stranger", "reader", "nobody")
    }
    assert codes == {"reseller": (404, 404), "stranger": (404, 404), "reader": (403, 403), "nobody": (401, 401)}
    assert callers.stranger.get("/psa-pushes").json()["items"] == []
