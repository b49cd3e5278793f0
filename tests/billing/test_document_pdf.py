"""The PDF of a document: what it says, that it stays the same, and that nothing in a name breaks it."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client as Browser
from django.urls import reverse
from pypdf import PdfReader

from billing.crediting import CreditedLine, credit, creditable_lines
from billing.finalising import finalise, void_and_replace
from billing.models import BillTo, Seller
from tests.billing.months import ACTOR
from tests.dashboard.books import Books, keep_books
from tests.dashboard.scene import browser_of
from tests.world import World

NOW = datetime.now(UTC)


@pytest.fixture
def books(world: World) -> Books:
    return keep_books(world)


@pytest.fixture
def cashier(books: Books) -> Browser:
    return browser_of(books.world.billing)


def pdf_of(browser: Browser, uid: object) -> bytes:
    response = browser.get(reverse("invoice-pdf", args=[uid]))
    assert (response.status_code, response["Content-Type"]) == (200, "application/pdf")
    return bytes(response.content)


def words_of(content: bytes) -> str:
    return " ".join("\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages).split())


def test_a_final_invoice_says_what_its_page_says(books: Books, cashier: Browser) -> None:
    Seller.objects.of(books.world.tenant).update(note="Registered in Hamburg, HRB 1")
    finalise(books.world.tenant, books.acme.uid, actor=ACTOR, now=NOW)
    final = books.fresh(books.acme)
    words = words_of(pdf_of(cashier, final.uid))
    # 250 GB: 100 x 0.10 + 150 x 0.08 = 22.00; 19 % are 4.18
    for text in (final.number, "Invoice", "Acme Dental Ltd", "250 GB", "22.00 EUR", "19 % tax on 22.00 EUR", "4.18 EUR",
                 "26.18 EUR", "DE00 1234", "Registered in Hamburg, HRB 1", "size contract, version 1", "page 1 of 1",
                 final.content_hash):  # fmt: skip
        assert text in words, text
    assert "Registered in Hamburg" in cashier.get(reverse("invoice", args=[final.uid])).content.decode()


def test_the_same_document_gives_the_same_bytes_whatever_is_changed_later(books: Books, cashier: Browser) -> None:
    finalise(books.world.tenant, books.acme.uid, actor=ACTOR, now=NOW)
    first = pdf_of(cashier, books.acme.uid)
    Seller.objects.of(books.world.tenant).update(legal_name="Renamed", bank="other", note="new")
    BillTo.objects.of(books.world.tenant).filter(pk=books.acme.bill_to_id).update(address="moved")
    assert pdf_of(cashier, books.acme.uid) == first


def test_a_draft_is_a_proforma_and_a_void_document_says_so(books: Books, cashier: Browser) -> None:
    words = words_of(pdf_of(cashier, books.acme.uid))
    assert "Proforma" in words
    assert "not an invoice yet" in words
    assert "Please pay" not in words
    final = finalise(books.world.tenant, books.acme.uid, actor=ACTOR, now=NOW)
    assert "Please pay by" in words_of(pdf_of(cashier, final.uid))
    void_and_replace(books.world.tenant, final.uid, actor=ACTOR, reason="wrong payer", now=NOW)
    voided = words_of(pdf_of(cashier, final.uid))
    assert "VOID" in voided
    assert "Please pay" not in voided


def test_a_credit_note_names_what_it_takes_back(books: Books, cashier: Browser) -> None:
    final = finalise(books.world.tenant, books.acme.uid, actor=ACTOR, now=NOW)
    (line,) = creditable_lines(final)
    taken = CreditedLine(line_uid=line.uid, amount=Decimal("2.00"), quantity=None)
    at = NOW + timedelta(minutes=1)
    note = credit(books.world.tenant, final.uid, lines=(taken,), reason="an outage", actor=ACTOR, now=at)
    words = words_of(pdf_of(cashier, note.uid))
    for text in ("Credit note", note.number, final.number, "an outage", "-2.38 EUR"):
        assert text in words, text


def test_hostile_and_endless_names_are_drawn_and_run_over_pages(books: Books, cashier: Browser) -> None:
    hostile = "Ä" * 150 + "\x00\u202e{pages}<b>中文 🦷"
    payer = BillTo.objects.of(books.world.tenant).filter(pk=books.acme.bill_to_id)
    payer.update(legal_name=hostile.replace("\x00", "")[:200], address="\n".join(["a street"] * 90))
    words = words_of(pdf_of(cashier, books.acme.uid))
    assert "<b>" in words
    assert "page 3 of 3" in words


def test_only_its_own_people_download_it(books: Books) -> None:
    address = reverse("invoice-pdf", args=[books.acme.uid])
    assert browser_of(books.world.stranger).get(address).status_code == 404
    assert browser_of(books.world.technician).get(address).status_code == 403
