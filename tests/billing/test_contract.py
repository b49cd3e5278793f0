"""The rules of the size contract: each names a test that exists, and those that no other file holds are held here."""

from __future__ import annotations

import ast
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from billing.finalising import finalise
from billing.invoicing import decide, draft_run
from billing.ledger import enter_usage
from billing.models import InvoiceRun, UsageEntry
from billing.params import BadParams
from billing.plans import PlanDraft, make_plan
from billing.refusals import NotFound
from billing.size_contract import FOLDER, NEWEST, VERSIONS, size_contract
from billing.snapshots import frozen
from billing.verifying import verify
from integrations.logs.joblog import JobLog, LogError
from msp.backups.models import BackupJob
from msp.backups.recording import record_runs
from msp.backups.runs import AssignedRun
from msp.estate.models import Selection
from tests.billing.months import (
    ACTOR,
    BEGAN,
    GB,
    NOVEMBER,
    OCTOBER,
    Month,
    invoices_of,
    lines_of,
    measurement,
    nights,
    october,
    only_invoice,
)
from tests.world import World, make_job

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parents[2]
PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}


def drafted(month: Month) -> InvoiceRun:
    return draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)


# ---- the text ----------------------------------------------------------------------------------------------------


def test_no_version_of_the_text_was_rewritten() -> None:
    assert {version: size_contract(version).sha256 for version in VERSIONS} == VERSIONS
    assert {path.stem for path in FOLDER.iterdir()} == set(VERSIONS)


def test_the_docs_hold_the_newest_version() -> None:
    assert (ROOT / "docs" / "size-contract.md").read_text() == size_contract(NEWEST).text


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(NotFound, match="no version '../1' of the size contract; there are: 1"):
        size_contract("../1")


def rules_of(version: str) -> list[str]:
    """The rules of a version: every paragraph and every item of a list, without headings."""
    text = size_contract(version).text.split("## What is metered")[1]
    blocks = re.split(r"\n\n|\n(?=\* )", text)
    return [block for block in blocks if block.strip() and not block.lstrip().startswith("#")]


@pytest.mark.parametrize("version", VERSIONS)
def test_each_rule_names_a_test_that_exists(version: str) -> None:
    for rule in rules_of(version):
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", rule)
        assert named, f"no test holds: {rule}"
        for path, function in named:
            tree = ast.parse((ROOT / path).read_text())
            assert any(isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body), (
                path,
                function,
            )


# ---- what is metered ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "metric, lacks",
    [
        ("stored", "stored size"),
        ("restorable_latest", "restorable size"),
        ("transferred", "bytes sent"),
        ("components", "mailboxes, databases or virtual machines"),
    ],
)
@pytest.mark.parametrize("starts_with", ["first_good", "agreed"])
def test_what_a_product_does_not_report_cannot_be_measured_by_it(
    month: Month, world: World, metric: str, lacks: str, starts_with: str
) -> None:
    BackupJob.objects.of(world.tenant).filter(pk=world.job.pk).update(product="tar")
    unit = "each" if metric == "components" else "GB"
    month.on_plan(world.client, month.plan(metric=metric, unit=unit, starts_with=starts_with, **PER_GB))
    month.measure(world.job, october(100 * GB))
    invoice = only_invoice(drafted(month))
    (sentence,) = invoice.held
    said = f"backup01: files: cannot be measured by this metric: tar reports no {lacks}, so nothing is charged for it"
    assert sentence.startswith(said)
    assert ("2026-10-31" in sentence) == (starts_with == "agreed")
    left = decide(world.tenant, invoice.uid, decision="exclude_missing", actor=ACTOR, reason="agreed", now=NOVEMBER)
    assert (left.held, left.net) == ([], Decimal(0))


def test_the_largest_protected_size_does_not_fall_within_a_period(month: Month, world: World) -> None:
    plan = month.plan(metric="protected_largest", **PER_GB)
    month.on_plan(world.client, plan)
    sizes = october(100 * GB, last=10) | october(200 * GB, first=11, last=11) | october(100 * GB, first=12)
    month.measure(world.job, nights(date(2026, 9, 29), date(2026, 9, 29), 900 * GB) | sizes)
    month.measure(world.job, nights(date(2026, 9, 30), date(2026, 9, 30), 150 * GB))
    invoice = only_invoice(drafted(month))
    (line,) = lines_of(invoice)
    # the 900 GB of an earlier period are not in it; 1 October is measured, so neither are the 150 GB before it:
    # 10 days of 100 and 21 of 200 are 5,200 GB-days / 31 = 167.742 GB, at 0.10
    assert (invoice.held, line.quantity, line.amount) == ([], Decimal("167.742"), Decimal("16.77"))
    assert "daily average of largest protected size" in line.description
    last = line.evidence[0]["days"][-1]
    assert (last["quantity"], last["measured_on"], last["state"]) == (200 * GB, "2026-10-11", "measured")
    assert last["note"] == f"Largest of the period so far, of 2026-10-11; this day alone: {100 * GB} bytes"
    final = finalise(world.tenant, invoice.uid, actor=ACTOR, now=NOVEMBER)
    assert verify(world.tenant, final.uid).differences == ()


