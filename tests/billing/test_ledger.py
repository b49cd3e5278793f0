"""What runs measured is written once, corrected by further entries, and placed where it belonged on its local day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from billing.ledger import enter_usage
from billing.models import MeasuringChoice, UsageEntry
from msp.backups.models import JobSelectionSpan
from msp.backups.runs import Measurement
from msp.estate.models import ClientResellerSpan, Selection, SelectionClientSpan
from tests.world import World, make_client, make_job

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)
NOW = datetime(2026, 10, 6, tzinfo=UTC)


def measurement(world: World, **values: object) -> Measurement:
    base = Measurement(
        job_id=world.job.pk,
        selection_id=world.job.selection_id,
        client_id=world.client.pk,
        run_key="snap-1",
        filed_month=date(2026, 10, 1),
        measured_at=NOON,
        basis="logical-once",
        protected_bytes=1000,
        stored_bytes=None,
        transferred_bytes=10,
    )
    return replace(base, **values)  # type: ignore[arg-type]


def entries(world: World, metric: str = "protected") -> list[UsageEntry]:
    return list(UsageEntry.objects.of(world.tenant).filter(metric=metric).order_by("source", "revision"))


def test_each_reported_metric_is_one_entry_and_a_repeat_writes_nothing(world: World) -> None:
    first = enter_usage(world.tenant.pk, [measurement(world)], now=NOW)
    again = enter_usage(world.tenant.pk, [measurement(world), measurement(world)], now=NOW + timedelta(days=1))
    assert (first.entries, again.entries) == (2, 0)
    (entry,) = entries(world)
    assert (entry.source, entry.quantity, entry.revision) == (f"run:{world.job.pk}:snap-1", 1000, 0)
    assert (entry.local_day, entry.measured_at, entry.known_at) == (date(2026, 10, 5), NOON, NOW)
    assert (entry.selection_id, entry.client_id, entry.reseller_id) == (world.job.selection_id, world.client.pk, None)
    assert [one.quantity for one in entries(world, "transferred")] == [10]
    assert entries(world, "stored") == []


def test_another_figure_is_the_next_revision_and_none_withdraws(world: World) -> None:
    enter_usage(world.tenant.pk, [measurement(world)], now=NOW)
    enter_usage(world.tenant.pk, [measurement(world, protected_bytes=900, reason="replayed")], now=NOW)
    enter_usage(world.tenant.pk, [measurement(world, protected_bytes=None, transferred_bytes=None)], now=NOW)
    enter_usage(world.tenant.pk, [measurement(world, protected_bytes=None, transferred_bytes=None)], now=NOW)
    enter_usage(world.tenant.pk, [measurement(world, protected_bytes=900)], now=NOW)
    assert [(one.revision, one.quantity) for one in entries(world)] == [(0, 1000), (1, 900), (2, None), (3, 900)]
    assert {one.local_day for one in entries(world)} == {date(2026, 10, 5)}


def test_nothing_is_withdrawn_that_was_never_said(world: World) -> None:
    assert (
        enter_usage(
            world.tenant.pk, [measurement(world, protected_bytes=None, transferred_bytes=None)], now=NOW
        ).entries
        == 0
    )
    assert enter_usage(world.tenant.pk, [], now=NOW).entries == 0


def test_the_day_is_the_tenants(world: World) -> None:
    world.tenant.timezone = "Europe/Berlin"
    world.tenant.save()
    before, after = datetime(2026, 10, 31, 22, 59, 59, tzinfo=UTC), datetime(2026, 10, 31, 23, 0, tzinfo=UTC)
    enter_usage(
        world.tenant.pk,
        [measurement(world, run_key="a", measured_at=before), measurement(world, run_key="b", measured_at=after)],
        now=NOW,
    )
    assert [one.local_day for one in entries(world)] == [date(2026, 10, 31), date(2026, 11, 1)]


def test_selection_client_and_reseller_are_those_of_the_day(world: World) -> None:
    tenant, job, heir = world.tenant, world.job, make_client(world.tenant, "Heir", reseller=world.reseller)
    SelectionClientSpan.objects.of(tenant).filter(selection_id=job.selection_id).update(until=date(2026, 10, 10))
    SelectionClientSpan.objects.of(tenant).create(selection_id=job.selection_id, client=heir, since=date(2026, 10, 10))
    ClientResellerSpan.objects.of(tenant).filter(client=heir).update(until=date(2026, 10, 20))
    ClientResellerSpan.objects.of(tenant).create(client=heir, reseller=None, since=date(2026, 10, 20))
    days = [datetime(2026, 10, day, 12, tzinfo=UTC) for day in (9, 10, 20)]
    enter_usage(tenant.pk, [measurement(world, run_key=f"{day:%d}", measured_at=day) for day in days], now=NOW)
    placed = [(one.client_id, one.reseller_id) for one in entries(world)]
    assert placed == [(world.client.pk, None), (heir.pk, world.reseller.pk), (heir.pk, None)]


def test_a_job_that_was_moved_measures_what_it_protected_on_that_day(world: World) -> None:
    tenant, other = world.tenant, make_job(world.tenant, world.server, world.client, "other")
    JobSelectionSpan.objects.of(tenant).filter(job=world.job).update(until=date(2026, 10, 5))
    JobSelectionSpan.objects.of(tenant).create(job=world.job, selection_id=other.selection_id, since=date(2026, 10, 5))
    enter_usage(tenant.pk, [measurement(world)], now=NOW)
    assert [one.selection_id for one in entries(world)] == [other.selection_id]


def test_the_first_measurable_run_sets_the_measuring_job_and_basis(world: World) -> None:
    second = make_job(world.tenant, world.server, world.client, "copy", role="copy")
    second.selection_id = world.job.selection_id
    second.save()
    JobSelectionSpan.objects.of(world.tenant).filter(job=second).update(selection_id=world.job.selection_id)
    copied = measurement(world, job_id=second.pk, run_key="c", measured_at=NOON - timedelta(hours=1), basis="used")
    entered = enter_usage(world.tenant.pk, [copied, measurement(world)], now=NOW)
    assert entered.first_measured == (world.job.selection_id,)
    selection = Selection.objects.of(world.tenant).get(pk=world.job.selection_id)
    assert (selection.measuring_job_id, selection.basis) == (world.job.pk, "logical-once")
    again = enter_usage(world.tenant.pk, [measurement(world, run_key="n", basis="dump")], now=NOW)
    assert again.first_measured == ()
    selection.refresh_from_db()
    assert (selection.measuring_job_id, selection.basis) == (world.job.pk, "logical-once")
    (choice,) = MeasuringChoice.objects.of(world.tenant)
    assert (choice.job_id, choice.basis, choice.since, choice.actor) == (
        world.job.pk, "logical-once", date(2026, 10, 5), "",
    )  # fmt: skip


def test_a_proposed_job_is_entered_but_measures_nothing_by_itself(world: World) -> None:
    world.job.state = "proposed"
    world.job.save()
    assert enter_usage(world.tenant.pk, [measurement(world)], now=NOW).first_measured == ()
    assert len(entries(world)) == 1


def test_the_number_of_statements_does_not_grow_with_the_batch(world: World) -> None:
    def statements(count: int) -> int:
        batch = [measurement(world, run_key=f"{count}-{place}") for place in range(count)]
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert enter_usage(world.tenant.pk, batch, now=NOW).entries == 2 * count
        return len(queries)

    assert statements(1) == statements(500) == 3


def test_a_tenants_usage_is_seen_by_nobody_else(world: World) -> None:
    enter_usage(world.tenant.pk, [measurement(world)], now=NOW)
    assert not UsageEntry.objects.of(world.other).exists()
    assert enter_usage(world.other.pk, [measurement(world)], now=NOW).first_measured == ()


@pytest.mark.parametrize("statement", ["UPDATE billing_usageentry SET quantity = 1", "DELETE FROM billing_usageentry"])
def test_entries_are_only_inserted(world: World, statement: str) -> None:
    enter_usage(world.tenant.pk, [measurement(world)], now=NOW)
    with pytest.raises(IntegrityError, match="only inserted"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert len(entries(world)) == 1
