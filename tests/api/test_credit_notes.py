"""``/invoices/<uid>/credit-notes`` for every key: what it writes, what it refuses, and whom."""

from __future__ import annotations

from billing.models import Invoice
from tests.api.conftest import Callers
from tests.api.things import Things
from tests.world import World


def test_a_note_is_written_and_listed(things: Things, callers: Callers) -> None:
    path, line = f"/invoices/{things.own.invoice.uid}/credit-notes", str(things.own.line.uid)
    answer = callers.biller.post(path, {"reason": "goodwill", "lines": [{"line": line, "amount": "0.01"}]})
    assert answer.status_code == 201
    assert (answer.json()["kind"], answer.json()["net"]) == ("credit", "-0.0100")
    listed = callers.biller.get(path).json()
    assert [note["number"] for note in listed["items"]] == [answer.json()["number"]]
    assert callers.reseller.get(path).status_code == 404
    too_much = callers.biller.post(path, {"reason": "again", "lines": [{"line": line, "amount": "99999"}]})
    assert (too_much.status_code, "is left of it" in too_much.json()["detail"]) == (409, True)
    assert callers.biller.post(path, {"reason": "", "lines": []}).status_code == 422
    assert callers.biller.post(path, {"reason": "x", "sum": 1}).status_code == 422


def test_others_may_not(things: Things, callers: Callers, world: World) -> None:
    path = f"/invoices/{things.own.invoice.uid}/credit-notes"
    codes = {name: getattr(callers, name).post(path, {"reason": "mine"}).status_code
             for name in ("reader", "server", "nobody", "reseller", "stranger")}  # fmt: skip
    assert codes == {"reader": 403, "server": 403, "nobody": 401, "reseller": 404, "stranger": 404}
    assert not Invoice.objects.of(world.tenant).filter(kind="credit").exists()
