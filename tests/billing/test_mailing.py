"""Documents by mail over a real SMTP server: once for each asking, tried again, refused with a sentence."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import facturx
import pytest
from django.urls import reverse
from pypdf import PdfReader

from billing.finalising import finalise, finalise_many, void_and_replace
from billing.mailing import ask, ask_all, deliver_document
from billing.models import BillTo, DocumentMail, Seller
from billing.refusals import NotFound, Refused
from msp.outbox.delivering import deliver_due
from msp.tenants.models import AuditEntry
from tests.billing.months import ACTOR
from tests.dashboard.books import Books, keep_books
from tests.dashboard.scene import browser_of
from tests.doubles.mailbox import Mailbox
from tests.einvoices import faults
from tests.world import World

NOW = datetime.now(UTC)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as server:
        yield server


@pytest.fixture
def books(world: World, mailbox: Mailbox) -> Books:
    """Acme's invoice is final; its seller mails by the server of the test."""
    kept = keep_books(world)
    kept.seller.mail = server_settings(mailbox)
    kept.seller.save()
    BillTo.objects.of(world.tenant).filter(pk=kept.acme.bill_to_id).update(email="books@acme.example")
    finalise(world.tenant, kept.acme.uid, actor=ACTOR, now=NOW)
    return kept


def server_settings(mailbox: Mailbox) -> dict[str, Any]:
    return {"host": mailbox.host, "port": mailbox.port, "security": "none", "sender": "Northwind <pay@msp.example>"}


def deliver(*, after: timedelta = timedelta(0)) -> int:
    return deliver_due({"document": partial(deliver_document, allow_private=True)}, now=lambda: NOW + after)


def ask_for(books: Books, **values: Any) -> DocumentMail:
    return ask(books.world.tenant, books.acme.uid, actor=ACTOR, now=NOW, **values)


def test_a_final_invoice_goes_out_once_with_its_pdf_and_einvoice(books: Books, mailbox: Mailbox) -> None:
    country = {"country": "DE", "tax_id": "DE123456788"}
    Seller.objects.of(books.world.tenant).filter(pk=books.seller.pk).update(**country)
    BillTo.objects.of(books.world.tenant).update(country="DE", email="books@acme.example")
    final = finalise(books.world.tenant, books.bakery.uid, actor=ACTOR, now=NOW)
    ask(books.world.tenant, final.uid, actor=ACTOR, now=NOW)
    deliver()
    deliver(after=timedelta(hours=1))
    (kept,) = mailbox.kept
    assert (kept.sender, kept.recipients) == ("pay@msp.example", ("books@acme.example",))
    assert kept.message["Subject"] == f"Invoice {final.number} of Northwind MSP GmbH"
    body = kept.message.get_body(("plain",))
    assert body is not None
    assert "4.00 EUR" in body.get_content()
    (file,) = kept.message.iter_attachments()
    assert (file.get_content_type(), file.get_filename()) == ("application/pdf", f"{final.number}.pdf")
    _, xml = facturx.get_xml_from_pdf(file.get_content(), check_xsd=True, check_schematron=False)
    assert faults(xml, "cii") == []
    row = DocumentMail.objects.of(books.world.tenant).get()
    assert (row.state, row.sent_at, row.message_id) == ("sent", NOW, kept.message["Message-ID"])


def test_what_cannot_be_an_einvoice_goes_out_as_a_plain_pdf(books: Books, mailbox: Mailbox) -> None:
    ask_for(books)
    deliver()
    (file,) = mailbox.messages()[0].iter_attachments()
    assert books.fresh(books.acme).number in PdfReader(io.BytesIO(file.get_content())).pages[0].extract_text()


def test_it_is_tried_again_under_the_same_name_while_the_server_is_busy(books: Books, mailbox: Mailbox) -> None:
    ask_for(books)
    mailbox.fail_next("come back later")
    deliver()
    assert mailbox.kept == []
    mailbox.fail_next("drop after mail")
    deliver(after=timedelta(hours=1))
    deliver(after=timedelta(hours=3))
    assert len({message["Message-ID"] for message in mailbox.messages()}) == 1
    assert DocumentMail.objects.of(books.world.tenant).get().state == "sent"


