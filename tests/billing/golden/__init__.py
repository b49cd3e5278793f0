"""The golden invoices: cases worked out by hand, as data (the TOML files beside this), and the page that shows them.

``python -m tests.billing.golden`` writes docs/billing-golden.md from the data; a test holds the two together. Expected
figures are literal text: nothing here computes an amount.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[2] / "docs" / "billing-golden.md"
CHAPTERS = {
    "meters": "Meters and days",
    "prices": "Prices, allowances, limits and rounding",
    "proration": "Parts of a month",
    "taxes": "Taxes",
    "corrections": "Corrections",
}
HEAD = """# Golden invoices

Invoices worked out by hand, each with its arithmetic. A test computes every one of them with the code that composes
real invoices and compares to the last cent; another holds this page and its data (`tests/billing/golden/`) together.
How an amount is reached in general is told in [billing-arithmetic.md](billing-arithmetic.md).

Sizes are in GB (10^9 bytes), "day: size". Where nothing else is said the meter is the daily average, the unit GB with
three decimals, half up, every day is due, and nothing is carried. "line-1" is the plan of a document's first line.
"""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A subscription on a document. ``runs`` are its days; ``selections`` are tables of name, sizes, and so on."""

    plan: Mapping[str, Any]
    selections: Sequence[Mapping[str, str]]
    runs: str
    quantity: str
    amount: str


@dataclass(frozen=True, kw_only=True)
class Case:
    """One document. ``taxes`` are the tax of each category and rate, in their order."""

    chapter: str
    title: str
    arithmetic: str
    month: str
    currency: str
    tax: str
    tax_category: str
    accept_missing: str
    lines: tuple[Line, ...]
    other_lines: tuple[str, ...]
    net: str
    taxes: tuple[str, ...]
    total: str
    corrected: tuple[str, ...]
    difference: str
    difference_tax: str
    difference_total: str


@lru_cache(maxsize=1)
def cases() -> tuple[Case, ...]:
    """Every case, in the order of the page."""
    return tuple(
        _case(chapter, table)
        for chapter in CHAPTERS
        for table in tomllib.loads((FOLDER / f"{chapter}.toml").read_text(encoding="utf-8"))["case"]
    )


def page() -> str:
    """The page as it must stand in the docs."""
    parts = [HEAD]
    for chapter, title in CHAPTERS.items():
        parts.append(f"\n## {title}\n")
        parts += [_section(case) for case in cases() if case.chapter == chapter]
    return "".join(parts)


def _case(chapter: str, table: Mapping[str, Any]) -> Case:
    rate = table["tax"]
    values: dict[str, Any] = {
        "currency": "EUR",
        "tax_category": "S" if Decimal(rate) else "Z",
        "accept_missing": "",
        "difference": "",
        "difference_tax": "",
        "difference_total": "",
    } | {name: value for name, value in table.items() if name not in ("line", "other_lines", "taxes", "corrected")}
    values["arithmetic"] = table["arithmetic"].strip()
    return Case(
        chapter=chapter,
        lines=tuple(_line(line) for line in table["line"]),
        other_lines=tuple(table.get("other_lines", ())),
        taxes=tuple(table["taxes"].split(" + ")),
        corrected=tuple(table.get("corrected", ())),
        **values,
    )


def _line(table: Mapping[str, Any]) -> Line:
    return Line(
        plan=table["plan"],
        selections=table.get("selections", ()),
        runs=table.get("runs", ""),
        quantity=table["quantity"],
        amount=table["amount"],
    )


def _section(case: Case) -> str:
    told = [f"\n### {case.title}\n\n", f"{case.month}, {_tax_words(case)}.\n"]
    told += [f"* {_line_words(line)}\n" for line in case.lines]
    told += [f"* Another line: {_other_words(text, case.currency)}\n" for text in case.other_lines]
    if case.accept_missing:
        told.append(f"* Missing days: {'left out' if case.accept_missing == 'exclude' else 'the last figure'}\n")
    told += [f"* Corrected later: {sizes}\n" for sizes in case.corrected]
    told.append(f"\n{_breaks(case.arithmetic)}\n\n{_result(case)}\n")
    return "".join(told)


def _tax_words(case: Case) -> str:
    percent = f"{_percent(case.tax)} % tax" if case.tax_category == "S" else f"no tax ({case.tax_category})"
    return f"{case.currency}, {percent}"


def _percent(rate: str) -> str:
    whole, _, decimals = rate.partition(".")
    decimals = decimals.ljust(2, "0")
    text = f"{int(whole + decimals[:2])}.{decimals[2:]}"
    return text.rstrip(".")


def _other_words(text: str, currency: str) -> str:
    category, rate, amount = text.split()
    return f"{amount} {currency}, category {category}, {_percent(rate)} %"


def _line_words(line: Line) -> str:
    settings = dict(line.plan)
    told = [] if settings["price"] == "percentage" else [_named(settings, "meter", "daily_average")]
    told.append(_named(settings, "price", ""))
    told += [f"{name.replace('_', ' ')} {_setting(value)}" for name, value in settings.items()]
    runs = f", on days {line.runs}" if line.runs else ""
    selections = "".join(f"\n  * {_selection_words(each)}" for each in line.selections)
    return f"Plan: {'; '.join(told)}{runs}{selections}"


def _named(settings: dict[str, Any], kind: str, default: str) -> str:
    """A meter or price with its settings, taken out of those of the plan."""
    name, params = settings.pop(kind, default), settings.pop(f"{kind}_params", {})
    return ", ".join([_word(name), *([_setting(params)] if params else [])])


def _setting(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_word(name)} {_setting(each)}" for name, each in value.items())
    if isinstance(value, list):
        return "(" + "; ".join(_setting(each) for each in value) + ")"
    return _word(str(value))


def _word(text: str) -> str:
    return text if re.fullmatch(r"[0-9.-]+|line-\d+", text) else text.replace("_", " ")


def _selection_words(selection: Mapping[str, str]) -> str:
    words = f"{selection['name']}: {selection['sizes']}"
    if "before" in selection:
        words += f"; {selection['before']} at the end of the month before"
    if "machine" in selection:
        words += f"; on {selection['machine']}"
    if "billable" in selection:
        words += f"; billable on {selection['billable']}"
    return words + (f"; due on {selection['due']}" if "due" in selection else "")


def _breaks(text: str) -> str:
    return "  \n".join(text.splitlines())


def _result(case: Case) -> str:
    lines = "; ".join(f"**{line.quantity}** comes to **{line.amount}**" for line in case.lines)
    taxes = " + ".join(case.taxes)
    text = f"Result: {lines}; net **{case.net}**, tax **{taxes}**, total **{case.total} {case.currency}**."
    if case.difference:
        text += (
            f" Corrected: **{case.difference}**, tax **{case.difference_tax}**,"
            f" together **{case.difference_total} {case.currency}**."
        )
    return text
