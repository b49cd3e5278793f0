"""A month becomes final invoices whose every cent is worked out by hand here."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from billing.finalising import finalise
from billing.invoicing import draft_run
from billing.models import Invoice
from billing.working import explain, recompute
from tests.billing.months import ACTOR, GB, NOVEMBER, OCTOBER, Month, invoices_of, lines_of, october
from tests.world import World, make_job

pytestmark = pytest.mark.django_db


def two_clients(month: Month, world: World) -> None:
    """Acme Dental: 80 GB for 10 days, then 150. Bay Bakery: two selections, 400 GB, and 200 GB from the 12th on."""
    plan = month.plan()
    month.on_plan(world.client, plan, tax_rate=Decimal("0.19"), terms_days=14)
    month.on_plan(world.resold_client, plan, tax_rate=Decimal("0"), terms_days=30)
    month.measure(world.job, october(80 * GB, last=10) | october(150 * GB, first=11))
    files = make_job(world.tenant, world.server, world.resold_client, "bakery files")
    mail = make_job(world.tenant, world.server, world.resold_client, "bakery mail")
    month.measure(files, october(400 * GB))
    month.measure(mail, october(200 * GB, first=12))


def test_two_clients_on_a_tiered_plan(month: Month, world: World) -> None:
    two_clients(month, world)
    run = draft_run(world.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
    acme, bay = invoices_of(run)
    assert (acme.held, bay.held) == ([], [])
    for draft in (acme, bay):
        finalise(world.tenant, draft.uid, actor=ACTOR, now=NOVEMBER)

    # Acme: (10 x 80 GB + 21 x 150 GB) / 31 days = 3950 / 31 = 127.4193... = 127.419 GB
    #   0 to 100 GB: 100 x 0.10      = 10.00
    #   above 100:   27.419 x 0.08   =  2.19352
    #   together 12.19352, rounded once: 12.19; tax 12.19 x 0.19 = 2.3161 = 2.32; total 14.51
    acme = Invoice.objects.of(world.tenant).get(pk=acme.pk)
    (line,) = lines_of(acme)
    assert (line.quantity, line.unit, line.amount) == (Decimal("127.419"), "GB", Decimal("12.19"))
    assert (acme.net, acme.tax, acme.total) == (Decimal("12.19"), Decimal("2.32"), Decimal("14.51"))
    assert (acme.state, acme.number, acme.issued_on, acme.due_on) == (
        "final", "2026-00001", date(2026, 11, 2), date(2026, 11, 16),
    )  # fmt: skip

    # Bay: days 1 to 11: 400 GB; days 12 to 31: 600 GB; (11 x 400 + 20 x 600) / 31 = 16400 / 31 = 529.0322...
    #   rounded to 529.032 GB
    #   100 x 0.10 = 10.00; 400 x 0.08 = 32.00; 29.032 x 0.05 = 1.4516; together 43.4516 = 43.45; no tax
    bay = Invoice.objects.of(world.tenant).get(pk=bay.pk)
    (line,) = lines_of(bay)
    assert (line.quantity, line.amount) == (Decimal("529.032"), Decimal("43.45"))
    assert (bay.net, bay.tax, bay.total) == (Decimal("43.45"), Decimal(0), Decimal("43.45"))
    assert (bay.number, bay.due_on) == ("2026-00002", date(2026, 12, 2))
    assert recompute(line.working) == Decimal("43.45")
    assert "Band above 500 GB: 29.032 GB x 0.05 EUR = 1.4516 EUR" in explain(line.working)


def test_the_page_shows_what_the_arithmetic_needs(month: Month, world: World) -> None:
    two_clients(month, world)
    run = draft_run(world.tenant, month.seller, first_day=OCTOBER, actor=ACTOR, now=NOVEMBER)
    (line,) = lines_of(invoices_of(run)[0])
    assert (
        line.description == "Acme Dental: Backup, daily average of protected size (counted logical-once), October 2026"
    )
    (selection,) = line.evidence
    assert len(selection["days"]) == 31
    first = selection["days"][0]
    assert (first["day"], first["state"], first["quantity"]) == ("2026-10-01", "measured", 80 * GB)
    assert (first["run_key"], first["job_name"]) == ("run-20261001T120000", "files")