def test_the_figure_that_stands_on_the_first_day_belongs_to_the_largest(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(metric="protected_largest", carry_days=3, **PER_GB))
    month.measure(world.job, nights(date(2026, 9, 30), date(2026, 9, 30), 150 * GB) | october(100 * GB, first=3))
    invoice = only_invoice(drafted(month))
    # 1 and 2 October are carried from 30 September
    assert (invoice.held, invoice.net) == ([], Decimal("15.00"))


def test_stored_and_protected_size_are_never_mixed(month: Month, world: World) -> None:
    plans = [month.plan(code=name, metric=name, price="per_unit", price_params={"unit_price": "1"})
             for name in ("protected", "stored", "transferred")]  # fmt: skip
    for place, plan in enumerate(plans):
        job = make_job(world.tenant, world.server, world.client, f"job {place}")
        agreement = month.agreement(month.bill_to(f"Payer {place}"))
        month.subscribe(job.selection, plan, agreement)
        month.measure(job, october(100 * GB), stored_bytes=40 * GB, transferred_bytes=7 * GB)
    run = drafted(month)
    nets = {line.working["plan"]["metric"]: line.amount for bill in invoices_of(run) for line in lines_of(bill)}
    assert nets == {"protected": Decimal(100), "stored": Decimal(40), "transferred": Decimal(7)}


@pytest.mark.parametrize(
    "terms, field",
    [
        ({"metric": "machines", "unit": "GB"}, "unit: machines are counted: choose the unit each"),
        ({"metric": "protected", "unit": "each"}, "unit: sizes are billed in a unit of bytes"),
        ({"metric": "components", "unit": "each", "meter": "count"}, "meter: components are a number already"),
        ({"metric": "machines", "unit": "each", "pool": "selection"}, "pool: things are counted together"),
        ({"metric": "compressed"}, "metric: this must be one of: protected, protected_largest, restorable_latest"),
    ],
)
def test_counts_are_billed_in_the_unit_each(month: Month, terms: dict[str, Any], field: str) -> None:
    draft = PlanDraft(name="P", currency="EUR", price="per_unit", price_params={"unit_price": "1"}, **terms)
    with pytest.raises(BadParams, match=f"^{field}"):
        make_plan(month.tenant, code="p", draft=draft, actor=ACTOR, now=BEGAN)


# ---- days --------------------------------------------------------------------------------------------------------


