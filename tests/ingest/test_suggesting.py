"""What is suggested for a log in the inbox, how sure, and what accepting it does; two tenants, ten thousand jobs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from msp.backups.models import BackupJob, JobRun, JobState
from msp.estate.models import BackupServer, Client, Machine, MachineIdentity, Selection
from msp.ingest.assigning_many import accept_suggestions, assign_each_to_new_job
from msp.ingest.inbox import CannotSettle, NotFound, assign_items
from msp.ingest.models import Assignment, InboxItem
from msp.ingest.suggesting import Suggestion, suggest
from msp.tenants.models import AuditEntry
from tests.ingest.test_assigning import NOW, log, post, process
from tests.ingest.test_ruling import PERSON
from tests.world import START, World, make_job, make_server

DONE = {"host": "files01", "roots": ["/srv"], "protected_bytes": 1000, "ended_at": "2026-11-20T05:00:00Z"}


@pytest.fixture
def holding(world: World) -> BackupServer:
    return make_server(world.tenant, "holding")[0]


def suggested(world: World, **values: Any) -> tuple[Suggestion, ...]:
    item = InboxItem.objects.of(world.tenant).get(state="open", **values)
    return suggest(world.tenant.pk, [item])[item.pk]


def test_a_move_is_sure_when_name_and_host_agree_and_keeps_the_history(world: World, holding: BackupServer) -> None:
    post(world.server, log({"job": "files", **DONE}))
    process()
    post(holding, log({"job": "files", **DONE, "run_id": "2"}), name="2")
    process()
    best = suggested(world)[0]
    assert (best.kind, best.confidence, best.job_id, best.keeps_history) == ("move", "high", world.job.pk, True)
    assert "it moved here, the history stays" in best.reason
    done = accept_suggestions(world.tenant, [InboxItem.objects.of(world.tenant).get().pk], actor=PERSON)
    assert (done.assigned, done.left) == (1, 0)
    process()
    world.job.refresh_from_db()
    assert world.job.server_id == holding.pk
    assert JobRun.objects.of(world.tenant).filter(job_id=world.job.pk).count() == 2
    assert JobState.objects.of(world.tenant).get(job=world.job).runs_seen == 2
    assert AuditEntry.objects.of(world.tenant).filter(action="job moved to another server").count() == 1


def test_a_rename_is_seen_by_silence_product_and_roots(world: World, holding: BackupServer) -> None:
    old = make_job(world.tenant, holding, world.client, "old", product="own")
    post(holding, log({"job": "old", "product": "own", **DONE}))
    process()
    Selection.objects.of(world.tenant).filter(pk=old.selection_id).update(roots=["/srv"])
    BackupJob.objects.of(world.tenant).filter(pk=old.pk).update(product=JobRun.objects.of(world.tenant).get().product)
    post(holding, log({"job": "brand new", **DONE, "run_id": "2"}), name="2")
    process()
    best = suggested(world)[0]
    assert (best.kind, best.confidence, best.job_id) == ("rename", "high", old.pk)
    assert "the same roots" in best.reason
    assert "the history stays" in best.reason


def test_clients_by_code_machine_and_sender(world: World, holding: BackupServer) -> None:
    machine = Machine.objects.of(world.tenant).create(client=world.client, name="Front desk")
    MachineIdentity.objects.of(world.tenant).create(machine=machine, kind="hostname", value="PC-7", since="2026-01-01")
    post(holding, log({"job": "a", "host": "pc-7"}, {"job": "bay-bakery-nightly"}, {"job": "bay-bakeryx"}))
    process()
    first = suggested(world, source_job="a")[0]
    assert (first.kind, first.confidence, first.client_id, first.job_id) == ("client", "high", world.client.pk, None)
    assert suggested(world, source_job="bay-bakery-nightly")[0].client_id == world.resold_client.pk
    assert suggested(world, source_job="bay-bakeryx") == ()
    InboxItem.objects.of(world.tenant).filter(source_job="bay-bakeryx").update(
        told={"sender": "Backup <no@bay-bakery.example>"}
    )
    assert "bay-bakery.example" in suggested(world, source_job="bay-bakeryx")[0].reason


def test_nothing_of_another_tenant_is_suggested(world: World) -> None:
    other, _ = make_server(world.other, "theirs")
    post(world.server, log({"job": "files", **DONE}))
    post(other, log({"job": "files", **DONE}))
    process()
    item = InboxItem.objects.of(world.other).get()
    assert suggest(world.other.pk, [item])[item.pk] == ()
    with pytest.raises(NotFound):
        accept_suggestions(world.tenant, [item.pk], actor=PERSON)


def test_each_name_becomes_a_job_of_the_client(world: World, holding: BackupServer) -> None:
    post(holding, log({"job": "a"}, {"job": "b", "item": "x"}))
    post(holding, log({"job": "a", "run_id": "2"}), name="2")
    process()
    ids = list(InboxItem.objects.of(world.tenant).values_list("pk", flat=True))
    assert assign_each_to_new_job(world.tenant, ids, client_id=world.resold_client.pk, actor=PERSON) == 2
    process()
    made = BackupJob.objects.of(world.tenant).filter(server=holding)
    assert sorted(made.values_list("name", flat=True)) == ["a", "b / x"]
    assert not InboxItem.objects.of(world.tenant).filter(state="open").exists()
    with pytest.raises(CannotSettle, match="At most"):
        accept_suggestions(world.tenant, range(501), actor=PERSON)


def test_a_move_by_hand_needs_one_server(world: World) -> None:
    one, two = (make_server(world.tenant, name)[0] for name in ("one", "two"))
    post(one, log({"job": "a"}))
    post(two, log({"job": "a"}), name="2")
    process()
    ids = list(InboxItem.objects.of(world.tenant).values_list("pk", flat=True))
    with pytest.raises(CannotSettle):
        assign_items(world.tenant, ids, job_id=world.job.pk, moved=True, actor=PERSON)
    assert not Assignment.objects.of(world.tenant).filter(server=one).exists()


def test_ten_thousand_jobs_and_a_page_of_items_take_a_moment(
    world: World, holding: BackupServer, django_assert_num_queries: Any
) -> None:
    many_jobs(world, 10_000)
    post(holding, log(*({"job": f"unknown {at}", "host": f"h{at}"} for at in range(50))))
    process()
    rows = list(InboxItem.objects.of(world.tenant).all())
    with django_assert_num_queries(5):
        assert len(suggest(world.tenant.pk, rows)) == 50
    with django_assert_num_queries(5):
        suggest(world.tenant.pk, rows[:1])


def many_jobs(world: World, number: int) -> None:
    client = Client.objects.of(world.tenant).get(pk=world.client.pk)
    selections = Selection.objects.of(world.tenant).bulk_create(
        Selection(client=client, name=f"s{at}", host=f"h{at}", registered_at=START) for at in range(number)
    )
    jobs = BackupJob.objects.of(world.tenant).bulk_create(
        BackupJob(server=world.server, selection=selection, name=f"job {at}", registered_at=START)
        for at, selection in enumerate(selections)
    )
    JobState.objects.of(world.tenant).bulk_create(
        JobState(job=job, last_run_at=NOW - timedelta(days=1), last_run_key="k") for job in jobs
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE backups_backupjob, backups_jobstate, estate_selection")
