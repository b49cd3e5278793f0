"""Mail addresses and mailboxes by the API: what keys may do, what comes out, and what never does."""

from __future__ import annotations

from typing import Any

import pytest

from msp.channels.models import MailAddress, Mailbox
from tests.api.conftest import Caller, Callers
from tests.world import World

GIVEN: dict[str, Any] = {
    "host": "imap.example.com",
    "username": "b@msp.example",
    "password": "s3cret",
    "folder": "Logs",
}


def make(api: Caller, **values: Any) -> Any:
    answer = api.post("/mailboxes", GIVEN | values)
    assert answer.status_code == 201, answer.content
    return answer.json()


def test_an_address_is_made_listed_and_revoked(api: Caller, world: World) -> None:
    path = f"/servers/{world.server.uid}/mail-addresses"
    made = api.post(path).json()
    assert made["address"].endswith("@localhost")
    assert [each["uid"] for each in api.get(path).json()["items"]] == [made["uid"]]
    assert [api.delete(f"{path}/{made['uid']}").status_code for _ in range(2)] == [204, 204]
    assert api.get(path).json()["items"] == []


def test_a_mailbox_is_made_changed_and_removed_without_showing_its_secret(api: Caller, world: World) -> None:
    made = make(api, server=str(world.server.uid), after="seen")
    assert made["server"]["name"] == world.server.name
    path = f"/mailboxes/{made['uid']}"
    answers = [api.get(path), api.get("/mailboxes"), api.patch(path, {"every_minutes": 30, "server": None})]
    assert all("s3cret" not in answer.content.decode() for answer in answers)
    row = Mailbox.objects.of(world.tenant).get()
    assert (row.every_minutes, row.server, row.secrets, row.after) == (30, None, {"password": "s3cret"}, "seen")
    assert api.patch(path, {"state": "paused"}).json()["state"] == "paused"
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"host": "evil.example"}, "password"),
        ({"after": "move"}, "move_to"),
        ({"auth": "oauth2"}, "token_url"),
        ({"every_minutes": 0}, "every_minutes"),
        ({"folder": "a\r\nb"}, "folder"),
        ({"passwort": "x"}, "passwort"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(api: Caller, change: dict[str, Any], field: str) -> None:
    made = make(api)
    refused = api.patch(f"/mailboxes/{made['uid']}", change)
    assert refused.status_code == 422
    assert list(refused.json()["errors"]) == [field]
    assert make_again(api) == made["uid"]


def make_again(api: Caller) -> str:
    """The mailbox that is in the way of the same one again."""
    answer = api.post("/mailboxes", GIVEN)
    assert answer.status_code == 409
    return str(answer.json()["existing"])


def test_trying_a_mailbox_tells_what_is_wrong(api: Caller) -> None:
    made = make(api, host="127.0.0.1", port=1, security="none")
    told = api.post(f"/mailboxes/{made['uid']}/check").json()
    assert told == {"good": False, "problems": ["127.0.0.1 refused the connection."]}


def test_others_find_nothing(callers: Callers, world: World) -> None:
    made = make(callers.owner)
    addresses = f"/servers/{world.server.uid}/mail-addresses"
    address = callers.owner.post(addresses).json()
    for caller in (callers.reseller, callers.stranger):
        assert caller.get("/mailboxes").json()["items"] == []
        assert caller.get(f"/mailboxes/{made['uid']}").status_code == 404
        assert caller.get(addresses).status_code == 404
        assert caller.delete(f"{addresses}/{address['uid']}").status_code in (403, 404)
        assert caller.delete(f"/mailboxes/{made['uid']}").status_code in (403, 404)
    assert callers.reader.post("/mailboxes", GIVEN).status_code == 403
    assert callers.nobody.get("/mailboxes").status_code == 401
    assert Mailbox.objects.of(world.tenant).count() == 1
    assert MailAddress.objects.of(world.tenant).get().revoked_at is None
