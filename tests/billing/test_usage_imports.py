"""Usage from a CSV: shown first, entered as a whole or not at all, billed like a measurement, and taken back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from billing.finalising import finalise
from billing.invoicing import draft_run
from billing.models import InvoiceRun, UsageEntry, UsageImport, UsageNames
from billing.refusals import NotFound, Refused
from billing.usage_imports import (
    RefusedFile,
    apply_usage_file,
    check_usage_file,
    drop_usage_file,
    keep_usage_file,
)
from billing.verifying import verify
from msp.estate.models import Client, Machine, Selection, SelectionClientSpan
from msp.tenants.models import AuditEntry
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, lines_of, nights, october, only_invoice
from tests.world import World, make_client, make_job

pytestmark = pytest.mark.django_db
HEAD = "client,selection,day,metric,bytes,basis,note\n"
PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}


def csv_of(*lines: str, head: str = HEAD) -> bytes:
    return (head + "\n".join(lines) + "\n").encode()


def enter(world: World, *lines: str, head: str = HEAD, now: datetime = NOVEMBER) -> UsageImport:
    kept = keep_usage_file(world.tenant, csv_of(*lines, head=head), name="usage.csv", actor=ACTOR, now=now)
    return apply_usage_file(world.tenant, kept.uid, actor=ACTOR, now=now)


def refusals(world: World, *lines: str, head: str = HEAD) -> list[str]:
    checked = check_usage_file(world.tenant, csv_of(*lines, head=head), now=NOVEMBER)
    assert checked.differences == () or not checked.refused
    return [f"{each.line}: {each.sentence}" for each in checked.refused]


def drafted(month: Month) -> InvoiceRun:
    return draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER + timedelta(hours=1))


def figure(day: int, size: int, basis: str = "agreed", note: str = "") -> str:
    return f"Acme Dental,backup01: files,2026-10-{day:02d},protected,{size},{basis},{note}"


# ---- shown, entered, undone --------------------------------------------------------------------------------------


def test_nothing_is_written_before_a_person_agrees(world: World) -> None:
    content = csv_of(figure(5, 100))
    checked = check_usage_file(world.tenant, content, now=NOVEMBER)
    assert (checked.writes, [each.change for each in checked.differences]) == (1, ["new"])
    kept = keep_usage_file(world.tenant, content, name="u.csv", actor=ACTOR, now=NOVEMBER)
    assert keep_usage_file(world.tenant, content, name="u.csv", actor=ACTOR, now=NOVEMBER).pk == kept.pk
    assert not UsageEntry.objects.of(world.tenant).exists()
    drop_usage_file(world.tenant, kept.uid, actor=ACTOR, now=NOVEMBER)
    with pytest.raises(Refused, match="was dropped by billing@northwind.example already"):
        apply_usage_file(world.tenant, kept.uid, actor=ACTOR, now=NOVEMBER)
    assert not UsageEntry.objects.of(world.tenant).exists()


def test_a_figure_is_entered_with_its_day_its_client_and_who_gave_it(world: World) -> None:
    world.tenant.timezone = "Europe/Berlin"
    world.tenant.save()
    kept = enter(world, figure(25, 100, note="agreed by phone"))
    (entry,) = UsageEntry.objects.of(world.tenant)
    assert (entry.quantity, entry.basis, entry.unit, entry.job_id) == (100, "agreed", "byte", None)
    assert (entry.local_day, entry.client_id, entry.reason) == (date(2026, 10, 25), world.client.pk, "agreed by phone")
    # the last second of 25 October in Berlin, a day of 25 hours
    assert entry.measured_at == datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC)
    assert entry.run_key == f"file {kept.uid}"
    audited = AuditEntry.objects.of(world.tenant).get(action="usage.applied")
    assert (audited.actor, audited.after["lines"], audited.after["sha256"]) == (ACTOR, 1, kept.digest)


def test_the_same_file_twice_writes_nothing(world: World) -> None:
    assert enter(world, figure(5, 100), figure(6, 200)).written == 2
    again = enter(world, figure(5, 100), figure(6, 200))
    assert (again.written, UsageEntry.objects.of(world.tenant).count()) == (0, 2)


def test_another_figure_is_a_further_revision_and_withdrawn_takes_it_back(world: World) -> None:
    enter(world, figure(5, 100))
    enter(world, figure(5, 90))
    taken_back = "Acme Dental,backup01: files,2026-10-05,protected,withdrawn,,"
    (difference,) = check_usage_file(world.tenant, csv_of(taken_back), now=NOVEMBER).differences
    assert (difference.change, difference.stands, difference.quantity) == ("withdrawn", 90, None)
    enter(world, taken_back)
    assert enter(world, taken_back).written == 0
    told = UsageEntry.objects.of(world.tenant).order_by("revision").values_list("revision", "quantity")
    assert list(told) == [(0, 100), (1, 90), (2, None)]


def test_one_bad_line_and_nothing_is_taken(world: World) -> None:
    content = csv_of(figure(5, 100), figure(6, 100).replace("Acme Dental", "Acme"))
    with pytest.raises(RefusedFile, match="Line 3: There is no client 'Acme'"):
        keep_usage_file(world.tenant, content, name="u.csv", actor=ACTOR, now=NOVEMBER)
    assert not UsageImport.objects.of(world.tenant).exists()
    assert not UsageEntry.objects.of(world.tenant).exists()


def test_what_was_shown_is_what_is_entered(world: World) -> None:
    content = csv_of(figure(5, 100))
    seen = check_usage_file(world.tenant, content, now=NOVEMBER).fingerprint
    kept = keep_usage_file(world.tenant, content, name="u.csv", actor=ACTOR, now=NOVEMBER)
    enter(world, figure(5, 70))
    with pytest.raises(Refused, match="not what was shown any more"):
        apply_usage_file(world.tenant, kept.uid, seen=seen, actor=ACTOR, now=NOVEMBER)
    assert [entry.quantity for entry in UsageEntry.objects.of(world.tenant)] == [70]


def test_a_file_of_another_tenant_is_not_there(world: World) -> None:
    kept = keep_usage_file(world.tenant, csv_of(figure(5, 100)), name="u.csv", actor=ACTOR, now=NOVEMBER)
    with pytest.raises(NotFound):
        apply_usage_file(world.other, kept.uid, actor=ACTOR, now=NOVEMBER)
    assert check_usage_file(world.other, csv_of(figure(5, 100)), now=NOVEMBER).refused


def test_the_number_of_statements_does_not_grow_with_the_file(world: World) -> None:
    def statements(days: range) -> int:
        with CaptureQueriesContext(connection) as queries:
            enter(world, *(figure(day, 100) for day in days))
        return len(queries)

    assert statements(range(1, 2)) == statements(range(2, 32))


# ---- whose it is -------------------------------------------------------------------------------------------------


def test_names_are_matched_exactly_and_nothing_is_guessed(world: World) -> None:
    Client.objects.of(world.tenant).filter(pk=world.client.pk).update(code="ACME")
    make_client(world.tenant, "Twin"), make_client(world.tenant, "Other")
    Client.objects.of(world.tenant).filter(name="Other").update(name="Twin")
    line = ",2026-10-05,protected,1,,"
    assert refusals(world, f"ACME,backup01: files{line}") == []
    assert refusals(
        world, f"acme dental,backup01: files{line}", f"Twin,x{line}", f"Acme Dental,files{line}",
        f"Acme Dental,backup01: files{line.replace('10-05', '11-03')}",
        f"Acme Dental,backup01: files{line.replace('2026', '2025')}",
    ) == [
        "2: There is no client 'acme dental': write its name or code exactly.",
        "3: 2 clients are called 'Twin': write the code of the one you mean.",
        "4: Acme Dental has no selection 'files': write the names exactly.",
        "5: 2026-11-03 is not here yet.",
        "6: 2025-10-05 lies before 2026-01-01, the day on which this account began.",
    ]  # fmt: skip


def test_a_line_may_name_the_machine_alone_if_one_selection_lies_on_it(world: World) -> None:
    machine = Machine.objects.of(world.tenant).create(client=world.client, name="srv1")
    Selection.objects.of(world.tenant).filter(pk=world.job.selection_id).update(machine=machine)
    head, line = "client;machine;day;metric;bytes\n", "Acme Dental;srv1;2026-10-05;stored;7"
    enter(world, line, head=head)
    assert UsageEntry.objects.of(world.tenant).get().selection_id == world.job.selection_id
    second = make_job(world.tenant, world.server, world.client, "mail")
    Selection.objects.of(world.tenant).filter(pk=second.selection_id).update(machine=machine)
    assert refusals(world, line, head=head) == [
        "2: Acme Dental has 2 selections that are the selection on a machine 'srv1': name the selection."
    ]


def test_the_client_is_the_one_of_that_day(world: World) -> None:
    spans = SelectionClientSpan.objects.of(world.tenant)
    spans.filter(selection_id=world.job.selection_id).update(until=date(2026, 10, 11))
    spans.create(selection_id=world.job.selection_id, client=world.resold_client, since=date(2026, 10, 11))
    enter(world, figure(10, 1), figure(11, 2).replace("Acme Dental", "Bay Bakery"))
    told = UsageEntry.objects.of(world.tenant).order_by("local_day").values_list("client_id", "reseller_id")
    assert list(told) == [(world.client.pk, None), (world.resold_client.pk, world.reseller.pk)]
    assert refusals(world, figure(12, 1)) == [
        "2: Acme Dental did not own the selection 'backup01: files' on 2026-10-12: name the client of that day."
    ]


def test_two_words_for_one_client_do_not_hide_that_a_day_is_there_twice(world: World) -> None:
    Client.objects.of(world.tenant).filter(pk=world.client.pk).update(code="ACME")
    assert refusals(world, figure(5, 1), figure(5, 2).replace("Acme Dental", "ACME")) == [
        "3: The line is about the same day of backup01: files as line 2."
    ]


# ---- billed ------------------------------------------------------------------------------------------------------


def test_an_agreed_figure_stands_until_the_next(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    enter(world, figure(1, 100 * GB), figure(16, 131 * GB))
    invoice = only_invoice(drafted(month))
    (line,) = lines_of(invoice)
    # 15 days of 100 and 16 of 131: 3,596 GB-days / 31 = 116 GB, at 0.10
    assert (invoice.held, line.quantity, line.amount) == ([], Decimal(116), Decimal("11.60"))
    assert "(counted agreed)" in line.description
    states = [day["state"] for day in line.evidence[0]["days"]]
    assert (states.count("measured"), states.count("not_due")) == (2, 29)
    final = finalise(world.tenant, invoice.uid, actor=ACTOR, now=NOVEMBER + timedelta(hours=2))
    assert verify(world.tenant, final.uid).differences == ()


def test_a_figure_by_hand_fills_a_missing_day_and_counts_before_what_a_run_found(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(carry_days=0, **PER_GB))
    month.measure(world.job, october(100 * GB, last=9) | october(100 * GB, first=11))
    assert only_invoice(drafted(month)).held == ["backup01: files: no measurement on 2026-10-10."]
    enter(world, figure(10, 131 * GB, "logical-each"), figure(11, 131 * GB, "used"))
    invoice = only_invoice(drafted(month))
    # 29 x 100 + 2 x 131 = 3,162 / 31 = 102 GB; the other bases were given by a person, so nothing is held
    assert (invoice.held, lines_of(invoice)[0].quantity) == ([], Decimal(102))


def test_a_figure_by_hand_that_is_not_agreed_does_not_hide_a_dead_job(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(carry_days=0, **PER_GB))
    month.measure(world.job, october(100 * GB, last=20))
    enter(world, figure(21, 100 * GB, "used"))
    (sentence,) = only_invoice(drafted(month)).held
    assert sentence.startswith("backup01: files: no measurement on 2026-10-22, 2026-10-23")


def test_a_run_after_an_agreed_figure_takes_its_place(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(meter="last_day", **PER_GB))
    month.measure(world.job, nights(date(2026, 9, 1), date(2026, 9, 30), 100 * GB))
    enter(world, figure(1, 50 * GB))
    month.measure(world.job, october(80 * GB, first=20))
    assert only_invoice(drafted(month)).net == Decimal("8.00")


def test_what_no_log_tells_can_be_metered_once_a_person_entered_it(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(metric="restorable_latest", **PER_GB))
    enter(world, figure(1, 200 * GB).replace("protected", "restorable_latest"))
    assert only_invoice(drafted(month)).net == Decimal("20.00")


def test_names_of_what_is_counted_are_kept_with_the_entry(world: World) -> None:
    head = "client,selection,day,metric,count,names\n"
    line = "Acme Dental,backup01: files,2026-10-05,components,2,anna@acme.example|Böhm"
    enter(world, line, head=head)
    assert enter(world, line, head=head).written == 0
    enter(world, line.replace("anna", "berta"), head=head)
    told = UsageEntry.objects.of(world.tenant).order_by("revision").values_list("revision", "quantity", "unit")
    assert list(told) == [(0, 2, "each"), (1, 2, "each")]
    kept = UsageNames.objects.of(world.tenant).order_by("revision").values_list("names", flat=True)
    assert [[name for _, name in names] for names in kept] == [
        ["anna@acme.example", "Böhm"], ["berta@acme.example", "Böhm"],
    ]  # fmt: skip
    with pytest.raises(IntegrityError, match="only inserted"), transaction.atomic():
        UsageNames.objects.of(world.tenant).update(names=[])


# ---- the command -------------------------------------------------------------------------------------------------


def run_command(path: Path, *options: str) -> str:
    out = StringIO()
    call_command("import_usage", str(path), "--tenant", "northwind-msp", *options, stdout=out, stderr=out)
    return out.getvalue()


def test_the_command_shows_first_and_enters_when_told(world: World, tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_bytes(csv_of(figure(5, 1000)))
    said = run_command(path)
    assert said.startswith(
        "new        Acme Dental, backup01: files, 2026-10-05, protected: nothing counts today, 1,000"
    )
    assert "1 of 1 lines would change the ledger." in said
    assert not UsageEntry.objects.of(world.tenant).exists()
    assert "Entered: 1 of 1 lines changed the ledger." in run_command(path, "--apply")
    assert "Entered: 0 of 1 lines changed the ledger." in run_command(path, "--apply")
    path.write_bytes(csv_of(figure(5, 1), "x"))
    with pytest.raises(CommandError, match="Nothing was taken"):
        run_command(path, "--apply")
    path.write_bytes(b"\x00")
    with pytest.raises(CommandError, match="no text has"):
        run_command(path)
