"""Several processes on one month: every document once, no gap in the numbers; nobody drafts what another decides."""

from __future__ import annotations

import sys
import threading
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction

from billing import invoicing
from billing.invoicing import draft_run
from billing.models import Invoice, InvoiceRun, Seller
from billing.sharing import Share, hold_run
from msp.management.commands import invoice_run
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, invoices_of, october
from tests.ingest.test_killed import database_url
from tests.world import make_client, make_job, make_world

PER_GB: dict[str, Any] = {"price": "per_unit", "price_params": {"unit_price": "0.10"}, "code": "per-gb"}


@pytest.fixture
def five(transactional_db: None) -> Month:
    """Five clients, each with a gigabyte on a plan."""
    committed = make_world()
    month = Month(committed.tenant, Seller.objects.of(committed.tenant).create(legal_name="Northwind MSP GmbH"))
    plan = month.plan(**PER_GB)
    for name in "abcde":
        client = make_client(committed.tenant, f"Client {name}")
        month.on_plan(client, plan)
        month.measure(make_job(committed.tenant, committed.server, client, name), october(GB), known=NOVEMBER)
    return month


def side_by_side(month: Month, *shares: Share) -> list[BaseException]:
    start, failures = threading.Barrier(len(shares)), []

    def work(share: Share) -> None:
        try:
            start.wait(10)
            draft_run(month.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER, share=share)
        except BaseException as failure:
            failures.append(failure)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return failures


def test_the_shares_of_a_month_are_all_of_it() -> None:
    things = list(range(11))
    assert sorted(thing for index in range(3) for thing in Share(index, 3).of_all(things)) == things
    with pytest.raises(ValueError, match="no share 3 of 3"):
        Share(3, 3)


@pytest.mark.django_db(transaction=True)
def test_shares_drafted_together_and_by_two_people_at_once_make_each_draft_once(
    five: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invoicing, "CHUNK", 1)
    shares = [Share(index, 2) for index in range(2)]
    assert side_by_side(five, *shares, *shares) == []
    run = InvoiceRun.objects.of(five.tenant).get()
    assert [(invoice.state, invoice.held, invoice.net > 0) for invoice in invoices_of(run)] == [("draft", [], True)] * 5
    assert run.cut_off == NOVEMBER


@pytest.mark.django_db(transaction=True)
def test_who_decides_about_a_month_works_alone(five: Month, monkeypatch: pytest.MonkeyPatch) -> None:
    run = draft_run(five.tenant, five.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
    with transaction.atomic():
        hold_run(run.pk, alone=True)
        drafting = threading.Thread(target=side_by_side, args=(five, Share(0, 1)))
        drafting.start()
        drafting.join(1)
        assert drafting.is_alive()
    drafting.join(30)
    assert not drafting.is_alive()


@pytest.mark.django_db(transaction=True)
def test_the_command_shares_a_month_among_processes(five: Month, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url())
    said = {"tenant": five.tenant.slug, "month": "2026-10"}
    out = StringIO()
    call_command("invoice_run", **said, finalise=True, workers=2, stdout=out)
    finals = Invoice.objects.of(five.tenant).filter(state="final")
    years = {invoice.number.split("-")[0] for invoice in finals}
    assert sorted(invoice.number.split("-")[1] for invoice in finals) == [f"{number:05d}" for number in range(1, 6)]
    assert (len(years), out.getvalue().count("0.10 EUR")) == (1, 5)
    with pytest.raises(CommandError, match="1 to 32"):
        call_command("invoice_run", **said, workers=0)


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_dies_is_told_and_the_month_goes_on_when_started_again(
    five: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"tenant": five.tenant.slug, "month": "2026-10", "stdout": StringIO()}
    dying = [sys.executable, "-c", "raise SystemExit(3)"]
    monkeypatch.setattr(invoice_run, "share_command", lambda *told, **named: dying)
    with pytest.raises(CommandError, match="1 of 2 workers failed"):
        call_command("invoice_run", **said, workers=2)
    call_command("invoice_run", **said, finalise=True)
    assert Invoice.objects.of(five.tenant).filter(state="final").count() == 5
