"""An invoice or credit note as a PDF: the same words and figures as its page, on A4, for print and for mail.

Pure drawing with fpdf2 and a font that comes with a package; nothing is fetched. A final document is drawn from what
was frozen, with the moment of its issue, so the same document gives the same bytes years later. A character that the
font lacks is drawn as a box.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import facturx
import font_source_sans_pro
from fpdf import FPDF
from fpdf.enums import XPos, YPos

from billing.exact import number_text
from billing.following import Followed
from billing.money import money_text
from billing.queries import InvoicePage
from billing.taxes import CATEGORY_WORDS, TaxTotal

FONT = "Document"
PLAIN, GREY, RULE = "#1f2933", "#667085", "#d0d5dd"
MARGIN, WIDTH = 18, 174
#: Widths of the columns: number, what, size, amount.
COLUMNS = (10, 96, 34, 34)
#: No cell holds more: a name of ten thousand letters is no name.
MOST_LETTERS = 600
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]+")

# The font's subsetter tells every table it drops.
logging.getLogger("fontTools").setLevel(logging.ERROR)


def draw_document(page: InvoicePage, *, after: Followed) -> bytes:
    """The document's bytes; a draft says that it is a proforma, a void document that it is void."""
    sheet = _Sheet(page)
    _head(sheet, page)
    _parties(sheet, page, after)
    _lines(sheet, page)
    _sums(sheet, page)
    _foot(sheet, page)
    return bytes(sheet.output())


def with_einvoice(pdf: bytes, xml: bytes) -> bytes:
    """The PDF with the e-invoice (CII) in it, as Factur-X and ZUGFeRD programs read it; the library dates the file."""
    hybrid: bytes = facturx.generate_from_binary(
        pdf, xml, flavor="factur-x", level="en16931", check_xsd=False, afrelationship="alternative"
    )
    return hybrid


def printable(text: object) -> str:
    """One line without control characters and characters that turn the direction of reading."""
    return UNPRINTABLE.sub(" ", str(text))[:MOST_LETTERS]


