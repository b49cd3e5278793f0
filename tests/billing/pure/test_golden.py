"""The golden invoices: every case computed by the product comes to what was worked out by hand, to the last cent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from billing.metering import METERS
from billing.pricing import PRICES
from billing.working import recompute
from tests.billing.golden import PAGE, Case, Line, cases, page
from tests.billing.golden.running import compute, corrected, taxes_of

every_case = pytest.mark.parametrize("case", cases(), ids=lambda case: case.title)


@every_case
def test_a_case_comes_to_what_was_worked_out_by_hand(case: Case) -> None:
    document = compute(case)
    computed = [(str(line.quantity), str(line.amount)) for line in document.lines]
    assert computed == [(line.quantity, line.amount) for line in case.lines]
    assert tuple(str(each.tax) for each in document.taxes) == case.taxes
    assert (str(document.net), str(document.total)) == (case.net, case.total)
    assert all(recompute(line.working) == line.amount for line in document.lines)


@pytest.mark.parametrize("case", [case for case in cases() if case.difference], ids=lambda case: case.title)
def test_a_correction_is_the_period_recomputed_minus_what_was_billed(case: Case) -> None:
    difference = compute(corrected(case)).net - compute(case).net
    tax = taxes_of(case, difference)
    assert (str(difference), str(tax), str(difference + tax)) == (
        case.difference, case.difference_tax, case.difference_total,
    )  # fmt: skip


@every_case
def test_the_order_of_selections_and_figures_never_changes_a_document(case: Case) -> None:
    document, turned = compute(case), compute(replace(case, lines=tuple(_turned(line) for line in case.lines)))
    assert [line.amount for line in turned.lines] == [line.amount for line in document.lines]
    assert [line.working["steps"] for line in turned.lines] == [line.working["steps"] for line in document.lines]
    assert turned.taxes == document.taxes


def _turned(line: Line) -> Line:
    """The same line with its selections, and the figures of each, the other way round."""
    selections = [dict(each) | {"sizes": _backwards(each["sizes"])} for each in reversed(line.selections)]
    return replace(line, selections=selections)


def _backwards(sizes: str) -> str:
    return ", ".join(reversed(sizes.split(", ")))


def test_every_meter_and_every_price_has_a_case() -> None:
    plans = [line.plan for case in cases() for line in case.lines]
    assert {plan.get("meter", "daily_average") for plan in plans} == set(METERS)
    assert {plan["price"] for plan in plans} == set(PRICES)


def test_there_are_cases_of_every_kind_and_each_has_a_title_of_its_own() -> None:
    titles = [case.title for case in cases()]
    assert len(titles) == len(set(titles)) >= 40
    assert {case.chapter for case in cases()} == {"meters", "prices", "proration", "taxes", "corrections"}


def test_the_page_shows_every_case_as_it_is_tested() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


@every_case
def test_the_arithmetic_names_every_figure_that_is_expected(case: Case) -> None:
    words = case.arithmetic.replace(",", "")
    expected = {line.amount for line in case.lines} | {case.net, case.total, case.difference, *case.taxes} - {""}
    missing = [text for text in expected if text and text not in words and not _whole_in(text, words)]
    assert missing == []


def _whole_in(text: str, words: str) -> bool:
    """10.00 may stand there as 10."""
    return format(Decimal(text).normalize(), "f") in words
