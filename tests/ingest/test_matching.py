"""Patterns of assignment rules: what fits, whose code it is, why, and that hostile ones cost next to nothing."""

from __future__ import annotations

import pytest

from msp.ingest.matching import (
    BadPattern,
    Rule,
    Seen,
    check_patterns,
    check_template,
    find_code,
    first_match,
    fits,
    name_of,
)
from tests.growth import assert_is_quick

CODES = {"acme": 1, "acme-dental": 2, "bay": 3}


@pytest.mark.parametrize(
    ("pattern", "text", "answer"),
    [
        ("", "", True), ("", "a", False), ("*", "", True), ("**", "anything", True), ("?", "", False),
        ("ACME*", "acme-files", True), ("*files", "acme-files2", False), ("a*b*c", "aXbYc", True),
        ("a*b*c", "acb", False), ("web??.corp", "WEB01.corp", True), ("web??.corp", "web1.corp", False),
        ("a.c", "abc", False), ("[ab]", "a", False), ("[ab]", "[ab]", True), ("straße*", "STRASSE 1", True),
        ("*\n*", "a\nb", True), ("(a+)+$", "aaaa", False),
    ],
)  # fmt: skip
def test_globs(pattern: str, text: str, answer: bool) -> None:
    assert fits(pattern, text) is answer


@pytest.mark.parametrize(
    ("pattern", "text", "code"),
    [
        ("{client}-*", "acme-dental-files", "acme-dental"), ("{client}-*", "acme-files", "acme"),
        ("bk-{client}", "bk-ACME", "acme"), ("*-{client}.local", "web-01-bay.local", "bay"),
        ("{client}", "unknown", None), ("{client}-*", "acme", None), ("{client}", "", None),
    ],
)  # fmt: skip
def test_the_longest_known_code_stands_there(pattern: str, text: str, code: str | None) -> None:
    assert find_code(pattern, text, codes=CODES) == code


def test_the_first_rule_wins_and_says_why() -> None:
    rules = [
        Rule(id=1, name="Elsewhere", action="hold", server_id=9),
        Rule(id=2, name="By code", action="new_job", patterns={"job": "{client}-*"}),
        Rule(id=3, name="All the rest", action="refuse"),
    ]
    found = first_match(rules, Seen(server_id=1, job="bay-nightly"), codes=CODES)
    assert found is not None
    assert (found.rule.id, found.client_id) == (2, 3)
    assert found.because == ('Rule "By code": the job "bay-nightly" fits {client}-*, where bay is a client\'s code.')
    rest = first_match(rules, Seen(server_id=1, job="nobody-nightly"), codes=CODES)
    assert rest is not None
    assert rest.rule.id == 3
    assert first_match(rules[:2], Seen(server_id=1, job="nobody-nightly"), codes=CODES) is None


def test_all_conditions_must_hold() -> None:
    rule = Rule(id=1, name="r", action="hold", format="restic", patterns={"host": "web*", "item": "shop"})
    good = {"format": "restic", "host": "web1", "item": "shop"}
    assert first_match([rule], Seen(**good), codes={}) is not None  # type: ignore[arg-type]
    for name in good:
        assert first_match([rule], Seen(**{**good, name: "other"}), codes={}) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "patterns",
    [{"host": "*{client}"}, {"host": "{client}*"}, {"host": "{client}-{client}"}, {"host": "x" * 201},
     {"host": "{client}", "job": "{client}"}, {"password": "x"}],
)  # fmt: skip
def test_patterns_that_cannot_be_used(patterns: dict[str, str]) -> None:
    with pytest.raises(BadPattern):
        check_patterns(patterns)


def test_hostile_patterns_and_texts_take_no_time() -> None:
    def work() -> None:
        assert not fits("*a" * 100, "a" * 99 + "b" * 300)
        assert not fits("*?" * 90 + "c", "a" * 100_000)
        assert find_code("-*-{client}-*-", "-" * 400, codes=CODES) is None

    assert_is_quick(work, seconds=2)


def test_names_by_template() -> None:
    seen = Seen(host="web1", job="{item}", item="shop")
    assert name_of("{host}: {job} {item}", seen) == "web1: (item} shop"
    assert name_of("", seen) == ""
    with pytest.raises(BadPattern):
        check_template("{server}")
