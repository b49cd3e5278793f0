"""Placeholders and places in answers."""

from __future__ import annotations

import pytest

from integrations.configuration import BadConfig
from integrations.errors import PermanentFailure
from integrations.tickets.json_templates import MISSING, check_template, fill_json, fill_text, fill_url, pick


def test_a_text_that_is_only_a_placeholder_keeps_the_type() -> None:
    values: dict[str, object] = {"n": 3, "t": "x"}
    assert fill_json({"a": "{{ n }}", "b": ["{{n}} {{ t }}", 7, None, True]}, values) == {
        "a": 3,
        "b": ["3 x", 7, None, True],
    }


def test_keys_and_filled_in_values_are_left_alone() -> None:
    assert fill_json({"{{ n }}": "{{ t }}"}, {"n": 1, "t": "{{ n }}"}) == {"{{ n }}": "{{ n }}"}


def test_in_a_url_everything_is_encoded() -> None:
    assert (
        fill_url("/t/{{ id }}?q={{ id }}", {"id": "a/../b?c&d é"})
        == "/t/a%2F..%2Fb%3Fc%26d%20%C3%A9?q=a%2F..%2Fb%3Fc%26d%20%C3%A9"
    )


def test_a_missing_value_is_permanent() -> None:
    with pytest.raises(PermanentFailure, match="gone"):
        fill_text("{{ gone }}", {})


@pytest.mark.parametrize("template", ["{{ n.__class__ }}", "{{ n|upper }}", "{{ n + 1 }}", "{{ }}", "{% n %}{{ N }}"])
def test_there_is_no_expression_language(template: str) -> None:
    with pytest.raises(BadConfig, match="no placeholder"):
        check_template(template, field="f", known=frozenset({"n"}))


def test_bottomless_nesting_is_refused() -> None:
    nested: object = "x"
    for _ in range(50):
        nested = [nested]
    with pytest.raises(BadConfig, match="nested"):
        check_template(nested, field="f", known=frozenset())


DOCUMENT = {"ticket": {"id": 7, "a/b": {"~": 1}}, "list": [{"id": "x"}], "null": None, "0": "zero"}


@pytest.mark.parametrize(
    "path, value",
    [
        ("ticket.id", 7),
        ("/ticket/id", 7),
        ("list.0.id", "x"),
        ("/list/0/id", "x"),
        ("/ticket/a~1b/~0", 1),
        ("0", "zero"),
        ("null", None),
        ("", DOCUMENT),
    ],
)
def test_a_place_is_a_dotted_path_or_a_json_pointer(path: str, value: object) -> None:
    assert pick(DOCUMENT, path) == value


@pytest.mark.parametrize("path", ["ticket.nr", "list.1", "list.-1", "list.id", "null.id", "ticket.id.x", "list.²"])
def test_what_is_not_there_is_missing(path: str) -> None:
    assert pick(DOCUMENT, path) is MISSING
