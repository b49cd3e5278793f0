"""docs/ticket-words.md names every value and filter that templates have, and its examples work."""

from __future__ import annotations

import re
from pathlib import Path

from alerts.words.sandbox import KNOWN_FILTERS
from alerts.words.templates import BODY_VALUES, VALUES, check_body, check_subject

PAGE = (Path(__file__).parents[3] / "docs" / "ticket-words.md").read_text(encoding="utf-8")


def test_every_value_is_documented_in_the_words_of_the_page() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?)(?: \(not in the subject(?: itself)?\))? \|$", PAGE, re.M))
    assert rows == {**VALUES, **BODY_VALUES}


def test_every_filter_is_documented() -> None:
    assert [name for name in KNOWN_FILTERS if f"`{name}`" not in PAGE] == []


def test_the_examples_can_be_stored() -> None:
    examples = [block for block in re.findall(r"```\n(.*?)```", PAGE, re.S) if "{{" in block]
    assert len(examples) == 2
    check_subject(examples[0])
    check_body(examples[1])
