"""A draft is composed again whenever anything that it rests on has changed, and only then."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing import fingerprints, invoicing
from billing.adjusting import NO_ADJUSTMENTS
from billing.charging import OneOffDraft, enter_one_off
from billing.coverage import subscriptions_of
from billing.discounting import DiscountDraft, give_discount
from billing.documents import compose_documents
from billing.finalising import finalise_many
from billing.fingerprints import fingerprints_of
from billing.invoicing import compose_one, draft_run, redraft
from billing.models import Agreement, BillTo, Invoice, MeasuringChoice, Subscription
from billing.models_taxes import TaxRate
from billing.periods import month_from
from billing.verifying import verify
from msp.backups.models import BackupJob
from msp.estate.models import Client, ClientStateSpan, Selection, SelectionClientSpan, SelectionStateSpan
from tests.billing.months import (
    ACTOR,
    GB,
    NOVEMBER,
    OCTOBER,
    Month,
    nights,
    only_invoice,
)  # fmt: skip
from tests.world import World

pytestmark = pytest.mark.django_db
PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}
SEPTEMBER = date(2026, 9, 1)
Change = Callable[[Month, World], object]


def values(model: Any, **changed: Any) -> Change:
    """All rows of the tenant get these values."""
    return lambda month, _: model.objects.of(month.tenant).update(**changed)


def measured(day: date, size: int, **said: Any) -> Change:
    return lambda month, world: month.measure(world.job, {day: size * GB}, **said)


def adds(model: Any, make: Callable[[Month, World], dict[str, Any]]) -> Change:
    return lambda month, world: model.objects.of(month.tenant).create(**make(month, world))


def own_plan(month: Month, world: World) -> None:
    agreement = Agreement.objects.of(month.tenant).get()
    month.subscribe(
        world.job.selection, month.plan(**PER_GB | {"code": "own"}), agreement, starts_on=date(2026, 10, 15)
    )


def charged(month: Month, _: World) -> None:
    draft = OneOffDraft(kind="charge", description="Cable", amount=Decimal("5.00"))
    enter_one_off(month.tenant, Agreement.objects.of(month.tenant).get(), draft=draft, actor=ACTOR, now=NOVEMBER)


def discounted(month: Month, _: World) -> None:
    draft = DiscountDraft(name="Friends", percent=Decimal(10), starts_on=OCTOBER)
    give_discount(month.tenant, Agreement.objects.of(month.tenant).get(), draft=draft, actor=ACTOR, now=NOVEMBER)


#: Each changes something that the document of the month says, in the order in which they are made.
CHANGES: dict[str, Change] = {
    "another figure of a day": measured(date(2026, 10, 7), 131),
    "a plan of its own": own_plan,
    "a client's name": values(Client, name="Acme Dental & Sons"),
    "a selection's name": values(Selection, name="all files"),
    "a schedule": values(BackupJob, schedule="weekdays 21:30"),
    "a job's name": values(BackupJob, name="nightly"),
    "a payer's tax": values(BillTo, tax_rate=Decimal("0.19")),
    "a payer's tax category": values(BillTo, tax_category="S", tax_rate=Decimal(0), country="DE"),
    "a rate of the seller": adds(TaxRate, lambda month, _: {
        "seller": month.seller, "country": "DE", "tax_class": "standard", "rate": Decimal("0.07"),
        "starts_on": SEPTEMBER,
    }),
    "a discount": discounted,
    "a charge": charged,
    "a state of the selection": adds(SelectionStateSpan, lambda _, world: {
        "selection": world.job.selection, "state": "suspended", "since": date(2026, 10, 30),
    }),
    "a state of the client": lambda month, world: ClientStateSpan.objects.of(month.tenant).filter(
        client=world.client).update(until=date(2026, 10, 29)),
    "a day on which it was moved": lambda month, world: SelectionClientSpan.objects.of(month.tenant).filter(
        selection=world.job.selection).update(until=date(2026, 10, 28)),
    "the end of a subscription": lambda month, world: Subscription.objects.of(month.tenant).filter(
        selection__isnull=False).update(ends_on=date(2026, 10, 26)),
    "the end of an agreement": values(Agreement, ends_on=date(2026, 10, 25)),
    "how it is counted": lambda month, world: MeasuringChoice.objects.of(month.tenant).create(
        selection_id=world.job.selection_id, job_id=world.job.pk, basis="allocated", since=date(2026, 10, 20),
        decided_at=NOVEMBER,
    ),
}  # fmt: skip


def drafted(month: Month, world: World) -> Invoice:
    month.on_plan(world.client, month.plan(**PER_GB))
    month.measure(world.job, nights(date(2026, 9, 28), date(2026, 10, 10), 100 * GB))
    month.measure(world.job, nights(date(2026, 10, 12), date(2026, 10, 31), 100 * GB))
    run = draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
    return only_invoice(run)


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many subscriptions were composed each time."""
    counts: list[int] = []

    def counting(tenant_id: int, subscriptions: Any, **said: Any) -> Any:
        counts.append(len(subscriptions))
        return compose_documents(tenant_id, subscriptions, **said)

    monkeypatch.setattr(invoicing, "compose_documents", counting)
    return counts


