"""``/usage-files`` for every key: what it would do, what it does, and whom it refuses."""

from __future__ import annotations

from billing.models import UsageEntry, UsageImport
from tests.api.conftest import Callers
from tests.world import World

CSV = b"client;selection;day;metric;bytes\nAcme Dental;backup01: files;2026-10-31;protected;500\n"


def test_nothing_is_written_without_apply_and_the_same_file_writes_once(world: World, callers: Callers) -> None:
    answer = callers.biller.send("POST", "/usage-files", body=CSV)
    assert (answer.status_code, answer.json()["applied"], answer.json()["written"]) == (200, False, 1)
    (difference,) = answer.json()["differences"]
    assert (difference["client"], difference["quantity"], difference["change"]) == ("Acme Dental", 500, "new")
    assert not UsageEntry.objects.of(world.tenant).exists()
    assert not UsageImport.objects.of(world.tenant).exists()
    assert callers.biller.send("POST", "/usage-files?apply=true", body=CSV).json()["written"] == 1
    assert callers.biller.send("POST", "/usage-files?apply=true", body=CSV).json()["written"] == 0
    assert [entry.quantity for entry in UsageEntry.objects.of(world.tenant)] == [500]


def test_a_bad_line_refuses_the_file(world: World, callers: Callers) -> None:
    for path in ("/usage-files", "/usage-files?apply=true"):
        answer = callers.biller.send("POST", path, body=CSV + b"Nobody;x;2026-10-31;protected;1\n")
        assert answer.status_code == 422
        assert answer.json()["errors"]["file"] == [
            "Line 3: There is no client 'Nobody': write its name or code exactly."
        ]
    assert callers.biller.send("POST", "/usage-files", body=b"\x00").status_code == 422
    assert callers.biller.send("POST", "/usage-files", body=b"x" * 10_000_001).status_code == 413
    assert not UsageEntry.objects.of(world.tenant).exists()


def test_others_may_not(callers: Callers, world: World) -> None:
    codes = {name: getattr(callers, name).send("POST", "/usage-files?apply=true", body=CSV).status_code
             for name in ("reader", "server", "nobody", "reseller", "stranger")}  # fmt: skip
    assert codes == {"reader": 403, "server": 403, "nobody": 401, "reseller": 404, "stranger": 422}
    assert not UsageEntry.objects.of(world.tenant).exists()
