"""Reviews, verdicts and restore tests over the API: what is kept, and who finds nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime

from alerts.models import DailyVerdict, RestoreTest, Review
from tests.api.conftest import Callers
from tests.world import World

SENT = {"tested_by": "Ada", "tested_at": "2026-11-20T09:00:00Z", "what": "The ledger.", "result": "good"}


def test_a_review_is_signed_and_listed(callers: Callers, world: World) -> None:
    answer = callers.owner.post("/reviews", {"nothing_left": False, "note": "Disk ordered."})
    assert answer.status_code == 201
    (item,) = callers.reader.get("/reviews").json()["items"]
    assert item["digest"] == Review.objects.of(world.tenant).get().digest
    assert callers.owner.post("/reviews", {"nothing_left": False}).status_code in (400, 422)
    assert callers.reader.post("/reviews", {"nothing_left": True}).status_code == 403
    assert Review.objects.of(world.tenant).count() == 1


def test_restore_tests_are_recorded_within_reach(callers: Callers, world: World) -> None:
    path = f"/selections/{world.job.selection.uid}/restore-tests"
    assert callers.owner.post(path, SENT).status_code == 201
    assert callers.reader.post(path, SENT).status_code == 403
    assert callers.stranger.post(path, SENT).status_code == 404
    assert RestoreTest.objects.of(world.tenant).count() == 1
    assert [item["result"] for item in callers.reader.get(path).json()["items"]] == ["good"]


def test_verdicts_are_listed_within_reach(callers: Callers, world: World) -> None:
    DailyVerdict.objects.of(world.tenant).create(
        job_id=world.job.pk, night=date(2026, 11, 20), client_id=world.client.pk, server_id=world.server.pk,
        selection_id=world.job.selection_id, verdict="good", written_at=datetime(2026, 11, 21, tzinfo=UTC),
    )  # fmt: skip
    (item,) = callers.reader.get("/verdicts?night=2026-11-20").json()["items"]
    assert (item["verdict"], item["job"]) == ("good", str(world.job.uid))
    assert callers.reader.get("/verdicts?night=2026-11-21").json()["items"] == []
    assert callers.stranger.get("/verdicts").json()["items"] == []
