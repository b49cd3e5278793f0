"""A person words a tenant's tickets in a real browser: writes, previews with a real incident, is told what is wrong."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from alerts.models import LetterTemplate
from tests.browser.conftest import OpenPage
from tests.dashboard.conftest import Stage, stage

__all__ = ["stage"]

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def fits(page: Page) -> bool:
    """No page is wider than its window."""
    wide: bool = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    return wide


def test_words_are_written_previewed_and_stored(stage: Stage, open_page: OpenPage) -> None:
    page = open_page(stage.world.owner, "/settings/words/")
    letter = page.frame_locator("iframe[name=letter]")
    expect(letter.get_by_role("heading", level=1)).to_contain_text(stage.world.resold_client.name)
    expect(letter.locator(".as-text")).to_contain_text("What to try: ")
    preview = page.locator("form[target=letter]")
    preview.get_by_label("Language").select_option("de")
    preview.get_by_role("button", name="Show").click()
    expect(letter.locator(".as-text")).to_contain_text("Was zu tun ist: ")

    page.get_by_role("link", name="New template").click()
    page.get_by_label("Subject").fill("{{ client }}: {{ problem }}")
    page.get_by_label("Text").fill("Night desk, please look.\n\n{{ default }}")
    page.get_by_label("HTML").fill("<p style='color: red'>Night desk</p>")
    page.get_by_role("button", name="Preview").click()
    letter = page.frame_locator("iframe[name=letter]")
    expect(letter.locator(".as-text")).to_contain_text("Night desk, please look.")
    expect(letter.locator("p[style]")).to_have_css("color", "rgb(255, 0, 0)")

    page.get_by_label("Text").fill("{{ nobody }}")
    page.get_by_role("button", name="Preview").click()
    expect(letter.get_by_role("alert")).to_contain_text("Line 1: There is no value “nobody”.")
    page.get_by_label("Text").fill("Night desk, please look.\n\n{{ default }}")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="All routes")).to_be_visible()
    assert LetterTemplate.objects.of(stage.world.tenant).get().subject == "{{ client }}: {{ problem }}"
    page.get_by_role("button", name="Reset to default").click()
    expect(page.get_by_text("The default letter is in use")).to_be_visible()


@pytest.mark.parametrize("address", ["/settings/words/", "/settings/words/new/"])
def test_the_pages_fit_a_phone(stage: Stage, open_page: OpenPage, address: str) -> None:
    page = open_page(stage.world.owner, address, width=390, height=844)
    expect(page.frame_locator("iframe[name=letter]").locator(".as-text")).to_be_visible()
    assert fits(page)
