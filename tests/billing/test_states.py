"""States of a selection and of its client are dated, and the plan says which of their days are charged."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from django.db import connection

from billing.invoicing import draft_run
from billing.models import InvoiceRun
from billing.params import BadParams
from billing.plans import PlanDraft, make_plan
from msp.estate.models import ClientStateSpan, Selection, SelectionStateSpan
from msp.estate.spans import Actor, BadChange, set_selection_state
from msp.tenants.models import AuditEntry
from tests.billing.months import ACTOR, BEGAN, GB, NOVEMBER, OCTOBER, Month, lines_of, nights, october, only_invoice
from tests.world import World

pytestmark = pytest.mark.django_db
#: 0.10 a GB: 310 GB cost 31.00 a month, 1.00 a day.
PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}


def drafted(month: Month, first_day: date = OCTOBER) -> InvoiceRun:
    return draft_run(month.tenant, month.seller, first_day=first_day, actor=ACTOR, now=NOVEMBER)


def turn(world: World, state: str, on: date) -> None:
    actor = Actor(name=ACTOR, now=NOVEMBER)
    set_selection_state(world.tenant, world.job.selection_id, state=state, on=on, actor=actor)


def spans(world: World) -> list[tuple[str, date, date | None]]:
    rows = SelectionStateSpan.objects.of(world.tenant).order_by("since")
    return list(rows.values_list("state", "since", "until"))


def test_a_state_is_dated_and_audited(world: World) -> None:
    turn(world, "suspended", date(2026, 10, 11))
    turn(world, "suspended", date(2026, 10, 12))
    turn(world, "active", date(2026, 10, 21))
    assert spans(world) == [
        ("active", date(2026, 1, 1), date(2026, 10, 11)),
        ("suspended", date(2026, 10, 11), date(2026, 10, 21)),
        ("active", date(2026, 10, 21), None),
    ]
    told = AuditEntry.objects.of(world.tenant).filter(action="selection state").order_by("pk")
    assert [(each.before, each.after) for each in told] == [
        ({"state": "active"}, {"state": "suspended", "on": "2026-10-11"}),
        ({"state": "suspended"}, {"state": "active", "on": "2026-10-21"}),
    ]


@pytest.mark.parametrize(
    "state, on, sentence",
    [
        ("suspended", date(2026, 11, 3), "cannot be dated ahead"),
        ("suspended", date(2025, 12, 31), "what holds now began on 2026-01-01"),
        ("gone", date(2026, 10, 1), "active, seeding, suspended or retired"),
    ],
)
def test_a_day_that_cannot_be_is_refused(world: World, state: str, on: date, sentence: str) -> None:
    with pytest.raises(BadChange, match=sentence):
        turn(world, state, on)
    assert spans(world) == []
    assert Selection.objects.of(world.tenant).get(pk=world.job.selection_id).state == "active"


@pytest.mark.parametrize("charged, amount, days", [("no", "21.00", 21), ("yes", "31.00", 31)])
def test_suspended_days_follow_the_plan(month: Month, world: World, charged: str, amount: str, days: int) -> None:
    month.on_plan(world.client, month.plan(carry_days=0, charge_suspended=charged, **PER_GB))
    month.measure(world.job, october(310 * GB, last=10) | october(310 * GB, first=21))
    turn(world, "suspended", date(2026, 10, 11))
    turn(world, "active", date(2026, 10, 21))
    invoice = only_invoice(drafted(month))
    (line,) = lines_of(invoice)
    assert (invoice.held, line.amount, line.working["billable_days"]) == ([], Decimal(amount), days)


@pytest.mark.parametrize("charged, amount", [("no", "10.00"), ("yes", "31.00")])
def test_a_suspended_client_follows_the_plan_too(month: Month, world: World, charged: str, amount: str) -> None:
    month.on_plan(world.client, month.plan(carry_days=0, charge_suspended=charged, **PER_GB))
    states = ClientStateSpan.objects.of(world.tenant)
    states.filter(client=world.client).update(until=date(2026, 10, 11))
    states.create(client=world.client, state="suspended", since=date(2026, 10, 11))
    month.measure(world.job, october(310 * GB, last=10))
    invoice = only_invoice(drafted(month))
    assert (invoice.held, invoice.net) == ([], Decimal(amount))


@pytest.mark.parametrize("charged", ["no", "yes"])
def test_a_trial_is_charged_by_no_plan(month: Month, world: World, charged: str) -> None:
    month.on_plan(world.client, month.plan(charge_suspended=charged, charge_seeding="always", **PER_GB))
    states = ClientStateSpan.objects.of(world.tenant)
    states.filter(client=world.client).update(until=date(2026, 10, 1))
    states.create(client=world.client, state="trial", since=date(2026, 10, 1))
    month.measure(world.job, october(310 * GB))
    assert not lines_of_all(drafted(month))


def lines_of_all(run: InvoiceRun) -> list[Any]:
    from billing.models import InvoiceLine

    return list(InvoiceLine.objects.of(run.tenant_id))


@pytest.mark.parametrize(
    "charged, starts_with, amount, held",
    [
        ("first_figure", "agreed", "12.00", 0),
        ("never", "agreed", "6.00", 0),
        ("always", "first_good", "12.00", 0),
        ("always", "agreed", "31.00", 1),
    ],
)
def test_seeding_days_follow_the_plan(
    month: Month, world: World, charged: str, starts_with: str, amount: str, held: int
) -> None:
    """The disk travels from the 1st, lands on the 20th, and a person ends the seeding on the 26th."""
    plan = month.plan(carry_days=0, charge_seeding=charged, starts_with=starts_with, **PER_GB)
    month.on_plan(world.client, plan)
    turn(world, "seeding", date(2026, 10, 1))
    turn(world, "active", date(2026, 10, 26))
    month.measure(world.job, october(310 * GB, first=20, last=21) | october(310 * GB, first=26))
    invoice = only_invoice(drafted(month))
    (line,) = lines_of(invoice)
    # between its first figure and the end of seeding no run was due: the figure of the 21st stands
    assert (line.amount, len(invoice.held)) == (Decimal(amount), held)


def test_what_is_retired_is_charged_to_the_day_before(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, nights(date(2026, 9, 20), date(2026, 10, 10), 310 * GB))
    turn(world, "retired", date(2026, 10, 13))
    invoice = only_invoice(drafted(month))
    # ten days measured, two carried
    assert (invoice.held, invoice.net) == ([], Decimal("12.00"))


def test_a_month_reads_the_same_after_a_later_change(month: Month, world: World) -> None:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, nights(date(2026, 9, 1), date(2026, 10, 31), 310 * GB))
    before = only_invoice(drafted(month, date(2026, 9, 1))).draft_hash
    turn(world, "retired", date(2026, 10, 15))
    again = only_invoice(drafted(month, date(2026, 9, 1)))
    # 310 GB on 30 of 30 days
    assert (again.draft_hash, again.net) == (before, Decimal("31.00"))


@pytest.mark.parametrize("field, word", [("charge_suspended", "maybe"), ("charge_seeding", "later")])
def test_a_plan_knows_its_words(month: Month, field: str, word: str) -> None:
    draft = PlanDraft(name="P", currency="EUR", price="per_unit", price_params={"unit_price": "1"}, **{field: word})  # type: ignore[arg-type]
    with pytest.raises(BadParams, match=f"^{field}: this must be one of"):
        make_plan(month.tenant, code="p", draft=draft, actor=ACTOR, now=BEGAN)


@pytest.mark.parametrize(
    "state, expected",
    [
        ("active", []),
        ("seeding", [("seeding", date(2026, 1, 1), None)]),
        ("retired", [("active", date(2026, 1, 1), date(2026, 10, 11)), ("retired", date(2026, 10, 11), None)]),
        ("suspended", [("active", date(2026, 1, 1), date(2026, 10, 11)), ("suspended", date(2026, 10, 11), None)]),
    ],
)
def test_the_migration_fills_in_what_is_known(month: Month, world: World, state: str, expected: list[Any]) -> None:
    month.measure(world.job, october(1, last=10))
    Selection.objects.of(world.tenant).filter(pk=world.job.selection_id).update(state=state)
    fill = import_module("billing.migrations.0009_states_and_settings").FILL
    with connection.cursor() as cursor:
        cursor.execute(fill)
    assert spans(world) == expected


def test_one_that_was_never_measured_was_always_so(world: World) -> None:
    registered = datetime(2026, 3, 5, 23, 30, tzinfo=UTC)
    rows = Selection.objects.of(world.tenant).filter(pk=world.job.selection_id)
    rows.update(state="retired", registered_at=registered)
    fill = import_module("billing.migrations.0009_states_and_settings").FILL
    with connection.cursor() as cursor:
        cursor.execute(fill)
    assert spans(world) == [("retired", date(2026, 1, 1), None)]