def test_what_has_not_changed_is_neither_composed_nor_written_again(
    month: Month, world: World, composed: list[int]
) -> None:
    draft = drafted(month, world)
    assert (composed, draft.inputs != "") == ([1], True)
    with CaptureQueriesContext(connection) as seen:
        redraft(month.tenant, draft.run, now=NOVEMBER + timedelta(days=1))
    assert composed == [1]
    assert [each["sql"] for each in seen if re.match("INSERT|UPDATE|DELETE|COPY", each["sql"])] == []


def test_whatever_a_document_rests_on_has_it_composed_again(month: Month, world: World) -> None:
    draft, now = drafted(month, world), NOVEMBER
    for name, change in CHANGES.items():
        before, now = (draft.inputs, draft.draft_hash), now + timedelta(minutes=1)
        change(month, world)
        redraft(month.tenant, draft.run, now=now)
        draft = only_invoice(draft.run)
        fresh = compose_one(draft, cut_off=now)
        assert fresh is not None
        assert draft.inputs != before[0], name
        assert draft.draft_hash == fresh.content_hash, name
        assert draft.draft_hash != before[1], f"{name} changes nothing: it proves nothing"


def test_code_of_another_version_composes_again(
    month: Month, world: World, composed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = drafted(month, world)
    monkeypatch.setattr(fingerprints, "code_version", lambda: "another")
    redraft(month.tenant, draft.run, now=NOVEMBER)
    assert composed == [1, 1]


def tables(seen: CaptureQueriesContext) -> set[str]:
    return {table for each in seen for table in re.findall(r'(?:FROM|JOIN) "?([a-z]+_[a-z_]+)', each["sql"])}


def test_every_table_that_composing_reads_is_in_the_fingerprint(month: Month, world: World) -> None:
    drafted(month, world)
    period = month_from(OCTOBER)
    subscriptions = subscriptions_of(month.tenant.pk, period=period)
    with CaptureQueriesContext(connection) as composing:
        compose_documents(month.tenant.pk, subscriptions, period=period, cut_off=NOVEMBER, decisions={})
    with CaptureQueriesContext(connection) as telling:
        fingerprints_of(
            month.tenant.pk, subscriptions, period=period, cut_off=NOVEMBER, living=[], adjustments=NO_ADJUSTMENTS
        )
    # where a run was read from follows from the run, which is told by its id
    assert {"billing_usageentry", "backups_jobrun"} <= tables(telling)
    assert tables(composing) - tables(telling) == {"ingest_receipt"}


def test_made_final_from_what_is_stored_it_verifies(
    month: Month, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = drafted(month, world)
    monkeypatch.setattr("billing.finalising.compose_again", lambda *said, **named: {})
    (final,), refused = finalise_many(month.tenant, [draft.uid], actor=ACTOR, now=NOVEMBER)
    assert (final.number, refused) == ("2026-00001", ())
    assert verify(month.tenant, final.uid).differences == ()


def test_a_stale_draft_is_composed_before_it_is_made_final(month: Month, world: World) -> None:
    draft = drafted(month, world)
    month.measure(world.job, {date(2026, 10, 7): 131 * GB}, known=NOVEMBER)
    done, (sentence,) = finalise_many(month.tenant, [draft.uid], actor=ACTOR, now=NOVEMBER + timedelta(hours=1))
    assert (done, "out of date" in sentence) == ((), True)