def test_a_refused_address_is_said_and_can_be_asked_for_again(books: Books, mailbox: Mailbox) -> None:
    ask_for(books)
    with pytest.raises(Refused, match="on its way already"):
        ask_for(books)
    mailbox.fail_next("refuse recipient")
    deliver()
    row = DocumentMail.objects.of(books.world.tenant).get()
    assert (row.state, "No such mailbox" in row.problem) == ("failed", True)
    page = browser_of(books.world.billing).get(reverse("invoice", args=[books.acme.uid])).content.decode()
    assert "No such mailbox" in page
    ask_for(books, recipient="other@acme.example")
    deliver()
    assert mailbox.kept[0].recipients == ("other@acme.example",)


def test_what_cannot_be_mailed_is_refused_with_a_sentence(books: Books, mailbox: Mailbox) -> None:
    tenant = books.world.tenant
    with pytest.raises(Refused, match="Only a final document"):
        ask(tenant, books.bakery.uid, actor=ACTOR, now=NOW)
    with pytest.raises(Refused, match="is not an email address"):
        ask_for(books, recipient="a@b\r\nBcc: all@x.example")
    with pytest.raises(NotFound):
        ask(books.world.other, books.acme.uid, actor=ACTOR, now=NOW)
    BillTo.objects.of(tenant).update(email="")
    with pytest.raises(Refused, match="has no email address"):
        ask_for(books)
    Seller.objects.of(tenant).update(mail=None)
    with pytest.raises(Refused, match="has no mail server"):
        ask_for(books, recipient="a@acme.example")
    assert not DocumentMail.objects.of(tenant).exists()


def test_what_was_voided_on_the_way_is_not_sent(books: Books, mailbox: Mailbox) -> None:
    ask_for(books)
    void_and_replace(books.world.tenant, books.acme.uid, actor=ACTOR, reason="wrong", now=NOW)
    deliver()
    assert mailbox.kept == []
    assert "is void by now" in DocumentMail.objects.of(books.world.tenant).get().problem


def test_a_month_goes_out_once_and_who_has_no_address_is_named(books: Books, mailbox: Mailbox) -> None:
    tenant = books.world.tenant
    finalise_many(tenant, [books.bakery.uid], actor=ACTOR, now=NOW)
    count, problems = ask_all(tenant, books.run, actor=ACTOR, now=NOW)
    assert (count, len(problems)) == (1, 1)
    assert "has no email address" in problems[0]
    deliver()
    assert ask_all(tenant, books.run, actor=ACTOR, now=NOW)[0] == 0
    BillTo.objects.of(tenant).filter(pk=books.bakery.bill_to_id).update(email="oven@bakery.example")
    assert ask_all(tenant, books.run, actor=ACTOR, now=NOW) == (1, ())
    deliver()
    assert [kept.recipients for kept in mailbox.kept] == [("books@acme.example",), ("oven@bakery.example",)]
    assert AuditEntry.objects.of(tenant).filter(action="invoice.mailed").count() == 2


def test_on_the_pages_by_those_who_may(books: Books, mailbox: Mailbox) -> None:
    cashier, owner = browser_of(books.world.billing), browser_of(books.world.owner)
    server, one = reverse("seller-mail", args=[books.seller.uid]), reverse("invoice-mail", args=[books.acme.uid])
    typed = {name: str(value) for name, value in server_settings(mailbox).items()} | {"sender": "new@msp.example"}
    assert cashier.post(server, typed).status_code == 403
    assert owner.post(server, typed | {"port": "0"}).status_code == 422
    assert owner.post(server, typed).status_code == 302
    for person in (books.world.technician, books.world.reseller_staff, books.world.stranger):
        assert browser_of(person).post(one).status_code in (403, 404)
    assert cashier.post(one).status_code == 302
    assert cashier.post(one).status_code == 409
    # the page asks by the clock on the wall, which has gone on since this file was read
    deliver(after=datetime.now(UTC) - NOW + timedelta(minutes=5))
    assert mailbox.kept[0].sender == "new@msp.example"
    assert cashier.post(reverse("invoice-run-mail", args=[books.run.uid])).status_code == 302
    assert "taken by the server" in cashier.get(reverse("invoice", args=[books.acme.uid])).content.decode()
