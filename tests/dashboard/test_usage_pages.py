"""Usage files on the pages: uploaded, looked at, entered or dropped, by people who see money and by nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Browser
from django.urls import reverse

from billing.models import UsageEntry, UsageImport
from billing.usage_files import MOST_BYTES
from tests.dashboard.scene import browser_of
from tests.world import World

pytestmark = pytest.mark.django_db
HEAD = "client,selection,day,metric,bytes,note\n"
XSS = "<script>alert(1)</script>"


@pytest.fixture
def cashier(world: World) -> Browser:
    return browser_of(world.billing)


def send(browser: Browser, content: bytes, name: str = "usage.csv") -> Any:
    return browser.post(reverse("usage-upload"), {"file": SimpleUploadedFile(name, content)})


def line(size: int = 1000, note: str = "") -> str:
    return f"Acme Dental,backup01: files,2026-02-05,protected,{size},{note}\n"


def test_a_file_is_looked_at_and_entered(world: World, cashier: Browser) -> None:
    answer = send(cashier, (HEAD + line(note=f"=cmd {XSS}")).encode(), name=f"{XSS}.csv")
    kept = UsageImport.objects.of(world.tenant).get()
    assert answer.headers["Location"] == reverse("usage-file", args=[kept.uid])
    page = cashier.get(answer.headers["Location"])
    shown = page.content.decode()
    assert XSS not in shown
    assert "=cmd &lt;script&gt;" in shown
    assert "1,000" in shown
    assert "Enter 1 change" in shown
    settle = reverse("usage-settle", args=[kept.uid])
    assert cashier.post(settle, {"do": "apply"}).status_code == 409  # without what was shown
    assert not UsageEntry.objects.of(world.tenant).exists()
    seen = page.context["checked"].fingerprint
    assert cashier.post(settle, {"do": "apply", "seen": seen}).status_code == 302
    assert [entry.quantity for entry in UsageEntry.objects.of(world.tenant)] == [1000]
    assert (
        "Entered by billing@northwind.example" in cashier.get(reverse("usage-file", args=[kept.uid])).content.decode()
    )
    assert "entered" in cashier.get(reverse("usage-files")).content.decode()
    assert cashier.post(settle, {"do": "apply", "seen": seen}).status_code == 409


def test_a_file_can_be_dropped(world: World, cashier: Browser) -> None:
    send(cashier, (HEAD + line()).encode())
    kept = UsageImport.objects.of(world.tenant).get()
    assert cashier.post(reverse("usage-settle", args=[kept.uid]), {"do": "drop"}).status_code == 302
    assert "Dropped by" in cashier.get(reverse("usage-file", args=[kept.uid])).content.decode()
    assert not UsageEntry.objects.of(world.tenant).exists()


@pytest.mark.parametrize(
    "content, sentence",
    [
        ((HEAD + line() + f"{XSS},f,2026-02-05,protected,1,\n").encode(), "Line 3: There is no client &#x27;&lt;"),
        (b"\x00", "holds a character that no text has"),
        (b"", "The submitted file is empty|a file has the columns|Choose the CSV file"),
        (HEAD.encode() + b"x" * MOST_BYTES, "at most 10,000,000 are read"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_with_sentences(world: World, cashier: Browser, content: bytes, sentence: str) -> None:
    answer = send(cashier, content)
    assert answer.status_code == 422
    assert any(part in answer.content.decode() for part in sentence.split("|"))
    assert XSS not in answer.content.decode()
    assert not UsageImport.objects.of(world.tenant).exists()
    assert cashier.post(reverse("usage-upload")).status_code == 422


def test_nobody_else_sees_or_settles_it(world: World, cashier: Browser) -> None:
    send(cashier, (HEAD + line()).encode())
    kept = UsageImport.objects.of(world.tenant).get()
    pages = [reverse("usage-file", args=[kept.uid]), reverse("usage-files")]
    for person, codes in (
        (world.technician, [403, 403]),
        (world.reseller_staff, [404, 404]),
        (world.stranger, [404, 200]),
    ):
        browser = browser_of(person)
        assert [browser.get(page).status_code for page in pages] == codes
        assert browser.post(reverse("usage-settle", args=[kept.uid]), {"do": "drop"}).status_code in (403, 404)
    assert UsageImport.objects.of(world.tenant).get().state == "checked"
