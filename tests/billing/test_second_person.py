"""A second person: asked for above a limit, never the same one, for exactly what was asked; both names are kept."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.approving import approve, ask, decline, open_requests
from billing.crediting import CreditedLine, credit
from billing.finalising import finalise, void_and_replace
from billing.invoicing import draft_run, redraft
from billing.models import ApprovalRequest, Invoice
from billing.refusals import NotFound, Refused
from billing.second_person import NeedsSecondPerson
from billing.snapshots import frozen
from billing.verifying import verify
from msp.tenants.models import AuditEntry
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, lines_of, october, only_invoice
from tests.world import World

pytestmark = pytest.mark.django_db
LATER = NOVEMBER + timedelta(days=1)
SECOND = "owner@northwind.example"
WHO: dict[str, Any] = {"actor": ACTOR, "now": LATER}
PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}


@pytest.fixture
def draft(month: Month, world: World) -> Invoice:
    """10.00 EUR, above the seller's limit of 9.99."""
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, october(100 * GB))
    month.seller.second_person_above = Decimal("9.99")
    month.seller.save()
    return only_invoice(draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER))


def approved(invoice: Invoice, action: str, **values: Any) -> Invoice | None:
    request = ask(invoice.tenant, invoice.uid, action=action, **WHO, **values)
    return approve(invoice.tenant, request.uid, actor=SECOND, now=LATER)


def test_above_the_limit_nothing_is_final_without_another_person(draft: Invoice, month: Month) -> None:
    with pytest.raises(NeedsSecondPerson, match=r"Above 9.99 EUR a second person must approve this; it is 10.00 EUR"):
        finalise(month.tenant, draft.uid, **WHO)
    with pytest.raises(Refused, match="asked for this yourself"):
        finalise(month.tenant, draft.uid, approved_by=ACTOR.upper(), **WHO)
    final = approved(draft, "finalise")
    assert final is not None
    assert (final.state, final.finalised_by, final.approved_by) == ("final", ACTOR, SECOND)
    assert frozen(final)["approval"] == {"asked_by": ACTOR, "approved_by": SECOND}
    assert verify(month.tenant, final.uid).holds
    actions = AuditEntry.objects.of(month.tenant).order_by("pk").values_list("action", "actor")
    assert list(actions)[-3:] == [
        ("approval.asked", ACTOR), ("invoice.finalised", ACTOR), ("approval.approved", SECOND),
    ]  # fmt: skip


def test_up_to_the_limit_and_without_one_nobody_is_asked(draft: Invoice, month: Month) -> None:
    month.seller.second_person_above = Decimal("10.00")
    month.seller.save()
    assert finalise(month.tenant, draft.uid, **WHO).approved_by == ""


def test_the_same_person_and_another_tenant_are_refused(draft: Invoice, month: Month, world: World) -> None:
    request = ask(month.tenant, draft.uid, action="finalise", **WHO)
    assert ask(month.tenant, draft.uid, action="finalise", **WHO).pk == request.pk
    with pytest.raises(Refused, match="asked for this yourself"):
        approve(month.tenant, request.uid, actor=ACTOR.title(), now=LATER)
    for act in (
        lambda: approve(world.other, request.uid, actor=SECOND, now=LATER),
        lambda: decline(world.other, request.uid, actor=SECOND, now=LATER, reason="no"),
        lambda: ask(world.other, draft.uid, action="finalise", **WHO),
    ):
        with pytest.raises(NotFound):
            act()
    assert open_requests(world.other) == ()
    assert Invoice.objects.of(month.tenant).get().state == "draft"


def test_what_changed_meanwhile_is_not_approved(draft: Invoice, month: Month, world: World) -> None:
    request = ask(month.tenant, draft.uid, action="finalise", **WHO)
    month.measure(world.job, {OCTOBER: 131 * GB}, known=LATER)
    redraft(month.tenant, draft.run, now=LATER)
    with pytest.raises(Refused, match="changed meanwhile"):
        approve(month.tenant, request.uid, actor=SECOND, now=LATER)
    fresh = ask(month.tenant, draft.uid, action="finalise", **WHO)
    assert [each.pk for each in open_requests(month.tenant)] == [fresh.pk]
    assert approve(month.tenant, fresh.uid, actor=SECOND, now=LATER) is not None
    with pytest.raises(Refused, match=f"approved already, by {SECOND}"):
        approve(month.tenant, fresh.uid, actor=SECOND, now=LATER)


def test_declined_with_a_reason(draft: Invoice, month: Month) -> None:
    request = ask(month.tenant, draft.uid, action="finalise", **WHO)
    with pytest.raises(Refused, match="Say why"):
        decline(month.tenant, request.uid, actor=SECOND, now=LATER, reason=" ")
    decline(month.tenant, request.uid, actor=SECOND, now=LATER, reason="too much")
    kept = ApprovalRequest.objects.of(month.tenant).get()
    assert (kept.state, kept.decided_by, kept.decided_reason) == ("declined", SECOND, "too much")
    with pytest.raises(Refused, match="declined already"):
        approve(month.tenant, request.uid, actor=SECOND, now=LATER)


def test_credit_notes_and_voids_too(draft: Invoice, month: Month) -> None:
    invoice = approved(draft, "finalise")
    assert invoice is not None
    with pytest.raises(NeedsSecondPerson):
        credit(month.tenant, invoice.uid, reason="all", **WHO)
    with pytest.raises(NeedsSecondPerson):
        void_and_replace(month.tenant, invoice.uid, reason="wrong", **WHO)
    (line,) = lines_of(invoice)
    whole = CreditedLine(line_uid=line.uid, amount=Decimal("10.00"))
    request = ask(month.tenant, invoice.uid, action="credit", reason="an outage", lines=[whole], **WHO)
    credit(month.tenant, invoice.uid, lines=[CreditedLine(line_uid=line.uid, amount=Decimal(1))], reason="first", **WHO)
    with pytest.raises(Refused, match="changed meanwhile"):
        approve(month.tenant, request.uid, actor=SECOND, now=LATER)
    month.seller.second_person_above = Decimal(5)
    month.seller.save()
    note = approved(invoice, "credit", reason="the rest")
    assert note is not None
    assert (note.total, note.approved_by, frozen(note)["approval"]["asked_by"]) == (Decimal("-9.00"), SECOND, ACTOR)


def test_a_void_names_both(draft: Invoice, month: Month) -> None:
    invoice = approved(draft, "finalise")
    assert invoice is not None
    approved(invoice, "void", reason="wrong payer")
    old = Invoice.objects.of(month.tenant).get(pk=invoice.pk)
    assert (old.state, old.void_reason) == ("void", f"wrong payer (asked for by {ACTOR}, approved by {SECOND})")
