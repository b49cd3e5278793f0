"""Plans and subscriptions: what cannot be is refused with a sentence, and a version never changes."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing.models import Agreement, Plan, Subscription
from billing.params import BadParams
from billing.plans import PlanDraft, draft_of, make_plan, new_version, plan_record
from billing.refusals import NotFound, Refused
from billing.subscribing import change_plan, end, subscribe
from msp.tenants.models import AuditEntry
from tests.billing.months import ACTOR, BEGAN, NOVEMBER, TIERS, Month
from tests.world import World

pytestmark = pytest.mark.django_db


def test_a_plan_keeps_exact_settings_and_gets_versions(month: Month) -> None:
    first = month.plan(minimum=Decimal("5.00"))
    second = new_version(
        month.tenant, code="tiered", draft=draft_of(first, minimum=Decimal("6.50")), actor=ACTOR, now=NOVEMBER
    )
    assert (first.version, second.version) == (1, 2)
    first.refresh_from_db()
    assert (plan_record(first)["minimum"], plan_record(second)["minimum"]) == ("5", "6.5")
    assert plan_record(second)["price_params"] == plan_record(first)["price_params"]
    assert first.price_params["tiers"][0] == {"unit_price": "0.10", "up_to": "100", "above": None}
    actions = AuditEntry.objects.of(month.tenant).filter(subject_kind="plan").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == ["plan.created", "plan.new_version"]


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"currency": "Euro"}, "currency"),
        ({"price": "guess"}, "price"),
        ({"price_params": {"tiers": []}}, "tiers"),
        ({"price_params": {"tiers": [{"unit_price": 0.1}]}}, "tiers[1].unit_price"),
        ({"price_params": {**TIERS, "colour": "red"}}, "colour"),
        ({"meter": "median"}, "meter"),
        ({"meter_params": {"accept_missing": "carry"}}, "accept_missing"),
        ({"metric": "vibes"}, "metric"),
        ({"unit": "gigabyte"}, "unit"),
        ({"unit": "each"}, "unit"),
        ({"quantity_places": 7}, "quantity_places"),
        ({"minimum": Decimal(-1)}, "minimum"),
        ({"allowance": Decimal(-1)}, "allowance"),
        ({"carry_days": -1}, "carry_days"),
        ({"starts_with": "christmas"}, "starts_with"),
        ({"pool": "ocean"}, "pool"),
        ({"name": " "}, "name"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(month: Month, changes: dict[str, Any], field: str) -> None:
    terms: dict[str, Any] = {"name": "Backup", "currency": "EUR", "price": "tiered", "price_params": TIERS} | changes
    with pytest.raises(BadParams) as refused:
        make_plan(month.tenant, code="x", draft=PlanDraft(**terms), actor=ACTOR, now=NOVEMBER)
    assert refused.value.field == field
    assert not Plan.objects.of(month.tenant).exists()


def test_a_code_is_one_plans(month: Month) -> None:
    month.plan()
    with pytest.raises(Refused, match="a plan tiered already"):
        month.plan()
    with pytest.raises(Refused, match="no plan other"):
        new_version(
            month.tenant, code="other", draft=draft_of(Plan.objects.of(month.tenant).get()), actor=ACTOR, now=NOVEMBER
        )


def signed(month: Month, **values: Any) -> Agreement:
    return month.agreement(month.bill_to("Acme Dental Ltd"), **values)


def test_two_subscriptions_of_one_layer_never_share_a_day(month: Month, world: World) -> None:
    plan, agreement = month.plan(), signed(month)
    month.subscribe(world.client, plan, agreement, starts_on=date(2026, 3, 1), ends_on=date(2026, 6, 1))
    for starts, ends in ((date(2026, 5, 31), None), (date(2026, 1, 1), date(2026, 3, 2)), (date(2026, 4, 1), None)):
        with pytest.raises(Refused, match=r"Acme Dental is on plan Backup \(version 1\) from 2026-03-01 to 2026-06-01"):
            month.subscribe(world.client, plan, agreement, starts_on=starts, ends_on=ends)
    month.subscribe(world.client, plan, agreement, starts_on=date(2026, 1, 1), ends_on=date(2026, 3, 1))
    month.subscribe(world.client, plan, agreement, starts_on=date(2026, 6, 1))
    month.subscribe(world.job.selection, plan, agreement)
    with pytest.raises(Refused, match="backup01: files is on plan"):
        month.subscribe(world.job.selection, plan, agreement, starts_on=date(2026, 12, 1))
    month.subscribe(world.reseller, plan, agreement)
    with pytest.raises(Refused, match="Harbour IT is on plan"):
        month.subscribe(world.reseller, plan, agreement)


def test_the_plan_must_be_in_the_payers_currency(month: Month, world: World) -> None:
    dollars = month.plan(code="usd", currency="USD")
    with pytest.raises(Refused, match=r"is in USD, but Acme Dental Ltd pays in EUR"):
        month.subscribe(world.client, dollars, signed(month))


def test_dates_must_fit_the_agreement(month: Month, world: World) -> None:
    plan = month.plan()
    agreement = signed(month, starts_on=date(2026, 2, 1), ends_on=date(2026, 12, 1))
    for dates, sentence in (
        ({"starts_on": date(2026, 1, 31)}, "begins on 2026-02-01"),
        ({"starts_on": date(2026, 12, 1)}, "ended on 2026-12-01"),
        ({"starts_on": date(2026, 3, 1), "ends_on": date(2026, 3, 1)}, "ends after it begins"),
    ):
        with pytest.raises(Refused, match=sentence):
            month.subscribe(world.client, plan, agreement, **dates)


def test_a_plan_changes_on_a_day(month: Month, world: World) -> None:
    old, new = month.plan(), month.plan("flat", price="flat", price_params={"fee": "31"})
    first = month.subscribe(world.client, old, signed(month), ends_on=date(2027, 1, 1))
    second = change_plan(first, tenant=world.tenant, plan=new, on=date(2026, 10, 16), actor=ACTOR, now=NOVEMBER)
    first.refresh_from_db()
    assert (first.ends_on, second.starts_on, second.ends_on, second.plan_id) == (
        date(2026, 10, 16), date(2026, 10, 16), date(2027, 1, 1), new.pk,
    )  # fmt: skip
    for day in (first.starts_on, date(2026, 10, 16), date(2027, 5, 1)):
        with pytest.raises(Refused, match="The plan can change on a day after"):
            change_plan(first, tenant=world.tenant, plan=new, on=day, actor=ACTOR, now=NOVEMBER)


def test_a_subscription_ends_once(month: Month, world: World) -> None:
    subscription = month.subscribe(world.client, month.plan(), signed(month))
    end(subscription, tenant=world.tenant, on=date(2026, 5, 1), actor=ACTOR, now=NOVEMBER)
    end(subscription, tenant=world.tenant, on=date(2026, 4, 1), actor=ACTOR, now=NOVEMBER)
    for day, sentence in ((date(2026, 1, 1), "can end on a later day"), (date(2026, 6, 1), "ended on 2026-04-01")):
        with pytest.raises(Refused, match=sentence):
            end(subscription, tenant=world.tenant, on=day, actor=ACTOR, now=NOVEMBER)


def test_nothing_of_another_tenant_can_be_subscribed(month: Month, world: World) -> None:
    plan, agreement = month.plan(), signed(month)
    strange = world.other_server.client
    assert strange is not None
    with pytest.raises(NotFound, match="no such client"):
        month.subscribe(strange, plan, agreement)
    subscription = month.subscribe(world.client, plan, agreement)
    with pytest.raises(NotFound):
        end(subscription, tenant=world.other, on=date(2026, 5, 1), actor=ACTOR, now=NOVEMBER)
    with pytest.raises(NotFound):
        subscribe(
            strange,
            tenant=world.other,
            plan=plan,
            agreement=agreement,
            starts_on=date(2026, 5, 1),
            actor=ACTOR,
            now=BEGAN,
        )
    assert Subscription.objects.of(world.other).count() == 0
