"""What an export is: a module with ``LABEL``, ``HELP``, ``Params`` and ``export``; and what exports share.

Settings that say what a tax is called or booked on are one line of text, such as ``S 19 = 8400, AE = 8336``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

from billing.exporting.documents import ExportedDocument
from billing.params import BadParams
from billing.refusals import Refused
from billing.taxes import TAX_CATEGORIES, TaxTotal

#: What a spreadsheet takes for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
ENTRY = re.compile(r"([A-Z]{1,2})(?: +([0-9]{1,2}(?:\.[0-9]{1,3})?) ?%?)? *= *(.{1,60})")

TaxKey = tuple[str, Decimal | None]


@dataclass(frozen=True)
class ExportFile:
    """A file to download."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class Span:
    """What is exported: documents issued from ``first_day`` to the day before ``last_day``, made at ``now``."""

    first_day: date
    last_day: date
    now: datetime


class Exporter(Protocol):
    """What a module of this folder has."""

    @property
    def LABEL(self) -> str: ...  # noqa: N802

    @property
    def HELP(self) -> str: ...  # noqa: N802

    @property
    def Params(self) -> type[Any]: ...  # noqa: N802

    def export(self, documents: Sequence[ExportedDocument], *, params: Any, span: Span) -> ExportFile:
        """One file of these documents. Raises Refused where something has no account or name yet."""
        ...


def read_tax_words(text: str, *, field: str) -> dict[TaxKey, str]:
    """What a setting calls each tax: ``S 19 = 20% (VAT on Income), AE = Reverse Charge``. Raises BadParams."""
    words: dict[TaxKey, str] = {}
    for entry in (part.strip() for part in text.split(",")):
        if not entry:
            continue
        match = ENTRY.fullmatch(entry)
        if match is None or match[1] not in TAX_CATEGORIES:
            known = ", ".join(TAX_CATEGORIES)
            raise BadParams(field, f"{entry!r} cannot be read; write it as S 19 = name, with one of {known}")
        key = (match[1], Decimal(match[2]) / 100 if match[2] else None)
        if key in words:
            raise BadParams(field, f"{match[1]} {match[2] or ''} is given twice".replace("  ", " "))
        words[key] = match[3].strip()
    return words


def word_of(tax: TaxTotal | Any, words: Mapping[TaxKey, str], *, what: str) -> str:
    """What the setting says of a line's tax: of its rate, else of its category. Raises Refused if it says nothing."""
    category, rate = tax_of(tax)
    for known, word in words.items():
        if known[0] == category and known[1] is not None and known[1] == rate:
            return word
    if (category, None) in words:
        return words[category, None]
    percent = format((rate * 100).normalize(), "f")
    raise Refused(
        f"There is no {what} for tax category {category} at {percent} %: add it to the settings of the export."
    )


def tax_of(tax: Any) -> tuple[str, Decimal]:
    """Category and rate of a line or a sum."""
    if isinstance(tax, TaxTotal):
        return tax.category, tax.rate
    return tax.tax_category, tax.tax_rate


def csv_file(name: str, rows: Iterable[Sequence[str]]) -> ExportFile:
    """Comma-separated UTF-8 with a mark at its beginning, which spreadsheets need to see what it is."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerows([[safe_cell(cell) for cell in row] for row in rows])
    return ExportFile(name, "text/csv; charset=utf-8", ("\ufeff" + out.getvalue()).encode())


def safe_cell(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would run it; numbers stay as they are."""
    if text.lstrip(" ").startswith(FORMULA) and not re.fullmatch(r"-[0-9]+(\.[0-9]+)?", text):
        return f"'{text}"
    return text


def file_name(kind: str, span: Span, ending: str) -> str:
    """Such as ``xero-2026-10-01-to-2026-11-01.csv``."""
    return f"{kind}-{span.first_day}-to-{span.last_day}.{ending}"


def living(documents: Sequence[ExportedDocument]) -> list[ExportedDocument]:
    """What is booked: a document that was voided is not."""
    return [each for each in documents if not each.void]