def test_a_change_of_zone_moves_no_figure_that_was_written(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    late = datetime(2026, 10, 14, 23, 30, tzinfo=UTC)
    enter_usage(world.tenant.pk, [measurement(world.job, late, 100 * GB, run_key="utc")], now=NOVEMBER)
    world.tenant.timezone = "Europe/Berlin"
    world.tenant.save()
    later = datetime(2026, 10, 15, 23, 30, tzinfo=UTC)
    enter_usage(world.tenant.pk, [measurement(world.job, later, 100 * GB, run_key="berlin")], now=NOVEMBER)
    month.measure(world.job, october(100 * GB, last=13) | october(100 * GB, first=17))
    found = dict(
        UsageEntry.objects.of(world.tenant).filter(run_key__in=["utc", "berlin"]).values_list("run_key", "local_day")
    )
    assert found == {"utc": date(2026, 10, 14), "berlin": date(2026, 10, 16)}
    run = drafted(month)
    (line,) = lines_of(only_invoice(run))
    states = {day["day"]: day["state"] for day in line.evidence[0]["days"]}
    # the night that the change left without a figure is carried, not lost and not counted twice
    assert (run.timezone, states.pop("2026-10-15"), set(states.values())) == ("Europe/Berlin", "late", {"measured"})


def read_run(world: World, **values: Any) -> AssignedRun:
    at = datetime(2026, 10, 5, 2, tzinfo=UTC)
    log = JobLog(product="restic", operation="backup", started_at=at, ended_at=at, basis="logical-once", **values)
    return AssignedRun(
        job_id=world.job.pk, selection_id=world.job.selection_id, client_id=world.client.pk, receipt_id=1, place=0,
        delivery_key="d", received_at=at, told_end=None, log=log,
    )  # fmt: skip


@pytest.mark.parametrize(
    "said, measures",
    [
        ({"outcome": "success"}, True),
        ({"outcome": "failure"}, False),
        ({"outcome": "success", "complete": False}, False),
        ({"outcome": "cancelled"}, False),
        ({"outcome": "unknown"}, False),
        ({"outcome": "warning", "complete": True, "errors": (LogError("x", kind="unreadable"),),
          "files": {"total": 1000}, "files_failed": 10}, True),
        ({"outcome": "warning", "complete": True, "errors": (LogError("x", kind="unreadable"),),
          "files": {"total": 1000}, "files_failed": 11}, False),
        ({"outcome": "success", "problems": ("The end is before the start.",)}, False),
    ],
)  # fmt: skip
def test_failed_and_partial_runs_are_no_measurement(world: World, said: dict[str, Any], measures: bool) -> None:
    recorded = record_runs(world.tenant.pk, [read_run(world, protected_bytes=500, **said)], now=NOVEMBER)
    entered = enter_usage(world.tenant.pk, recorded.measurements, now=NOVEMBER)
    assert (entered.entries, UsageEntry.objects.of(world.tenant).count()) == ((1, 1) if measures else (0, 0))


def test_a_day_begins_where_an_outage_of_26_hours_ended(month: Month, world: World) -> None:
    """Nothing for 26 hours around a midnight: the one day without a figure is carried, no other is touched."""
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB, last=9) | october(100 * GB, first=11))
    (line,) = lines_of(only_invoice(drafted(month)))
    states = {day["day"]: day["state"] for day in line.evidence[0]["days"]}
    assert (states.pop("2026-10-10"), set(states.values()), line.amount) == ("late", {"measured"}, Decimal("10.00"))


# ---- overlap, and what comes, goes and changes ---------------------------------------------------------------------


def test_an_image_and_the_files_of_one_machine_add_up(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    image = make_job(world.tenant, world.server, world.client, "image")
    month.measure(world.job, october(100 * GB))
    month.measure(image, october(60 * GB), basis="used")
    assert lines_of(only_invoice(drafted(month)))[0].quantity == Decimal(160)


def test_what_is_deleted_at_the_source_leaves_the_protected_size(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(meter="last_day", **PER_GB))
    month.measure(world.job, october(100 * GB, last=20), stored_bytes=300 * GB)
    month.measure(world.job, october(80 * GB, first=21), stored_bytes=310 * GB)
    assert only_invoice(drafted(month)).net == Decimal("8.00")


def test_versions_of_a_database_count_once(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    for hour in (1, 7, 13, 19):
        for day in range(1, 32):
            at = datetime(2026, 10, day, hour, tzinfo=UTC)
            enter_usage(month.tenant.pk, [measurement(world.job, at, 100 * GB, basis="dump")], now=NOVEMBER)
    # four dumps a day, 124 kept versions: the database is 100 GB
    assert lines_of(only_invoice(drafted(month)))[0].quantity == Decimal(100)


def test_a_replaced_machine_is_charged_to_its_last_figure_and_from_its_first(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    fresh = make_job(world.tenant, world.server, world.client, "files of the new machine")
    month.measure(world.job, nights(date(2026, 9, 28), date(2026, 10, 10), 310 * GB))
    month.measure(fresh, october(310 * GB, first=13))
    Selection.objects.of(world.tenant).filter(pk=world.job.selection_id).update(state="retired")
    (line,) = lines_of(only_invoice(drafted(month)))
    charged = {one["name"]: sum(day["quantity"] is not None for day in one["days"]) for one in line.evidence}
    assert charged == {"backup01: files": 10, "backup01: files of the new machine": 19}


# ---- printed -----------------------------------------------------------------------------------------------------


def test_the_version_is_printed_on_the_line_and_frozen(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB))
    invoice = finalise(world.tenant, only_invoice(drafted(month)).uid, actor=ACTOR, now=NOVEMBER)
    (line,) = frozen(invoice)["lines"]
    assert (line["size_contract"], line["working"]["size_contract"]) == ("1", "1")
