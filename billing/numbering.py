"""Gap-free invoice numbers: the next one of a seller's series, taken at the very end of the finalising transaction.

The series row is locked last and only until that transaction ends, so a document that is rolled back leaves no gap.
"""

from __future__ import annotations

from datetime import date
from string import Formatter

from billing.models import Invoice, InvoiceSeries, Seller
from billing.refusals import Refused

FIELDS = ("year", "month", "number")
LONGEST = 60


def check_number_format(text: str) -> None:
    """Raises Refused unless the text makes numbers: ``{number:05d}`` in it, else only ``{year}``, ``{month:02d}``."""
    try:
        named = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
        shown = text.format(year=2026, month=12, number=1)
        later = text.format(year=2026, month=12, number=2)
    except (ValueError, KeyError, IndexError, AttributeError) as error:
        raise Refused(f"The number format {text!r} cannot be read; write it as {{year}}-{{number:05d}}.") from error
    if set(named) - set(FIELDS) or shown == later:
        raise Refused(f"The number format {text!r} must hold {{number}}, and may hold {{year}} and {{month}}.")
    if "month" in named and "year" not in named:
        raise Refused(f"The number format {text!r} holds {{month}} without {{year}}: numbers would repeat.")
    if len(shown) > LONGEST - 10:
        raise Refused(f"The number format {text!r} makes numbers that are too long.")


def take_number(seller: Seller, *, issued_on: date, kind: str = "regular") -> str:
    """The next number; locks the series row until the caller's transaction ends. Raises Refused for a bad format.

    Numbers begin again at 1 each year if the format shows the year; credit notes count in a series of their own.
    """
    number_format = seller.credit_number_format if kind == "credit" else seller.number_format
    check_number_format(number_format)
    series = str(issued_on.year) if "{year" in number_format else "all"
    series = f"credit {series}" if kind == "credit" else series
    rows = InvoiceSeries.objects.of(seller.tenant_id)
    rows.bulk_create([InvoiceSeries(seller=seller, series=series)], ignore_conflicts=True)
    row = rows.select_for_update().get(seller=seller, series=series)
    number = number_format.format(year=issued_on.year, month=issued_on.month, number=row.next_number)
    if Invoice.objects.of(seller.tenant_id).filter(seller=seller, number=number).exists():
        raise Refused(f"{number} is the number of another document already; change the number format of {seller}.")
    row.next_number += 1
    row.save(update_fields=["next_number"])
    return number
