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


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
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
