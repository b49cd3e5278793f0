"""Settings from JSON and to it, their description for forms, and the sentences for what does not fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import pytest

from billing.metering import METERS, read_meter_params
from billing.params import BadParams, fields_of, params_from_json, params_to_json, told
from billing.pricing import PRICES


@dataclass(frozen=True, kw_only=True)
class Part:
    size: Decimal = field(metadata=told("Its size."))


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One setting of each kind."""

    name: str = field(metadata=told("Its name."))
    count: int = field(default=3, metadata=told("How many."))
    way: Literal["up", "down"] = field(default="up", metadata=told("Which way."))
    until: Decimal | None = field(default=None, metadata=told("How far.", per_invoice=True))
    parts: tuple[Part, ...] = field(default=(), metadata=told("Its parts."))

    def __post_init__(self) -> None:
        if self.count < 0:
            raise BadParams("count", "a count cannot be negative")


@dataclass(frozen=True, kw_only=True)
class Impossible:
    when: bytes = field(metadata=told("Not a setting."))


def test_settings_describe_themselves() -> None:
    described = {each.name: each for each in fields_of(Sample)}
    assert [(each.name, each.kind, each.required) for each in described.values()] == [
        ("name", "text", True),
        ("count", "whole", False),
        ("way", "choice", False),
        ("until", "decimal", False),
        ("parts", "list", False),
    ]
    assert described["count"].default == 3
    assert described["way"].choices == ("up", "down")
    assert (described["until"].optional, described["until"].per_invoice) == (True, True)
    assert [(each.name, each.kind, each.help) for each in described["parts"].fields] == [
        ("size", "decimal", "Its size.")
    ]


def test_settings_are_read_and_written() -> None:
    sample = params_from_json(Sample, {"name": "a", "way": "down", "until": "1.50", "parts": [{"size": 2}]})
    assert sample == Sample(name="a", way="down", until=Decimal("1.50"), parts=(Part(size=Decimal(2)),))
    assert params_to_json(sample) == {"name": "a", "count": 3, "way": "down", "until": "1.50", "parts": [{"size": "2"}]}
    assert params_from_json(Sample, params_to_json(sample)) == sample


@pytest.mark.parametrize(
    "given,field_,reason",
    [
        ({}, "name", "this is required"),
        ({"name": 1}, "name", "this must be text"),
        ({"name": None}, "name", "this must be text"),
        ({"name": "a", "colour": 1}, "colour", "there is no such setting; there are: name, count, way, until, parts"),
        ({"name": "a", "count": "3"}, "count", "this must be a whole number"),
        ({"name": "a", "count": True}, "count", "this must be a whole number"),
        ({"name": "a", "count": -1}, "count", "a count cannot be negative"),
        ({"name": "a", "way": "left"}, "way", "this must be one of: up, down"),
        ({"name": "a", "until": Decimal("Infinity")}, "until", "this must be a number with at most"),
        ({"name": "a", "parts": {"size": 1}}, "parts", "this must be a list"),
        ({"name": "a", "parts": [{"size": 1}, {}]}, "parts[2].size", "this is required"),
        ("a", "", "this must be an object with named settings"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_field_and_a_sentence(given: object, field_: str, reason: str) -> None:
    with pytest.raises(BadParams) as refused:
        params_from_json(Sample, given)
    assert refused.value.field == field_
    assert reason in refused.value.reason
    assert reason in str(refused.value)


def test_a_json_number_with_decimals_is_refused_as_it_is_not_exact() -> None:
    from_json: Any = {"name": "a", "until": 1.5}
    with pytest.raises(BadParams, match=r'until: this must be an exact number, written as text such as "0\.05"'):
        params_from_json(Sample, from_json)


def test_a_setting_of_a_kind_that_no_form_can_show_is_a_mistake_of_the_programmer() -> None:
    with pytest.raises(TypeError, match="cannot be of type"):
        fields_of(Impossible)


def test_the_decision_about_missing_days_belongs_to_an_invoice_and_not_to_a_plan() -> None:
    for meter in METERS.values():
        assert [each.name for each in fields_of(meter.Params) if each.per_invoice] == ["accept_missing"]
    for price in PRICES.values():
        assert not [each.name for each in fields_of(price.Params) if each.per_invoice]


def test_a_plan_cannot_decide_about_missing_days_beforehand() -> None:
    with pytest.raises(BadParams, match="accept_missing: this is decided for one invoice, not in a plan"):
        read_meter_params("daily_average", {"accept_missing": "carry"})
    assert read_meter_params("daily_average", {}, accept_missing="carry").accept_missing == "carry"
