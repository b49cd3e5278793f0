"""Approvals on the pages: asked for instead of done, approved by another person alone."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.urls import reverse

from billing.models import ApprovalRequest, Invoice
from tests.dashboard.books import keep_books
from tests.dashboard.scene import browser_of
from tests.world import World

pytestmark = pytest.mark.django_db


def test_a_draft_is_asked_for_and_another_person_makes_it_final(world: World) -> None:
    books = keep_books(world)
    books.seller.second_person_above = Decimal(1)
    books.seller.save()
    cashier, owner = browser_of(world.billing), browser_of(world.owner)
    assert cashier.post(reverse("invoice-finalise", args=[books.acme.uid])).status_code == 302
    assert books.fresh(books.acme).state == "draft"
    request = ApprovalRequest.objects.of(world.tenant).get()
    shown = cashier.get(reverse("approvals")).content.decode()
    assert "You asked for this yourself" in shown
    address = reverse("approval-decide", args=[request.uid])
    assert cashier.post(address, {"do": "approve"}).status_code == 409
    for person in (world.technician, world.reseller_staff, world.stranger):
        assert browser_of(person).post(address, {"do": "approve"}).status_code in (403, 404)
    assert owner.post(address, {"do": "approve"}).status_code == 302
    final = books.fresh(books.acme)
    assert (final.state, final.finalised_by, final.approved_by) == ("final", world.billing.email, world.owner.email)
    assert cashier.post(reverse("invoice-credit", args=[final.uid]), {"what": "all", "reason": "r"}).status_code == 302
    assert cashier.post(reverse("invoice-void", args=[final.uid]), {"reason": "r"}).status_code == 302
    waiting = ApprovalRequest.objects.of(world.tenant).get(state="open")
    assert waiting.action == "void"
    declined = reverse("approval-decide", args=[waiting.uid])
    assert owner.post(declined, {"do": "decline"}).status_code == 409
    assert owner.post(declined, {"do": "decline", "reason": "no"}).status_code == 302
    assert Invoice.objects.of(world.tenant).filter(state="void").count() == 0


def test_a_whole_run_makes_nothing_final_above_the_limit(world: World) -> None:
    books = keep_books(world)
    books.seller.second_person_above = Decimal(10)
    books.seller.save()
    page = browser_of(world.billing).post(reverse("invoice-run-finalise", args=[books.run.uid]), follow=True)
    assert "a second person must approve this" in page.content.decode()
    assert (books.fresh(books.acme).state, books.fresh(books.bakery).state) == ("draft", "final")


def test_only_an_owner_changes_when_a_second_person_is_needed(world: World) -> None:
    books = keep_books(world)
    address = reverse("seller", args=[books.seller.uid])
    values = {"legal_name": books.seller.legal_name, "number_format": books.seller.number_format}
    refused = browser_of(world.billing).post(address, {**values, "second_person_above": "5"})
    assert refused.status_code == 422
    assert "Only an owner" in refused.content.decode()
    assert browser_of(world.owner).post(address, {**values, "second_person_above": "5"}).status_code == 302
    kept = browser_of(world.billing).post(address, {**values, "second_person_above": ""})
    assert kept.status_code == 422
    books.seller.refresh_from_db()
    assert books.seller.second_person_above == 5
