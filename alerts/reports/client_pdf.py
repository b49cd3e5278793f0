"""A client's report as a PDF: the same values as the page, in the provider's colour and name.

Pure drawing with fpdf2 and a font that comes with a package; nothing is fetched. A character that the font lacks is
drawn as a box. The same values give the same bytes, but for the moment of the making, which is the report's own.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import font_source_sans_pro
from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.table import Row

from alerts.wording import moment_words, size_words

FONT = "Report"
PLAIN, GREY = "#1f2933", "#667085"
DEFAULT_COLOUR = "#1d4ed8"
WIDTH = 180
#: No cell holds more: a name of ten thousand letters is no name.
MOST_LETTERS = 400

# The font's subsetter tells every table it drops.
logging.getLogger("fontTools").setLevel(logging.ERROR)


def draw_report(
    values: dict[str, Any], *, version: int, made_at: datetime, signed: tuple[str, datetime] | None
) -> bytes:
    """The document's bytes. ``signed``: who signed for the client, and when."""
    page = Page(values, made_at=made_at)
    page.title(
        f"Backup report {values['month']}", f"{values['client']} · prepared by {values['provider']} · version {version}"
    )
    page.figures(values["nights"], values["coverage"])
    page.chart(values["sizes"])
    page.jobs(values["jobs"])
    zone = values["zone"]
    page.table(
        "Restores tested",
        values["restores"],
        ("When", "What", "Result"),
        lambda row: (
            when(row["at"], zone),
            f"{row['selection']}: {row['what']}",
            " ".join(filter(None, (row["result"], row["proof"]))),
        ),
    )
    page.table(
        "Incidents",
        values["incidents"],
        ("Opened", "What", "Closed"),
        lambda row: (when(row["opened_at"], zone), f"{row['label']}: {row['summary']}", ended(row, zone)),
    )
    page.table(
        "Waivers",
        values["waivers"],
        ("Signed", "What", "Until"),
        lambda row: (
            when(row["signed_at"], zone),
            f"{row['what']}: {row['reason']} ({row['signed_by']})",
            row["ends_on"] or "no end",
        ),
    )
    page.table(
        "Silences",
        values["silences"],
        ("From", "What", "To"),
        lambda row: (
            when(row["from"], zone),
            f"{row['scope']}: {row['reason']} {row['schedule']}".strip(),
            when(row["to"], zone),
        ),
    )
    page.table(
        "Changes of rules",
        values["rule_changes"],
        ("When", "What", "By"),
        lambda row: (when(row["at"], zone), row["what"], row["by"]),
    )
    page.sign_off(signed, zone)
    return page.bytes()


def when(moment: str, zone: str) -> str:
    """A stored moment in the zone of the report."""
    return datetime.fromisoformat(moment).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


def ended(row: dict[str, Any], zone: str) -> str:
    return (
        f"{when(row['closed_at'], zone)} {row['reason']}" if row["closed_at"] else "still open at the end of the month"
    )


