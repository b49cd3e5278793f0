"""The form of a plan offers every meter with its settings, keeps them for the next version, and says what cannot be."""

from __future__ import annotations

import pytest
from django.test import Client as Browser
from django.urls import reverse

from billing.metering import METERS
from billing.models import Plan
from tests.dashboard.scene import browser_of
from tests.dashboard.test_billing_pages import PLAN, text_of
from tests.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def cashier(world: World) -> Browser:
    return browser_of(world.billing)


def test_every_meter_can_be_chosen_and_says_what_it_does(cashier: Browser) -> None:
    page = cashier.get(reverse("plan-new")).content.decode()
    for name, meter in METERS.items():
        assert f'<option value="{name}"' in page, name
        shown = text_of(cashier.post(reverse("plan-new"), PLAN | {"do": "reshape", "meter": name}))
        assert meter.HELP in shown, name


def test_a_meters_settings_are_typed_kept_and_shown_again(world: World, cashier: Browser) -> None:
    typed = PLAN | {"meter": "count", "unit": "each", "meter-things": "machines", "meter-days": "peak"}
    assert cashier.post(reverse("plan-new"), typed).status_code == 302
    plan = Plan.objects.of(world.tenant).get(code="gold")
    assert plan.meter_params == {"things": "machines", "days": "peak"}
    listed = text_of(cashier.get(reverse("plans")))
    assert "machines, in each" in listed
    form = cashier.get(reverse("plan-version", args=[plan.uid])).content.decode()
    assert '<option value="machines" selected' in form
    assert '<option value="peak" selected' in form


def test_a_setting_left_out_has_its_default(world: World, cashier: Browser) -> None:
    assert cashier.post(reverse("plan-new"), PLAN | {"meter": "cumulative_unique"}).status_code == 302
    assert Plan.objects.of(world.tenant).get(code="gold").meter_params == {"figure": "last"}


EXAMPLES: dict[str, dict[str, str]] = {
    "committed": {"committed_quantity": "500", "unit_price": "0.04", "overage_price": "0.06"},
    "machine_and_size": {"fee": "5", "unit_price": "0.05", "per": "machine"},
    "percentage": {"percent": "15", "plans-1-code": "base", "plans-2-code": ""},
}


@pytest.mark.parametrize(
    ("price", "amount"),
    [("committed", "20.00 EUR"), ("machine_and_size", "11.05 EUR"), ("percentage", "18.15 EUR")],
)  # 121 GB: the commitment of 500 x 0.04; 5 + 121 x 0.05; 15 % of lines of 121 EUR
def test_every_price_is_typed_previewed_stored_and_shown_again(
    world: World, cashier: Browser, price: str, amount: str
) -> None:
    assert cashier.post(reverse("plan-new"), PLAN | {"code": "base"}).status_code == 302
    typed = PLAN | {"price": price} | EXAMPLES[price]
    assert amount in text_of(cashier.post(reverse("plan-preview"), typed))
    assert cashier.post(reverse("plan-new"), typed).status_code == 302
    plan = Plan.objects.of(world.tenant).get(code="gold")
    form = cashier.get(reverse("plan-version", args=[plan.uid])).content.decode()
    for name, value in EXAMPLES[price].items():
        if value:
            assert f'name="{name}"' in form
            assert f'value="{value}"' in form
    assert cashier.get(reverse("plans")).status_code == 200


def test_limits_and_rounding_are_typed_and_listed(world: World, cashier: Browser) -> None:
    limits = {"maximum": "90", "allowance_each": "50", "allowance_per": "machine", "quantity_rounding": "up"}
    assert cashier.post(reverse("plan-new"), PLAN | limits).status_code == 302
    plan = Plan.objects.of(world.tenant).get(code="gold")
    assert (plan.maximum, plan.allowance_each, plan.allowance_per, plan.quantity_rounding) == (90, 50, "machine", "up")
    listed = text_of(cashier.get(reverse("plans")))
    assert "50 GB for each machine" in listed
    assert "at most 90 EUR" in listed
    form = cashier.get(reverse("plan-version", args=[plan.uid])).content.decode()
    assert '<option value="up" selected' in form


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"minimum": "10", "maximum": "9"}, "9 is less than the minimum, which is 10."),
        ({"price": "percentage", "percent": "15", "plans-1-code": "other"}, "There is no plan other."),
        ({"price": "percentage", "percent": "15", "plans-1-code": ""}, "Name at least one plan."),
        ({"price": "percentage", "percent": "0", "plans-1-code": "base"}, "This must be above 0"),
        (
            {"price": "committed", "committed_quantity": "0", "unit_price": "1", "overage_price": "1"},
            "A commitment must be more than nothing",
        ),
        ({"meter": "count"}, "The meter counts things: choose the unit each."),
        ({"unit": "each"}, "Sizes are billed in a unit of bytes"),
        ({"meter": "count", "unit": "each", "pool": "selection"}, "Things are counted together"),
        ({"meter": "count", "unit": "each", "meter-things": "mailboxes"}, "Things cannot be “mailboxes”."),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(
    world: World, cashier: Browser, typed: dict[str, str], sentence: str
) -> None:
    response = cashier.post(reverse("plan-new"), PLAN | typed)
    assert response.status_code == 422
    assert sentence in text_of(response)
    assert not Plan.objects.of(world.tenant).filter(code="gold").exists()
