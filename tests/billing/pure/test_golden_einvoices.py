"""E-invoices of the golden cases: what was worked out by hand passes schema and rules in both syntaxes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from lxml import etree

from billing.days import month_of
from billing.einvoicing import SYNTAXES, NotPossible, Syntax, einvoice
from billing.money import currency_of
from billing.taxes import taxes_record
from tests.billing.golden import Case, cases
from tests.billing.golden.running import compute
from tests.billing.parties import buyer_for, seller_named
from tests.einvoices import faults

#: Dinars: EN 16931 knows at most two decimals (BR-DEC), so these documents are refused with a sentence.
REFUSED = {case.title for case in cases() if currency_of(case.currency).decimals > 2}
POSSIBLE = [case for case in cases() if case.title not in REFUSED]


def snapshot_of(case: Case) -> dict[str, Any]:
    """The document as it is frozen when it is made final: what the product computes of the case, and two parties."""
    computed = compute(case)
    period = month_of(*(int(part) for part in case.month.split("-")))
    lines = [
        _line(line.description, str(line.quantity), line.unit, str(line.amount), line.tax_category, str(line.tax_rate))
        for line in computed.lines
    ]
    lines += [_line("Another line", "1", "each", amount, category, rate) for category, rate, amount in _others(case)]
    return {
        "number": "2026-00017",
        "kind": "regular",
        "currency": case.currency,
        "issued_on": period.last_day.isoformat(),
        "due_on": date(period.last_day.year, period.last_day.month, 15).isoformat(),
        "first_day": period.first_day.isoformat(),
        "last_day": period.last_day.isoformat(),
        "seller": seller_named("Northwind MSP GmbH"),
        "bill_to": buyer_for(case.tax_category),
        "lines": lines,
        "taxes": taxes_record(computed.taxes),
        "tax_rate": case.tax,
        "net": str(computed.net),
        "tax": str(sum((each.tax for each in computed.taxes), Decimal(0))),
        "total": str(computed.total),
        "replaces": "",
    }


def as_credit(case: Case) -> dict[str, Any]:
    """A note that takes the whole document back."""
    document = snapshot_of(case)
    lines = [line | {"amount": _negative(line["amount"])} for line in document["lines"]]
    taxes = [each | {"net": _negative(each["net"]), "tax": _negative(each["tax"])} for each in document["taxes"]]
    sums = {name: _negative(document[name]) for name in ("net", "tax", "total")}
    return document | sums | {"kind": "credit", "lines": lines, "taxes": taxes}


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_golden_invoice_passes_schema_and_rules(syntax: Syntax) -> None:
    found = {case.title: faults(einvoice(snapshot_of(case), syntax=syntax), syntax) for case in POSSIBLE}
    assert {title: broken for title, broken in found.items() if broken} == {}
    assert len(found) >= 60


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_correction_passes_as_a_credit_note(syntax: Syntax) -> None:
    chosen = [case for case in POSSIBLE if case.chapter in ("corrections", "taxes")]
    found = {case.title: faults(einvoice(as_credit(case), syntax=syntax), syntax) for case in chosen}
    assert {title: broken for title, broken in found.items() if broken} == {}
    assert len(found) >= 12


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_file_says_what_was_worked_out_by_hand(syntax: Syntax) -> None:
    name = {"ubl": "TaxInclusiveAmount", "cii": "GrandTotalAmount"}[syntax]
    for case in POSSIBLE:
        root = etree.fromstring(einvoice(snapshot_of(case), syntax=syntax))
        said = {Decimal(each.text) for each in root.iter(f"{{*}}{name}")}
        assert said == {abs(Decimal(case.total))}, case.title


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_golden_invoice_that_is_a_cent_off_fails(syntax: Syntax) -> None:
    """So those that pass have really been added up."""
    case = next(case for case in POSSIBLE if case.title == "Two rates on one document")
    good = einvoice(snapshot_of(case), syntax=syntax).decode()
    assert good.count("172.50") >= 2
    assert any("BR-CO-15" in each for each in faults(good.replace("172.50", "172.51").encode(), syntax))


def test_what_the_standard_cannot_say_is_refused() -> None:
    refused = [case for case in cases() if case.title in REFUSED]
    assert refused, "a case in a currency of three decimals"
    for case in refused:
        with pytest.raises(NotPossible, match="three decimals"):
            einvoice(snapshot_of(case), syntax="ubl")


def _others(case: Case) -> Iterable[tuple[str, str, str]]:
    for text in case.other_lines:
        category, rate, amount = text.split()
        yield category, rate, amount


def _line(description: str, quantity: str, unit: str, amount: str, category: str, rate: str) -> dict[str, Any]:
    return {
        "description": description, "client": "Acme", "quantity": quantity, "unit": unit, "amount": amount,
        "tax_category": category, "tax_rate": rate, "size_contract": "1", "evidence": [],
    }  # fmt: skip


def _negative(amount: str) -> str:
    return str(-Decimal(amount))