def clean(text: object) -> str:
    """One line without control characters."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]+", " ", str(text))[
        :MOST_LETTERS
    ]


class Page:
    """The document while it is drawn."""

    def __init__(self, values: dict[str, Any], *, made_at: datetime) -> None:
        colour = str(values["colour"])
        self.colour = colour if re.fullmatch(r"#[0-9a-fA-F]{6}", colour) else DEFAULT_COLOUR
        self.pdf = FPDF(format="A4")
        self.pdf.set_creation_date(made_at)
        self.pdf.set_title(clean(f"Backup report {values['month']} {values['client']}"))
        self.pdf.set_auto_page_break(True, margin=18)
        self.pdf.set_margins(15, 15)
        self.pdf.add_font(FONT, "", font_source_sans_pro.SourceSansPro)
        self.pdf.add_font(FONT, "B", font_source_sans_pro.SourceSansProSemibold)
        self.pdf.add_page()

    def write(
        self, text: object, *, size: float = 9.5, style: str = "", colour: str = PLAIN, height: float = 5
    ) -> None:
        self.pdf.set_font(FONT, style, size)
        self.pdf.set_text_color(colour)
        self.pdf.multi_cell(WIDTH, height, clean(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def title(self, title: str, below: str) -> None:
        self.pdf.set_fill_color(self.colour)
        self.pdf.rect(0, 0, 210, 4, style="F")
        self.pdf.set_fill_color("#ffffff")
        self.write(title, size=20, style="B", height=10)
        self.write(below, colour=GREY)
        self.pdf.ln(4)

    def heading(self, text: str) -> None:
        if self.pdf.will_page_break(24):
            self.pdf.add_page()
        self.pdf.ln(3)
        self.write(text, size=12.5, style="B", colour=self.colour, height=7)

    def figures(self, nights: dict[str, Any], coverage: dict[str, int]) -> None:
        """The four that are looked at first."""
        machines = coverage["covered"] + coverage["uncovered"]
        told = (
            (f"{nights['success']} %" if nights["success"] else "none due", "of the nights due were good"),
            (f"{nights['compliance']} %" if nights["compliance"] else "none due", "had at least one good backup"),
            (str(nights["longest_gap"]), "nights in a row without, at most"),
            (
                f"{coverage['covered']} of {machines}" if machines else "none named",
                "machines to be protected are covered",
            ),
        )
        top, width = self.pdf.get_y(), WIDTH / len(told)
        for place, (figure, words) in enumerate(told):
            self.pdf.set_xy(15 + place * width, top)
            self.pdf.set_font(FONT, "B", 17)
            self.pdf.set_text_color(PLAIN)
            self.pdf.cell(width, 9, figure)
            self.pdf.set_xy(15 + place * width, top + 9)
            self.pdf.set_font(FONT, "", 8.5)
            self.pdf.set_text_color(GREY)
            self.pdf.multi_cell(width - 4, 4, words, align="L")
        self.pdf.set_xy(15, top + 20)

    def chart(self, series: Sequence[Sequence[Any]]) -> None:
        """The protected size by night, as a line over its own range from zero."""
        self.heading("Protected size")
        if not series:
            self.write("No product told a protected size in this month.", colour=GREY)
            return
        sizes = [int(size) for _, size in series]
        self.write(f"{size_words(sizes[0])} at the beginning, {size_words(sizes[-1])} at the end", colour=GREY)
        left, top, height = 15.0, self.pdf.get_y() + 2, 28.0
        most = max(sizes) or 1
        step = WIDTH / max(1, len(sizes) - 1)
        points = [(left + place * step, top + height - size / most * height) for place, size in enumerate(sizes)]
        self.pdf.set_draw_color(GREY)
        self.pdf.set_line_width(0.2)
        self.pdf.line(left, top + height, left + WIDTH, top + height)
        self.pdf.set_draw_color(self.colour)
        self.pdf.set_line_width(0.7)
        self.pdf.polyline(points if len(points) > 1 else [points[0], (left + WIDTH, points[0][1])])
        self.pdf.set_xy(15, top + height + 3)

    def jobs(self, jobs: Sequence[dict[str, Any]]) -> None:
        rows = {"total": len(jobs), "rows": list(jobs[:200])}
        self.table(
            "Jobs",
            rows,
            ("Job", "Nights due", "Good"),
            lambda row: (row["job"], str(row["due"]), f"{row['success']} %" if row["success"] else "none due"),
            widths=(120, 30, 30),
        )

    def table(
        self,
        title: str,
        listed: dict[str, Any],
        heads: tuple[str, str, str],
        cells: Callable[[dict[str, Any]], tuple[str, str, str]],
        *,
        widths: tuple[int, int, int] = (32, 98, 50),
    ) -> None:
        self.heading(f"{title} ({listed['total']})")
        if not listed["total"]:
            self.write("None in this month.", colour=GREY)
            return
        self.pdf.set_text_color(PLAIN)
        self.pdf.set_draw_color("#d0d5dd")
        self.pdf.set_line_width(0.1)
        self.pdf.set_font(FONT, "", 8.5)
        with self.pdf.table(
            col_widths=widths, width=WIDTH, line_height=4.4, text_align="LEFT", borders_layout="HORIZONTAL_LINES",
            first_row_as_headings=False,
        ) as table:  # fmt: skip
            self.pdf.set_font(FONT, "B", 8.5)
            self.row_of(table.row(), heads)
            self.pdf.set_font(FONT, "", 8.5)
            for row in listed["rows"]:
                self.row_of(table.row(), cells(row))
        if listed["total"] > len(listed["rows"]):
            self.write(f"and {listed['total'] - len(listed['rows'])} more", colour=GREY)

    def row_of(self, row: Row, texts: Sequence[str]) -> None:
        for text in texts:
            row.cell(clean(text))

    def sign_off(self, signed: tuple[str, datetime] | None, zone: str) -> None:
        self.heading("Signed for the client")
        if signed is not None:
            self.write(f"{signed[0]}, {moment_words(signed[1], zone)}")
            return
        self.pdf.ln(10)
        self.pdf.set_draw_color(PLAIN)
        self.pdf.line(15, self.pdf.get_y(), 95, self.pdf.get_y())
        self.write("Name, date, signature", size=8.5, colour=GREY)

    def bytes(self) -> bytes:
        return bytes(self.pdf.output())