class _Sheet(FPDF):
    """A4 with the number and the page on every page."""

    def __init__(self, page: InvoicePage) -> None:
        super().__init__(format="A4")
        self.told = page
        issued = page.row.issued_on
        self.set_creation_date(datetime.combine(issued, time(), tzinfo=UTC) if issued else page.cut_off)
        self.set_title(printable(f"{_kind(page)} {page.row.number}".strip()))
        self.set_author(printable(page.seller["legal_name"]))
        self.set_auto_page_break(True, margin=22)
        self.set_margins(MARGIN, MARGIN)
        self.add_font(FONT, "", font_source_sans_pro.SourceSansPro)
        self.add_font(FONT, "B", font_source_sans_pro.SourceSansProSemibold)
        self.alias_nb_pages("{pages}")
        self.add_page()

    def footer(self) -> None:
        self.set_y(-15)
        self.set_font(FONT, "", 8)
        self.set_text_color(GREY)
        number = self.told.row.number or "Draft"
        self.cell(WIDTH, 5, printable(f"{number} · page {self.page_no()} of {{pages}}"), align="R")

    def write_line(
        self, text: object, *, size: int = 10, bold: bool = False, colour: str = PLAIN, width: int = WIDTH,
        left: int = MARGIN, align: str = "L",
    ) -> None:  # fmt: skip
        self.set_font(FONT, "B" if bold else "", size)
        self.set_text_color(colour)
        self.set_x(left)
        self.multi_cell(width, 5 if size < 14 else 9, printable(text), align=align, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _kind(page: InvoicePage) -> str:
    if page.row.state == "draft":
        return "Proforma"
    return "Credit note" if page.row.kind == "credit" else "Invoice"


def _head(sheet: _Sheet, page: InvoicePage) -> None:
    top = sheet.get_y()
    for place, text in enumerate(_party_lines(page.seller)):
        sheet.write_line(text, bold=not place, size=11 if not place else 9, width=100)
    bottom = sheet.get_y()
    sheet.set_y(top)
    sheet.write_line(_kind(page), size=20, bold=True, left=MARGIN + 104, width=70, align="R")
    stamp = {"draft": "A draft: not an invoice yet, nothing to pay", "void": "VOID"}.get(page.row.state, "")
    if stamp:
        sheet.write_line(stamp, colour="#b42318", bold=True, left=MARGIN + 104, width=70, align="R")
    sheet.set_y(max(bottom, sheet.get_y()) + 8)


def _parties(sheet: _Sheet, page: InvoicePage, after: Followed) -> None:
    top = sheet.get_y()
    sheet.write_line("Bill to", size=8, colour=GREY)
    for place, text in enumerate(_party_lines(page.bill_to)):
        sheet.write_line(text, bold=not place, width=96)
    bottom = sheet.get_y()
    sheet.set_y(top)
    for label, value in _facts(page, after):
        start = sheet.get_y()
        sheet.write_line(label, size=9, colour=GREY, left=MARGIN + 104, width=24)
        sheet.set_y(start)
        sheet.write_line(value, size=9, left=MARGIN + 128, width=46)
    sheet.set_y(max(bottom, sheet.get_y()) + 8)


def _party_lines(party: Any) -> list[str]:
    lines = [party["legal_name"], *party["address"].splitlines(), party["country"]]
    if party["tax_id"]:
        lines.append(f"Tax number {party['tax_id']}")
    return [line for line in lines if line.strip()]


def _facts(page: InvoicePage, after: Followed) -> list[tuple[str, str]]:
    row = page.row
    told = [
        ("Number", row.number or "given when final"),
        ("Issued", _day(row.issued_on)),
        ("Due", _day(row.due_on) if row.kind == "regular" else ""),
        ("Period", f"{_day(row.first_day)} to {_day(row.last_day - timedelta(days=1))}"),
        ("Your order", page.bill_to.get("order_number", "")),
        ("Replaces", page.replaces),
        ("Takes back", after.credits),
        ("Because", after.reason if after.credits else ""),
    ]
    return [(label, value) for label, value in told if value]


def _lines(sheet: _Sheet, page: InvoicePage) -> None:
    sheet.set_draw_color(RULE)
    sheet.set_text_color(PLAIN)
    sheet.set_font(FONT, "", 9)
    with sheet.table(
        col_widths=COLUMNS, width=WIDTH, line_height=5, text_align=("LEFT", "LEFT", "RIGHT", "RIGHT"),
        borders_layout="HORIZONTAL_LINES",
    ) as table:  # fmt: skip
        _row(table, ("#", "What", "Size", "Amount"))
        for place, line in enumerate(page.lines, start=1):
            size = f"{number_text(line.quantity)} {line.unit}".strip()
            _row(table, (str(place), line.description, size, money_text(line.amount, line.currency)))
        if not page.lines:
            _row(table, ("", "Nothing is charged.", "", ""))
    sheet.ln(3)


def _row(table: Any, texts: Sequence[str]) -> None:
    row = table.row()
    for text in texts:
        row.cell(printable(text))


def _sums(sheet: _Sheet, page: InvoicePage) -> None:
    currency = page.row.currency
    told = [("Net", money_text(page.row.net, currency), False)]
    told += [(_tax_words(each, currency), money_text(each.tax, currency), False) for each in page.taxes]
    told.append(("Total", money_text(page.row.total, currency), True))
    for label, amount, bold in told:
        if sheet.will_page_break(12):
            sheet.add_page()
        start = sheet.get_y()
        sheet.write_line(label, bold=bold, left=MARGIN + 50, width=84, align="R")
        end = sheet.get_y()
        sheet.set_y(start)
        sheet.write_line(amount, bold=bold, left=MARGIN + 134, width=40, align="R")
        sheet.set_y(max(end, sheet.get_y()))
    sheet.ln(5)


def _tax_words(tax: TaxTotal, currency: str) -> str:
    if not tax.rate:
        return f"{CATEGORY_WORDS.get(tax.category, tax.category)}, no tax on {money_text(tax.net, currency)}"
    return f"{number_text((tax.rate * 100).normalize())} % tax on {money_text(tax.net, currency)}"


def _foot(sheet: _Sheet, page: InvoicePage) -> None:
    row = page.row
    if page.bill_to.get("tax_note"):
        sheet.write_line(page.bill_to["tax_note"])
    if row.due_on and row.kind == "regular" and row.state == "final":
        sheet.write_line(f"Please pay by {_day(row.due_on)}.", bold=True)
    for text in (*page.seller.get("bank", "").splitlines(), *page.seller.get("note", "").splitlines()):
        sheet.write_line(text, size=9)
    sheet.ln(3)
    versions = [f"Sizes are counted by the size contract, version {version}." for version in page.size_contracts]
    cut_off = f"{page.cut_off:%Y-%m-%d %H:%M} UTC"
    sheet.write_line(
        " ".join((f"Days are those of {page.timezone}, as known on {cut_off}.", *versions)), size=8, colour=GREY
    )
    if page.content_hash:
        sheet.write_line(f"Content {page.content_hash}", size=8, colour=GREY)


def _day(day: date | None) -> str:
    return f"{day.day} {day:%B %Y}" if day else ""
