"""Keys that nobody decided: rules, groups of servers, second ways to a selection; two tenants, two workers."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, transaction

from msp.backups.changing import change_job
from msp.backups.models import BackupJob, JobRun, JobSelectionSpan, JobState
from msp.estate.models import Selection, Volume
from msp.estate.queries import Reach
from msp.estate.spans import Actor, BadChange
from msp.ingest.assigning import Assigned, assign
from msp.ingest.models import Assignment, AssignmentRule, InboxItem, Receipt
from msp.ingest.previewing import preview_rule, read_waiting
from msp.ingest.proposing import accept_second_way, give_own_selection, list_proposed
from msp.ingest.queries import may_see_whole
from msp.ingest.replaying import find_receipts
from msp.ingest.rule_changing import delete_rule, move_rule, rule_of, store_rule
from msp.tenants.models import AuditEntry
from tests.ingest.test_assigning import NOW, items, log, post, process, read
from tests.world import World, make_job, make_server, make_world

PERSON = Actor(name="tech@northwind.example", now=NOW)


def rule(world: World, **values: Any) -> AssignmentRule:
    return store_rule(world.tenant, None, {"name": "r", "action": "hold", **values}, actor=PERSON)


@pytest.fixture
def holding(world: World) -> Any:
    return make_server(world.tenant, "holding")[0]


def test_guests_of_one_host_go_to_their_clients(world: World, holding: Any) -> None:
    rule(world, name="By code", patterns={"item": "{client}-*"}, action="new_job", name_template="{item} of {job}")
    post(holding, log({"job": "pve", "item": "acme-dental-web"}, {"job": "pve", "item": "bay-bakery-db"},
                      {"job": "pve", "item": "nobody-x"}))  # fmt: skip
    process()
    jobs = {job.name: job for job in BackupJob.objects.of(world.tenant).filter(server=holding)}
    assert sorted(jobs) == ["acme-dental-web of pve", "bay-bakery-db of pve"]
    assert jobs["acme-dental-web of pve"].selection.client_id == world.client.pk
    assert jobs["bay-bakery-db of pve"].selection.client_id == world.resold_client.pk
    known = Assignment.objects.of(world.tenant).get(job=jobs["bay-bakery-db of pve"])
    assert (known.origin, known.rule.name) == ("rule", "By code")
    assert items(world) == [("unassigned", "pve")]


def test_a_rule_goes_before_the_habit_of_its_server(world: World) -> None:
    rule(world, name="Temp", patterns={"job": "temp*"}, action="hold")
    rule(world, name="No", patterns={"job": "lab*"}, action="refuse")
    rule(world, name="Same", patterns={"job": "files-*"}, action="job", job=world.job)
    post(world.server, log({"job": "temp1"}, {"job": "lab1"}, {"job": "files-2"}, {"job": "plain"}))
    process()
    assert sorted(items(world)) == [("refused", "lab1"), ("unassigned", "temp1")]
    assert JobRun.objects.of(world.tenant).filter(job_id=world.job.pk).count() == 1
    assert BackupJob.objects.of(world.tenant).filter(name="plain").exists()
    assert 'Rule "No"' in InboxItem.objects.of(world.tenant).get(source_job="lab1").detail


def test_rules_of_another_tenant_decide_nothing(world: World, holding: Any) -> None:
    store_rule(world.other, None, {"name": "theirs", "action": "refuse"}, actor=PERSON)
    post(holding, log({"job": "a"}))
    process()
    assert items(world) == [("unassigned", "a")]


def test_as_many_statements_for_five_hundred_runs_and_a_hundred_rules(
    world: World, holding: Any, django_assert_max_num_queries: Any
) -> None:
    def batch(start: int, number: int) -> list[Any]:
        return [read(holding, log({"job": f"acme-dental-{at}"}), receipt_id=at) for at in range(start, start + number)]

    rule(world, patterns={"job": "{client}-*"}, action="new_job")
    with django_assert_max_num_queries(60) as small:
        assert len(assign(world.tenant.pk, batch(0, 2), now=NOW).runs) == 2
    for at in range(100):
        AssignmentRule.objects.of(world.tenant).create(
            name="x", position=-at, patterns={"job": f"other{at}*"}, action="refuse"
        )
    with django_assert_max_num_queries(60) as large:
        assert len(assign(world.tenant.pk, batch(10, 500), now=NOW).runs) == 500
    assert len(small.captured_queries) == len(large.captured_queries) < 16
    with django_assert_max_num_queries(3):
        assert len(assign(world.tenant.pk, batch(10, 500), now=NOW).runs) == 500


@pytest.mark.django_db(transaction=True)
def test_two_workers_and_an_edit_between_them_make_one_job() -> None:
    world = make_world()
    servers = [make_server(world.tenant, name)[0] for name in ("one", "two")]
    made_on, _ = make_server(world.tenant, "made-on")
    row = rule(world, patterns={"job": "{client}-*"}, action="new_job", make_on=made_on)
    both = threading.Barrier(2)
    results: list[Assigned] = []

    def work(receipt_id: int) -> None:
        try:
            both.wait(10)
            with transaction.atomic():
                one = read(servers[0], log({"job": "acme-dental-x", "run_id": str(receipt_id)}), receipt_id=receipt_id)
                results.append(assign(world.tenant.pk, [one], now=NOW))
                if receipt_id == 1:
                    edit.start()
        finally:
            connection.close()

    def change() -> None:
        try:
            store_rule(world.tenant, row, {"name": "edited"}, actor=PERSON)
            delete_rule(world.tenant, row, actor=PERSON)
        finally:
            connection.close()

    edit = threading.Thread(target=change)
    workers = [threading.Thread(target=work, args=(number,)) for number in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in [*workers, edit]:
        worker.join(30)
    assert BackupJob.objects.of(world.tenant).filter(name="acme-dental-x").count() == 1
    assert len([run for result in results for run in result.runs]) >= 1
    assert not AssignmentRule.objects.of(world.tenant).exists()


def test_a_preview_says_what_would_be_done_and_writes_nothing(world: World, holding: Any) -> None:
    post(holding, log({"job": "acme-dental-a"}, {"job": "acme-dental-b"}, {"job": "zzz"}))
    post(world.server, log({"job": "files"}), name="2")
    process()
    rule(world, name="first", patterns={"job": "*-b"}, action="hold")
    typed = rule_of(world.tenant, None, {"name": "t", "action": "new_job", "patterns": {"job": "{client}-*"}})
    shown = preview_rule(world.tenant, typed, now=NOW)
    assert [(row.source_job, row.does) for row in shown.rows] == [
        ("acme-dental-a", 'becomes a new job "acme-dental-a" of Acme Dental')
    ]
    assert (shown.waiting, shown.taken_earlier, shown.decided) == (1, 1, 0)
    everything = rule_of(world.tenant, None, {"name": "t", "action": "refuse", "patterns": {"job": "f*"}})
    JobState.objects.of(world.tenant).filter(job=world.job).update(last_run_at=NOW)
    assert preview_rule(world.tenant, everything, now=NOW).decided_names == ("files",)
    assert AssignmentRule.objects.of(world.tenant).count() == 1
    stored = store_rule(world.tenant, None, {"name": "t", "action": "new_job", "patterns": {"job": "{client}-*"}},
                        actor=PERSON)  # fmt: skip
    assert read_waiting(world.tenant, stored, actor=PERSON) == 1
    process()
    assert BackupJob.objects.of(world.tenant).filter(name="acme-dental-a").exists()


def test_rules_are_checked_ordered_and_audited(world: World) -> None:
    for values in ({"name": " "}, {"action": "burn"}, {"action": "new_job"}, {"action": "job"},
                   {"patterns": {"host": "*{client}"}}, {"format": "none"}, {"name_template": "{x}"},
                   {"name": "a\0b"}):  # fmt: skip
        with pytest.raises(BadChange):
            rule(world, **values)
    first, second = rule(world, name="first"), rule(world, name="second")
    move_rule(world.tenant, second, up=True, actor=PERSON)
    move_rule(world.tenant, second, up=True, actor=PERSON)
    ordered = AssignmentRule.objects.of(world.tenant).order_by("position")
    assert [row.name for row in ordered] == ["second", "first"]
    delete_rule(world.tenant, first, actor=PERSON)
    told = AuditEntry.objects.of(world.tenant).order_by("pk").values_list("action", flat=True)
    assert list(told) == ["assignment rule added"] * 2 + ["assignment rule moved", "assignment rule deleted"]


# --- groups of servers -----------------------------------------------------------------------------------------------


def test_a_job_follows_its_account_through_a_group(world: World) -> None:
    there, _ = make_server(world.tenant, "node2", client=world.client, group="balanced")
    stranger, _ = make_server(world.tenant, "node3", client=world.client)
    type(world.server).objects.of(world.tenant).filter(pk=world.server.pk).update(group="balanced")
    post(world.server, log({"job": "files", "run_id": "1"}))
    process()
    post(there, log({"job": "files", "run_id": "2"}), name="2")
    post(stranger, log({"job": "files", "run_id": "3"}), name="3")
    process()
    world.job.refresh_from_db()
    assert world.job.server_id == there.pk
    assert JobRun.objects.of(world.tenant).filter(job_id=world.job.pk).count() == 2
    assert BackupJob.objects.of(world.tenant).filter(name="files").count() == 2
    post(world.server, log({"job": "files", "run_id": "4"}), name="4")
    process()
    world.job.refresh_from_db()
    assert world.job.server_id == world.server.pk
    entry = AuditEntry.objects.of(world.tenant).filter(action="job moved to another server").order_by("pk")[0]
    assert (entry.before, entry.after) == ({"server": "backup01"}, {"server": "node2"})
    assert Assignment.objects.of(world.tenant).get(server=there).origin == "move"


def test_a_name_that_means_two_jobs_in_the_group_moves_none(world: World) -> None:
    type(world.server).objects.of(world.tenant).filter(pk=world.server.pk).update(group="g")
    second, _ = make_server(world.tenant, "node2", group="g")
    third, _ = make_server(world.tenant, "node3", group="g")
    make_job(world.tenant, second, world.client, "files")
    post(third, log({"job": "files"}, {"job": ""}))
    process()
    assert items(world) == [("unassigned", "files"), ("unassigned", "")]


# --- second ways -----------------------------------------------------------------------------------------------------


def second_way(world: World) -> BackupJob:
    run = {"host": "FILES01", "roots": ["/b", "/a"], "protected_bytes": 1000, "complete": True,
           "ended_at": "2026-11-20T05:00:00Z"}  # fmt: skip
    other, _ = make_server(world.tenant, "cloud", client=world.client)
    post(world.server, log({"job": "local", **run}))
    process()
    post(
        other, log({"job": "offsite", **run, "roots": ["/a", "/b"]}, {"job": "else", **run, "roots": ["/a"]}), name="2"
    )
    process()
    job: BackupJob = BackupJob.objects.of(world.tenant).get(name="offsite")
    return job


def test_the_same_roots_of_the_same_host_are_proposed(world: World) -> None:
    job = second_way(world)
    first = BackupJob.objects.of(world.tenant).get(name="local")
    assert (job.state, job.selection_id) == ("proposed", first.selection_id)
    assert job.proposed_because == 'It protects the same 2 roots of files01, as "local" on backup01 does.'
    assert BackupJob.objects.of(world.tenant).get(name="else").state == "active"
    assert [each.pk for each in list_proposed(Reach(world.tenant.pk))] == [job.pk]
    assert JobState.objects.of(world.tenant).get(job=job).check_after is not None, "it is watched"
    accept_second_way(world.tenant, job.pk, actor=PERSON)
    job.refresh_from_db()
    assert (job.state, job.role) == ("active", "copy")
    with pytest.raises(BadChange):
        give_own_selection(world.tenant, job.pk, actor=PERSON)


def test_a_selection_of_its_own_begins_with_its_first_run(world: World) -> None:
    job = second_way(world)
    before = job.selection_id
    give_own_selection(world.tenant, job.pk, actor=PERSON)
    process()
    job.refresh_from_db()
    assert job.selection_id != before
    assert (job.state, job.role, job.selection.name) == ("active", "primary", "cloud: offsite")
    (span,) = JobSelectionSpan.objects.of(world.tenant).filter(job=job)
    assert (str(span.since), span.selection_id) == ("2026-11-20", job.selection_id)
    assert {run.selection_id for run in JobRun.objects.of(world.tenant).filter(job_id=job.pk)} == {job.selection_id}


def test_two_ways_in_one_batch_and_other_clients(world: World) -> None:
    run = {"host": "h", "roots": ["/"]}
    other, _ = make_server(world.tenant, "cloud", client=world.client)
    foreign, _ = make_server(world.tenant, "bay", client=world.resold_client)
    post(world.server, log({"job": "a", **run}))
    post(other, log({"job": "b", **run}), name="2")
    post(foreign, log({"job": "c", **run}), name="3")
    process()
    states = dict(BackupJob.objects.of(world.tenant).exclude(pk=world.job.pk).values_list("name", "state"))
    assert states == {"a": "active", "b": "proposed", "c": "active"}
    assert Selection.objects.of(world.tenant).filter(host="h").count() == 2


def test_a_reseller_sees_of_a_shared_log_its_own_guests_only(world: World, holding: Any) -> None:
    rule(world, patterns={"item": "{client}-*"}, action="new_job", name_template="{item}")
    receipts = [
        Receipt.objects.of(world.tenant).get(pk=post(holding, log(*runs), name=str(at)))
        for at, runs in enumerate([
            [{"job": "pve", "item": "acme-dental-web"}, {"job": "pve", "item": "bay-bakery-db"}],
            [{"job": "pve", "item": "bay-bakery-db", "run_id": "2"}],
            [{"job": "pve", "item": "bay-bakery-db", "run_id": "3"}, {"job": "pve", "item": "nobody-1"}],
        ])
    ]  # fmt: skip
    process()
    for receipt in receipts:
        receipt.refresh_from_db()
    reach = Reach(world.tenant.pk, frozenset({world.reseller.pk}))
    assert [may_see_whole(reach, receipt) for receipt in receipts] == [False, True, False]
    assert all(may_see_whole(Reach(world.tenant.pk), receipt) for receipt in receipts)
    runs = JobRun.objects.of(world.tenant).filter(receipt_id=receipts[0].pk)
    assert set(runs.values_list("client_id", flat=True)) == {world.client.pk, world.resold_client.pk}


def test_replay_finds_what_a_rule_assigned_and_what_a_server_sent(world: World, holding: Any) -> None:
    row = rule(world, patterns={"job": "{client}-*"}, action="new_job")
    ruled = post(holding, log({"job": "acme-dental-a"}))
    held = post(holding, log({"job": "zzz"}), name="2")
    other = post(world.server, log({"job": "files"}), name="3")
    process()

    def found(**values: Any) -> set[int]:
        return set(find_receipts(world.tenant, **values).values_list("pk", flat=True))

    assert found(rule_id=row.pk) == {ruled}
    assert found(server_id=holding.pk) == {ruled, held}
    assert found(server_id=world.server.pk) == {other}
    assert set(find_receipts(world.other, server_id=holding.pk)) == set()


def test_a_volume_changes_nothing_else_and_is_of_the_jobs_server(world: World, holding: Any) -> None:
    first, second = (Volume.objects.of(world.tenant).create(server=world.server, name=name) for name in ("v1", "v2"))
    elsewhere = Volume.objects.of(world.tenant).create(server=holding, name="v1")
    for volume in (first, second):
        change_job(world.tenant, world.job.pk, {"volume": volume}, actor=PERSON)
    with pytest.raises(BadChange, match="another server"):
        change_job(world.tenant, world.job.pk, {"volume": elsewhere}, actor=PERSON)
    entry = AuditEntry.objects.of(world.tenant).order_by("-pk")[0]
    assert (entry.before, entry.after) == ({"volume": "v1"}, {"volume": "v2"})
    post(world.server, log({"job": "files"}))
    process()
    assert JobRun.objects.of(world.tenant).get().job_id == world.job.pk
