"""Measurements from delivery to page: real trees, replays, two tenants, and what is wrong with an inventory."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from alerts.evaluating import evaluate_jobs
from alerts.job_loading import load_job_facts
from alerts.models import Incident
from msp.backups.models import JobState, SelectionDefinition, SelectionMeasurement
from msp.backups.selection_queries import sizes_of_selections
from msp.backups.selection_sizes import measure_upload, set_definition
from msp.estate.models import Client
from msp.estate.queries import Reach
from msp.estate.spans import Actor
from msp.ingest.models import InboxItem, Receipt
from msp.ingest.replaying import requeue
from msp.ingest.storing import Incoming, store
from msp.pipeline import process_waiting
from tests.dashboard.scene import browser_of
from tests.ingest.running_door import RunningDoor
from tests.world import World, make_job, make_key
from tests.wrapper.loading import WRAPPER

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
ACTOR = Actor(name="tech@northwind.example", now=NOW)
HEADER = {
    "backledger_inventory": 1, "roots": ["/srv"], "excludes": [], "taken_at": "2026-11-20T05:00:00+00:00",
    "missing_roots": [], "listed": True, "files": 3, "links": 0, "bytes": 600, "bytes_each": 700, "unreadable": 0,
}  # fmt: skip
LINES = b"100\t1:10:2\t/srv/a\n100\t1:10:2\t/srv/b\n500\t1:11:1\t/srv/c.tmp\n"


def inventory(lines: bytes = LINES, **values: Any) -> bytes:
    return json.dumps(HEADER | values).encode() + b"\n" + lines


def attached(content: bytes, *, zipped: bool = False) -> dict[str, str]:
    name = "selection.inventory.gz" if zipped else "selection.inventory"
    content = gzip.compress(content) if zipped else content
    return {"name": name, "content_base64": base64.b64encode(content).decode()}


def deliver(world: World, number: int, *attachments: dict[str, str], job: str = "files", **values: Any) -> None:
    told = {"stdout": "", "job": job, "attachments": list(attachments)} | values
    one = Incoming(
        door="http", delivery_id=f"d{number}", content=json.dumps(told).encode(), received_at=NOW,
        server_id=world.server.pk, meta={"envelope": True},
    )  # fmt: skip
    store(world.tenant.pk, [one], now=NOW)
    process_waiting(now=lambda: NOW)


def sizes(world: World) -> list[SelectionMeasurement]:
    return list(SelectionMeasurement.objects.of(world.tenant).order_by("measured_at", "id"))


def test_an_inventory_alone_measures_the_selection_of_the_job_it_names(world: World) -> None:
    deliver(world, 1, attached(inventory(), zipped=True))
    (size,) = sizes(world)
    assert (size.selection_id, size.source, size.form) == (world.job.selection_id, "wrapper", "wrapper")
    assert (size.bytes_once, size.bytes_each, size.files, size.whole) == (600, 700, 3, True)
    assert size.measured_at == datetime(2026, 11, 20, 5, tzinfo=UTC)
    assert Receipt.objects.of(world.tenant).get().state == "done"
    assert not InboxItem.objects.of(world.tenant).exists()


def report(world: World, size: int, *, job: Any = None) -> None:
    """As if a run of the job had said so."""
    state = JobState.objects.of(world.tenant).filter(job=job or world.job)
    state.update(protected_bytes=size, protected_at=NOW)


def test_the_definition_that_is_kept_is_applied_and_reported_stands_beside_it(world: World) -> None:
    set_definition(world.tenant, world.job.selection, b"*.tmp\n", kind="restic", variables={}, actor=ACTOR)
    report(world, 100)
    deliver(world, 1, attached(inventory()))
    (size,) = sizes(world)
    assert (size.bytes_once, size.bytes_each, size.definition_version) == (100, 200, 1)
    assert size.details["left_out"] == [{"line": 1, "text": "*.tmp", "files": 1, "bytes_each": 500}]
    assert (size.reported_bytes, size.reported_job_id, size.reported_at) == (100, world.job.pk, NOW)


def test_with_a_run_it_belongs_to_the_selection_of_the_run(world: World) -> None:
    other = make_job(world.tenant, world.server, world.client, "other")
    log = (Path(__file__).parents[1] / "fixtures/logs/rsync/first-stats/stdout.log").read_text()
    deliver(world, 1, attached(inventory()), job="other", stdout=log, exit_code=0, timezone="UTC")
    (size,) = sizes(world)
    assert size.selection_id == other.selection_id
    assert size.reported_job_id == other.pk
    assert Receipt.objects.of(world.tenant).get().runs == 1


def test_a_replay_changes_nothing_and_a_new_definition_adds_one(world: World) -> None:
    deliver(world, 1, attached(inventory()))
    replay(world)
    (first,) = sizes(world)
    set_definition(world.tenant, world.job.selection, b"*.tmp\n", kind="restic", variables={}, actor=ACTOR)
    replay(world)
    replay(world)
    assert [one.bytes_once for one in sizes(world)] == [600, 100]
    assert sizes(world)[0].pk == first.pk


def replay(world: World) -> None:
    requeue(world.tenant.pk, Receipt.objects.of(world.tenant).values_list("pk", flat=True), now=NOW)
    process_waiting(now=lambda: NOW)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (b"-5\t1:1:1\t/srv/a\n", "line 2: '-5' is no whole number"),
        (b"9" * 40 + b"\t1:1:1\t/srv/a\n", "is no whole number from 0"),
        (b"9223372036854775807\t1:1:1\t/srv/a\n9223372036854775807\t1:2:1\t/srv/b\n", "more than any disk holds"),
        (b"1\t1:1:1\t/srv" + b"/d" * 300 + b"\n", "line 2: a path of more than"),
        (b"nonsense\n", "line 2: is not 'size TAB"),
    ],
)
def test_a_hostile_inventory_is_told_and_the_log_lands_all_the_same(world: World, lines: bytes, words: str) -> None:
    log = (Path(__file__).parents[1] / "fixtures/logs/rsync/first-stats/stdout.log").read_text()
    deliver(world, 1, attached(inventory(lines)), stdout=log, exit_code=0, timezone="UTC")
    (size,) = sizes(world)
    assert (size.bytes_each, size.whole) == (None, False)
    assert words in size.error
    assert Receipt.objects.of(world.tenant).get().runs == 1


def test_an_inventory_of_an_unknown_job_waits_in_the_inbox(world: World) -> None:
    deliver(world, 1, attached(inventory()), job="nobody")
    assert not sizes(world)
    item = InboxItem.objects.of(world.tenant).get()
    assert (item.reason, item.source_job) == ("unassigned", "nobody")
    assert 'the job "nobody" is not known' in item.detail


def test_a_job_of_the_same_name_of_another_tenant_is_neither_measured_nor_shown(world: World) -> None:
    client = Client.objects.of(world.other).get()
    theirs = make_job(world.other, world.other_server, client, "files")
    deliver(world, 1, attached(inventory()))
    assert not SelectionMeasurement.objects.of(world.other).exists()
    ours = world.job.selection_id
    assert sizes_of_selections(Reach(world.other.pk), [ours]) == []
    assert [row.each_bytes for row in sizes_of_selections(Reach(world.tenant.pk), [ours, theirs.selection_id])] == [700]
    assert sizes_of_selections(Reach(world.tenant.pk, frozenset({world.reseller.pk})), [ours]) == []


def test_sums_alone_are_taken_and_a_kept_definition_says_that_it_was_not_applied(world: World) -> None:
    set_definition(world.tenant, world.job.selection, b"*.tmp\n", kind="restic", variables={}, actor=ACTOR)
    deliver(world, 1, attached(inventory(b"", listed=False, missing_roots=["/gone"], unreadable=2)))
    (size,) = sizes(world)
    assert (size.bytes_once, size.bytes_each, size.whole, size.unreadable) == (600, 700, False, 2)
    assert size.details["missing_roots"] == ["/gone"]
    assert "was not applied" in size.details["notes"][0]


def test_the_step_costs_no_statement_without_an_inventory(world: World) -> None:
    with CaptureQueriesContext(connection) as captured:
        deliver(world, 1, {"name": "other.txt", "content": "x"}, stdout="nobody knows this")
    assert not any("selectionmeasurement" in one["sql"] or "selectiondefinition" in one["sql"] for one in captured)


def test_measurements_and_definitions_are_only_inserted(world: World) -> None:
    deliver(world, 1, attached(inventory()))
    with pytest.raises(DatabaseError, match="only inserted"), transaction.atomic():
        SelectionMeasurement.objects.of(world.tenant).update(bytes_each=1)
    set_definition(world.tenant, world.job.selection, b"*.tmp\n", kind="restic", variables={}, actor=ACTOR)
    with pytest.raises(DatabaseError, match="only inserted"), transaction.atomic():
        SelectionDefinition.objects.of(world.tenant).update(content="x")


# --- drift -------------------------------------------------------------------------------------------------------


def measured_on(world: World, day: int, size: int) -> None:
    lines = b"%d\t1:1:1\t/srv/a\n" % size
    taken = (NOW - timedelta(days=10 - day)).isoformat()
    deliver(world, 100 + day, attached(inventory(lines, taken_at=taken)))
    evaluate(world)


def evaluate(world: World) -> None:
    with transaction.atomic():
        list(JobState.objects.of(world.tenant).select_for_update().order_by("pk"))
        evaluate_jobs(world.tenant.pk, [world.job.pk], now=NOW)


def drift_of(world: World) -> Any:
    return Incident.objects.of(world.tenant).filter(kind="size_drift").first()


def test_drift_opens_after_two_measurements_and_closes_when_the_sizes_agree(world: World) -> None:
    gb = 10**9
    report(world, 60 * gb)
    measured_on(world, 1, 100 * gb)
    assert drift_of(world) is None
    measured_on(world, 2, 100 * gb)
    incident = drift_of(world)
    assert incident.severity == "warning"
    assert "reports 60.0 GB protected, 40.0 GB (40 %) less than the 100.0 GB that was measured" in incident.summary
    measured_on(world, 3, 61 * gb)
    assert drift_of(world).closed_at is not None


def test_facts_are_read_in_one_statement_however_many_measurements_there_are(world: World) -> None:
    report(world, 10)
    for day in range(1, 4):
        measured_on(world, day, day)
    with CaptureQueriesContext(connection) as captured:
        (facts,) = load_job_facts(world.tenant.pk, [world.job.pk])
    assert len(captured) == 2
    assert [pair.once_bytes for pair in facts.sizes] == [3, 2, 1]


# --- by hand -----------------------------------------------------------------------------------------------------


def test_an_upload_is_measured_once_and_its_jobs_are_looked_at_anew(world: World) -> None:
    JobState.objects.of(world.tenant).update(check_after=NOW + timedelta(days=1))
    first = measure_upload(world.tenant, world.job.selection, [inventory()], source="api", now=NOW)
    again = measure_upload(world.tenant, world.job.selection, [inventory()], source="api", now=NOW)
    assert first.pk == again.pk
    assert JobState.objects.of(world.tenant).get(job=world.job).check_after == NOW


def test_the_command_measures_a_real_tree_by_find_and_a_definition(world: World, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    form = ["-printf", r"%s\t%D:%i:%n\t%y\t%p\0"]
    listing = tmp_path / "list"
    listing.write_bytes(subprocess.run(["find", str(tree), *form], capture_output=True, check=True).stdout)
    rules = tmp_path / "rules"
    rules.write_text(f"{tree}\n- {tree}/cache\n")
    told = command(world, listing, "--definition", rules, "--kind", "paths", "--keep-definition")
    (size,) = sizes(world)
    assert (size.form, size.files, size.links, size.definition_version) == ("find", 6, 1, 1)
    assert (size.bytes_once, size.bytes_each) == (7 + 5 + 3 + 2 + 5_000_000, 7 + 7 + 5 + 3 + 2 + 5_000_000)
    assert "6 files" in told
    assert f"left out by line 2: - {tree}/cache" in told
    with pytest.raises(CommandError, match="has no selection"):
        call_command("measure_selection", str(listing), tenant=world.other.slug, selection=world.job.selection.uid)


def make_tree(tree: Path) -> Path:
    """Hard links, a loop of links, a name with a line end, one that is no UTF-8, a sparse file, something left out."""
    (tree / "cache").mkdir(parents=True)
    (tree / "cache" / "junk").write_bytes(b"x" * 1000)
    (tree / "one").write_bytes(b"x" * 7)
    os.link(tree / "one", tree / "two")
    (tree / "loop").symlink_to(tree)
    (tree / "line\nend").write_bytes(b"x" * 5)
    (tree / "tab\tback\\slash").write_bytes(b"x" * 2)
    Path(os.fsdecode(os.fsencode(tree) + b"/caf\xe9")).write_bytes(b"x" * 3)
    with (tree / "sparse").open("wb") as opened:
        opened.truncate(5_000_000)
    return tree


def command(world: World, *arguments: Any) -> str:
    out = io.StringIO()
    given = [str(one) for one in arguments]
    selection = str(world.job.selection.uid)
    call_command("measure_selection", *given, "--tenant", world.tenant.slug, "--selection", selection, stdout=out)
    return out.getvalue()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_what_the_wrapper_measures_arrives_as_a_measurement(world: World, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    with RunningDoor() as door:
        environ = {
            "PATH": os.environ["PATH"], "HOME": str(tmp_path), "BACKLEDGER_URL": door.url,
            "BACKLEDGER_KEY": world.server_key, "BACKLEDGER_SPOOL": str(tmp_path / "spool"),
        }  # fmt: skip
        wanted = ["--job", "files", "--measure", str(tree), "--measure-list", "--exclude", "cache"]
        run = [sys.executable, str(WRAPPER), *wanted, "--", "sh", "-c", "exit 0"]
        done = subprocess.run(run, env=environ, capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        process_waiting(now=lambda: datetime.now(UTC))
    (size,) = sizes(world)
    assert (size.source, size.files, size.error) == ("wrapper", 6, "")
    assert (size.bytes_once, size.bytes_each) == (5_000_017, 5_000_024)


# --- pages and API -----------------------------------------------------------------------------------------------


def page_of(world: World, person: Any, address: str) -> Any:
    return browser_of(person).get(address)


def uploaded(content: bytes, name: str = "list.txt") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def test_a_technician_defines_measures_and_sees_both_figures(world: World) -> None:
    report(world, 60_000_000_000)
    address = f"/selections/{world.job.selection.uid}/"
    browser = browser_of(world.technician)
    told = {"kind": "paths", "content": "/srv\n- /srv/c.tmp\n", "variables": "HOME=/root\nnonsense"}
    assert browser.post(f"{address}define/", told).status_code == 302
    sent = uploaded(inventory(b"100000000000\t1:1:1\t/srv/a\n5\t1:2:1\t/srv/c.tmp\n"))
    assert browser.post(f"{address}measure/", {"inventory": sent}).status_code == 302
    for place in (address, f"/jobs/{world.job.uid}/", f"/clients/{world.client.uid}/"):
        page = browser.get(place).content.decode()
        assert "60.0" in page
        assert "100" in page
        assert "-40.0 %" in page
    page = browser.get(address).content.decode()
    assert "- /srv/c.tmp" in page
    assert SelectionDefinition.objects.of(world.tenant).get().variables == {"HOME": "/root"}


def test_what_is_wrong_is_told_on_the_page_and_escaped(world: World) -> None:
    address = f"/selections/{world.job.selection.uid}/"
    browser = browser_of(world.technician)
    answer = browser.post(f"{address}define/", {"kind": "sel", "content": "[Everyday]\n+ C:\\a\\ /s - <(?=<b>x)>"})
    assert answer.status_code == 400
    assert "line 2: the expression" in answer.content.decode()
    assert "<b>x" not in answer.content.decode()
    answer = browser.post(f"{address}measure/", {"inventory": uploaded(b"<script>")})
    assert "line 1: is of no form of listing" in answer.content.decode()
    assert browser.post(f"{address}measure/", {}).status_code == 400
    assert not sizes(world)
    assert not SelectionDefinition.objects.of(world.tenant).exists()


def test_others_neither_see_nor_change_it(world: World) -> None:
    address = f"/selections/{world.job.selection.uid}/"
    assert page_of(world, world.billing, address).status_code == 200
    for person in (world.reseller_staff, world.stranger):
        assert page_of(world, person, address).status_code == 404
    for person, status in ((world.reseller_staff, 404), (world.stranger, 404), (world.billing, 403)):
        sent = {"inventory": uploaded(inventory())}
        assert browser_of(person).post(f"{address}measure/", sent).status_code == status
        assert browser_of(person).post(f"{address}define/", {"content": "/srv"}).status_code == status
    assert not sizes(world)


def post(world: World, key: str, content: bytes, *, selection: Any = None) -> Any:
    uid = (selection or world.job.selection).uid
    return Browser().generic(
        "POST", f"/api/v1/selections/{uid}/inventory", content, "application/octet-stream",
        headers={"Authorization": f"Bearer {key}"},
    )  # fmt: skip


def test_the_api_measures_a_zipped_inventory(world: World) -> None:
    answer = post(world, world.api_key, gzip.compress(inventory(), mtime=0))
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert (told["bytes_once"], told["bytes_each"], told["files"], told["source"]) == (600, 700, 3, "api")
    assert post(world, world.api_key, gzip.compress(inventory(), mtime=0)).json()["uid"] == told["uid"]


def test_the_api_refuses_in_words_and_by_scope(world: World) -> None:
    answer = post(world, world.api_key, inventory(b"-1\t1:1:1\t/srv/a\n"))
    assert answer.status_code == 422
    assert "Line 2: '-1' is no whole number" in answer.json()["errors"]["inventory"][0]
    reader = make_key(world.tenant, "reader", scopes=["read"])
    stranger = make_key(world.other, "stranger", scopes=["read", "write"])
    reseller = make_key(world.tenant, "harbour", scopes=["read", "write"], reseller=world.reseller)
    assert post(world, reader, inventory()).status_code == 403
    assert post(world, stranger, inventory()).status_code == 404
    assert post(world, reseller, inventory()).status_code == 404
    assert not sizes(world)
