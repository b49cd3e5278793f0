"""Late data: a billed month that would be another today is corrected on the next one, once, within caps."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from billing.charging import OneOffDraft, enter_one_off
from billing.corrections import late_corrections
from billing.discounting import DiscountDraft, give_discount
from billing.finalising import finalise, finalise_many, void_and_replace
from billing.invoicing import decide, draft_run, redraft
from billing.models import Agreement, Invoice, InvoiceRun, OneOff
from billing.refusals import Refused
from billing.reviewing import compare_with_last_month
from billing.subscribing import end
from billing.verifying import verify
from msp.tenants.models import AuditEntry
from tests.billing.months import (
    ACTOR,
    GB,
    NOVEMBER,
    OCTOBER,
    Month,
    lines_of,
    money,
    nights,
    only_invoice,
)
from tests.world import World

pytestmark = pytest.mark.django_db
PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}
NOVEMBER_FIRST, DECEMBER_FIRST = date(2026, 11, 1), date(2026, 12, 1)
LATE = datetime(2026, 11, 10, 8, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 2, 8, tzinfo=UTC)
JANUARY = datetime(2027, 1, 2, 8, tzinfo=UTC)


def caps(month: Month, **values: Any) -> None:
    for name, value in values.items():
        setattr(month.seller, name, value)
    month.seller.save(update_fields=list(values))


def billed(month: Month, world: World, **payer: Any) -> Invoice:
    """Acme Dental: 100 GB from October to December at 0.10; October is final at 10.00."""
    month.on_plan(world.client, month.plan(**PER_GB), **payer)
    month.measure(world.job, nights(OCTOBER, date(2026, 12, 31), 100 * GB))
    return finalise(month.tenant, only_invoice(drafted(month, OCTOBER, now=NOVEMBER)).uid, actor=ACTOR, now=NOVEMBER)


def late(month: Month, world: World, size: int = 131, *, day: int = 7, known: datetime = LATE) -> None:
    """A log of October says another size: 131 GB on one day make 101 GB on average, 10.10."""
    month.measure(world.job, {date(2026, 10, day): size * GB}, known=known)


def drafted(month: Month, first_day: date = NOVEMBER_FIRST, *, now: datetime = DECEMBER) -> InvoiceRun:
    return draft_run(month.tenant, month.seller, first_day=first_day, actor=ACTOR, now=now)


def amounts(invoice: Invoice) -> list[tuple[str, Decimal]]:
    return [(line.kind, line.amount) for line in lines_of(invoice)]


def test_the_next_month_bills_the_difference_with_the_changed_day(month: Month, world: World) -> None:
    caps(month, late_most=money("1.00"))
    october = billed(month, world, tax_rate=Decimal("0.19"))
    late(month, world)
    final = finalise(month.tenant, only_invoice(drafted(month)).uid, actor=ACTOR, now=DECEMBER)
    usage, delta = lines_of(final)
    assert (usage.amount, delta.kind, delta.amount, delta.tax_rate) == (
        money("10.00"), "delta", money("0.10"), Decimal("0.19"),
    )  # fmt: skip
    assert delta.description == "October 2026, invoice 2026-00001: recomputed 10.10, billed 10.00"
    (selection,) = delta.evidence
    (day,) = selection["days"]
    assert (day["day"], day["quantity"], day["note"]) == ("2026-10-07", 131 * GB, f"billed by {100 * GB} before")
    assert (final.net, final.tax) == (money("10.10"), money("1.92"))
    for document in (october, final):
        assert verify(month.tenant, document.uid).differences == ()
    (change, _) = compare_with_last_month(month.tenant, final.run)
    assert (change.reason, change.difference) == ("correction", money("0.10"))


def test_a_whole_month_made_final_at_once_bills_it_too(month: Month, world: World) -> None:
    caps(month, late_most=money("1.00"))
    billed(month, world)
    late(month, world)
    agreement = Agreement.objects.of(month.tenant).get()
    once = OneOffDraft(kind="charge", description="Restore", amount=money("5.00"))
    one_off = enter_one_off(month.tenant, agreement, draft=once, actor=ACTOR, now=LATE, client=None)
    invoice = only_invoice(drafted(month))
    (final,), refused = finalise_many(month.tenant, [invoice.uid], actor=ACTOR, now=DECEMBER)
    assert refused == ()
    assert amounts(final) == [("usage", money("10.00")), ("charge", money("5.00")), ("delta", money("0.10"))]
    assert OneOff.objects.of(month.tenant).get(uid=one_off.uid).invoice_id == final.pk
    assert verify(month.tenant, final.uid).differences == ()


def test_it_is_billed_once_however_often_and_wherever_it_is_drafted(month: Month, world: World) -> None:
    caps(month, late_most=money("1.00"), late_days=100)
    billed(month, world)
    late(month, world)
    november, december = drafted(month), drafted(month, DECEMBER_FIRST, now=JANUARY)
    assert amounts(only_invoice(december)) == [("usage", money("10.00"))]
    redraft(month.tenant, november, now=JANUARY)
    assert amounts(only_invoice(november)) == [("usage", money("10.00")), ("delta", money("0.10"))]
    finalise(month.tenant, only_invoice(november).uid, actor=ACTOR, now=JANUARY)
    # another log of October: 131 GB on a second day make 10.20, of which 0.10 is corrected
    late(month, world, day=8, known=JANUARY)
    redraft(month.tenant, december, now=JANUARY)
    _, second = lines_of(only_invoice(december))
    assert second.amount == money("0.10")
    assert second.description.endswith("recomputed 10.20, billed 10.00, corrected before by 0.10")
    final = finalise(month.tenant, only_invoice(december).uid, actor=ACTOR, now=JANUARY)
    assert verify(month.tenant, final.uid).differences == ()


def test_above_the_cap_it_waits_for_a_person(month: Month, world: World) -> None:
    billed(month, world)
    late(month, world)
    invoice = only_invoice(drafted(month))
    assert invoice.held == [
        "October 2026, invoice 2026-00001 is corrected by 0.10 EUR, which is more than the 0.00 EUR that are billed "
        "unasked."
    ]
    with pytest.raises(Refused, match="held"):
        finalise(month.tenant, invoice.uid, actor=ACTOR, now=DECEMBER)
    decided = decide(
        month.tenant, invoice.uid, decision="accept_corrections", actor=ACTOR, reason="Right", now=DECEMBER
    )
    assert decided.held == []
    assert finalise(month.tenant, invoice.uid, actor=ACTOR, now=DECEMBER).net == money("10.10")


def test_left_out_it_is_on_this_invoice_no_more_and_asked_again_if_it_changes(month: Month, world: World) -> None:
    billed(month, world)
    late(month, world)
    invoice = only_invoice(drafted(month))
    decide(month.tenant, invoice.uid, decision="leave_corrections", actor=ACTOR, reason="Next month", now=DECEMBER)
    assert amounts(invoice) == [("usage", money("10.00"))]
    late(month, world, day=8, known=DECEMBER)
    redraft(month.tenant, invoice.run, now=DECEMBER + timedelta(minutes=1))
    assert amounts(only_invoice(invoice.run)) == [("usage", money("10.00")), ("delta", money("0.20"))]
    assert len(only_invoice(invoice.run).held) == 1


def test_months_before_the_days_back_are_left_alone(month: Month, world: World) -> None:
    caps(month, late_days=30, late_most=money("1.00"))
    billed(month, world)
    late(month, world)
    assert amounts(only_invoice(drafted(month))) == [("usage", money("10.00"))]
    caps(month, late_days=31)
    assert amounts(only_invoice(drafted(month))) == [("usage", money("10.00")), ("delta", money("0.10"))]


def test_too_much_billed_is_given_back_and_never_below_nothing(month: Month, world: World) -> None:
    caps(month, late_most=money("100"))
    billed(month, world)
    # 38 GB on one day instead of 100: 98 GB on average
    late(month, world, 38)
    invoice = only_invoice(drafted(month))
    delta = lines_of(invoice)[1]
    assert (delta.amount, delta.quantity) == (money("-0.20"), Decimal(-1))
    assert invoice.held == []


def test_a_payer_who_left_gets_a_held_document_when_money_is_owed_to_it(month: Month, world: World) -> None:
    caps(month, late_most=money("100"))
    october = billed(month, world)
    subscription = lines_of(october)[0].subscription
    assert subscription is not None
    end(subscription, tenant=month.tenant, on=NOVEMBER_FIRST, actor=ACTOR, now=NOVEMBER)
    late(month, world, 38)
    invoice = only_invoice(drafted(month))
    assert amounts(invoice) == [("delta", money("-0.20"))]
    assert invoice.held[0].startswith("It would come to -0.20 EUR")


def test_a_replaced_document_is_not_corrected_on_top(month: Month, world: World) -> None:
    caps(month, late_most=money("1.00"))
    october = billed(month, world)
    late(month, world)
    november = drafted(month)
    assert len(lines_of(only_invoice(november))) == 2
    again = void_and_replace(month.tenant, october.uid, actor=ACTOR, reason="Late log", now=DECEMBER)
    assert again is not None
    assert finalise(month.tenant, again.uid, actor=ACTOR, now=DECEMBER).net == money("10.10")
    redraft(month.tenant, november, now=DECEMBER + timedelta(minutes=1))
    assert amounts(only_invoice(november)) == [("usage", money("10.00"))]


def test_a_back_dated_discount_is_a_correction_too(month: Month, world: World) -> None:
    caps(month, late_most=money("5.00"))
    october = billed(month, world)
    subscription = lines_of(october)[0].subscription
    assert subscription is not None
    draft = DiscountDraft(name="Loyalty", percent=money("10"), starts_on=OCTOBER, ends_on=NOVEMBER_FIRST)
    give_discount(month.tenant, subscription.agreement, draft=draft, actor=ACTOR, now=LATE)
    assert amounts(only_invoice(drafted(month))) == [("usage", money("10.00")), ("delta", money("-1.00"))]


def test_a_correction_is_no_correction_of_the_month_that_bills_it(month: Month, world: World) -> None:
    caps(month, late_most=money("1.00"))
    billed(month, world)
    late(month, world)
    finalise(month.tenant, only_invoice(drafted(month)).uid, actor=ACTOR, now=DECEMBER)
    assert [each.number for each in late_corrections(month.tenant, since=NOVEMBER_FIRST, now=DECEMBER)] == []


def test_a_month_is_drafted_but_not_final_within_the_days_of_grace(month: Month, world: World) -> None:
    caps(month, grace_days=5)
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, nights(OCTOBER, date(2026, 10, 31), 100 * GB))
    invoice = only_invoice(drafted(month, OCTOBER, now=NOVEMBER))
    with pytest.raises(Refused, match="made final from 2026-11-06 on: the seller leaves 5 days for late logs"):
        finalise(month.tenant, invoice.uid, actor=ACTOR, now=datetime(2026, 11, 5, 23, 59, 59, tzinfo=UTC))
    early = finalise(month.tenant, invoice.uid, actor=ACTOR, now=NOVEMBER, early_reason="The client closes its books")
    assert early.state == "final"
    entry = AuditEntry.objects.of(month.tenant).get(action="invoice.finalised")
    assert entry.reason == "The client closes its books"


def test_after_the_days_of_grace_it_needs_no_reason(month: Month, world: World) -> None:
    caps(month, grace_days=5)
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, nights(OCTOBER, date(2026, 10, 31), 100 * GB))
    invoice = only_invoice(drafted(month, OCTOBER, now=NOVEMBER))
    assert finalise(month.tenant, invoice.uid, actor=ACTOR, now=datetime(2026, 11, 6, tzinfo=UTC)).state == "final"
