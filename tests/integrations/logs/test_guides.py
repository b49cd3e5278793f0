"""The guides: every format says how its logs are sent, and the pages under docs are those the code writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from integrations.logs import FORMATS
from integrations.logs.guide import filled
from integrations.logs.guide_page import page_of, table_of

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", FORMATS)
def test_the_page_of_a_format_is_what_its_guide_says(name: str) -> None:
    page = (DOCS / "formats" / f"{name}.md").read_text(encoding="utf-8")
    assert page == page_of(name, FORMATS[name]), "run: make manage ARGS=format_pages"


def test_the_table_lists_every_format_and_no_page_is_left_over() -> None:
    assert table_of(FORMATS) in (DOCS / "formats.md").read_text(encoding="utf-8"), "run: make manage ARGS=format_pages"
    assert {path.stem for path in (DOCS / "formats").glob("*.md")} == set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_guide_holds_something_to_paste(name: str) -> None:
    guide = FORMATS[name].GUIDE
    assert guide.ways
    assert guide.operations
    for way in guide.ways:
        assert way.snippet.strip()
        assert way.title
        text = filled(way.snippet, url="https://b.example", key="K", address="t@b.example")
        assert not re.search(r"@(?:URL|KEY|ADDRESS)@", text)
        if way.channel == "email":
            assert "t@b.example" in text + way.note or "@ADDRESS@" in way.note


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_that_tells_no_protected_size_does_not_claim_one(name: str) -> None:
    guide = FORMATS[name].GUIDE
    claims = any(figure == "protected_bytes" for figure, _ in guide.sizes)
    assert claims == bool(guide.basis)


def test_place_holders_are_filled() -> None:
    assert filled("@URL@ @KEY@ @ADDRESS@", url="u", key="k", address="a") == "u k a"
