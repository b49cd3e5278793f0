"""Every language says everything, with the same placeholders, and nothing that no rule or product has."""

from __future__ import annotations

import string
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from alerts.rules import KINDS
from alerts.words import languages
from alerts.words.languages import CODES, LANGUAGES, TOLD_MORE, language_of, read_language
from integrations import logs
from tests.alerts.words.cards import PLAIN

PRODUCTS = "\n".join(path.read_text(encoding="utf-8") for path in Path(logs.__file__).parent.glob("*.py"))


def texts(found: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a language's file by its path."""
    for key, value in found.items():
        if isinstance(value, dict):
            yield from texts(value, f"{path}{key}.")
        elif isinstance(value, str):
            yield f"{path}{key}", value


def raw(code: str) -> dict[str, str]:
    path = Path(languages.__file__).with_name(f"{code}.toml")
    return dict(texts(tomllib.loads(path.read_text(encoding="utf-8"))))


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("code", CODES)
def test_every_rule_has_its_words(code: str) -> None:
    assert set(LANGUAGES[code].rules) == set(KINDS)


@pytest.mark.parametrize("code", CODES)
def test_every_language_has_the_same_keys_and_placeholders(code: str) -> None:
    english, other = raw("en"), raw(code)
    assert set(other) == set(english)
    differing = [key for key, text in other.items() if placeholders(text) != placeholders(english[key])]
    assert differing == []
    assert all(text.strip() for text in other.values())


@pytest.mark.parametrize("code", [code for code in CODES if code != "en"])
def test_no_sentence_or_hint_was_left_in_english(code: str) -> None:
    english, other = raw("en"), raw(code)
    same = [key for key, text in other.items() if len(text) > 20 and text == english[key]]
    assert same == []


def test_english_calls_the_rules_what_the_pages_call_them() -> None:
    assert {kind: words.label for kind, words in LANGUAGES["en"].rules.items()} == {
        kind: rule.LABEL for kind, rule in KINDS.items()
    }


@pytest.mark.parametrize("code", CODES)
def test_every_hint_by_product_is_for_a_known_rule_and_product(code: str) -> None:
    language = LANGUAGES[code]
    assert set(language.hints) <= set(KINDS)
    assert set(KINDS) >= TOLD_MORE
    products = {*language.products, *(product for hints in language.hints.values() for product in hints)}
    assert [product for product in products if f'product="{product}"' not in PRODUCTS] == []


def test_a_hint_joins_what_helps_with_the_rule_the_product_and_both() -> None:
    english = LANGUAGES["en"]
    told = english.hint("component_failed", "veeam")
    assert told.startswith("Look at the component")
    assert "vssadmin list writers" in told
    assert told.endswith("on the backup server.")
    assert english.hint("quota_overrun", "veeam") == english.rules["quota_overrun"].hint
    assert english.hint("gone_rule", "veeam") == ""


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("en", "Tue 3 Mar 2026 22:00 CET"),
        ("de", "Di., 3. März 2026, 22:00 CET"),
        ("fr", "mar. 3 mars 2026, 22:00 CET"),
        ("es", "mar, 3 mar 2026, 22:00 CET"),
    ],
)
def test_moments_are_written_as_the_language_does_in_the_clients_zone(code: str, expected: str) -> None:
    assert LANGUAGES[code].moment(PLAIN.since, "Europe/Berlin") == expected


def test_a_language_that_is_not_known_any_more_is_english() -> None:
    assert language_of("").code == "en"
    assert language_of("tlh").code == "en"
    assert language_of("de") == read_language("de")
