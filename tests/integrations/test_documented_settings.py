"""The pages about destinations and Stripe show what the code takes: every example loads, every setting is listed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from integrations.configuration import config_from_json, settings_table
from integrations.payments import stripe
from integrations.pulling import CONNECTORS
from integrations.tickets import GATEWAYS, email, rest

DOCS = Path(__file__).parents[2] / "docs"


def examples(page: str) -> list[dict[str, Any]]:
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)]


@pytest.mark.parametrize("name", GATEWAYS)
def test_the_page_of_a_destination_lists_every_setting(name: str) -> None:
    page = DOCS / ("destinations.md" if name in ("email", "rest") else f"destinations/{name}.md")
    assert settings_table(GATEWAYS[name].Config) in page.read_text()


@pytest.mark.parametrize("name", sorted(set(GATEWAYS) - {"email", "rest"}))
def test_the_page_of_a_destination_says_what_it_was_run_against(name: str) -> None:
    told = GATEWAYS[name].VERIFIED or "Unverified against the live service"
    assert told in (DOCS / f"destinations/{name}.md").read_text()
    assert f"destinations/{name}.md" in (DOCS / "destinations.md").read_text()


@pytest.mark.parametrize("config_class", [connector.Config for connector in CONNECTORS.values()])
def test_the_page_of_pull_sources_lists_every_setting(config_class: type[Any]) -> None:
    assert settings_table(config_class) in (DOCS / "pull.md").read_text()


def test_the_page_of_stripe_lists_every_setting() -> None:
    assert settings_table(stripe.Config) in (DOCS / "stripe.md").read_text()


def test_every_example_of_a_destination_can_be_pasted() -> None:
    shown = examples("destinations.md")
    assert len(shown) == 4
    for example in shown:
        config_class = rest.Config if "base_url" in example else email.Config
        assert isinstance(config_from_json(config_class, example), config_class)


def test_the_example_of_stripe_can_be_pasted() -> None:
    (example,) = examples("stripe.md")
    assert config_from_json(stripe.Config, example).collection == "send_invoice"
