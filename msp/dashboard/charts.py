"""Charts as inline SVG, drawn on the server: day strips, sparklines, size curves, quota bars.

Every mark of a strip differs in shape as well as in colour, and the picture has its meaning as text beside it. Numbers
only reach the markup; whatever text is given is escaped. Colours come from the stylesheet by class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from alerts.wording import count_words, size_words
from msp.backups.queries import DayMark, SizePoint

#: One letter a mark, for the tooltips of the script.
LETTERS = {
    "good": "g", "warning": "w", "failure": "f", "missed": "m", "unknown": "u", "none": "n", "retired": "r",
}  # fmt: skip
WORDS = {
    "good": "good", "warning": "with warnings", "failure": "failed", "missed": "missed", "unknown": "no verdict",
    "none": "no run", "retired": "not active",
}  # fmt: skip

CELL, STEP, HEIGHT = 10, 13, 16

_SHAPES: dict[str, Callable[[int], str]] = {
    "good": lambda x: f"M{x} 3h10v10h-10z",
    "warning": lambda x: f"M{x - 1} 14l6-12 6 12z",
    "failure": lambda x: f"M{x} 0h10v16h-10z",
    "missed": lambda x: f"M{x + 1} 1h8v14h-8z",
    "unknown": lambda x: f"M{x + 2} 8a3 3 0 1 0 6 0a3 3 0 1 0-6 0",
    "none": lambda x: f"M{x + 4} 7h2v2h-2z",
    "retired": lambda x: f"M{x + 2} 12l6-8",
}


def draw_strip(days: Sequence[tuple[date, DayMark]], *, label: str) -> SafeString:
    """One row of days, oldest first: at most one path a kind of mark, so that 500 rows stay small."""
    if not days:
        return SafeString("")
    marks = [mark for _, mark in days]
    return format_html(
        '<svg class="strip" viewBox="-1 0 {} {}" role="img" aria-label="{}" data-first="{}" data-marks="{}">'
        "{}{}{}</svg>",
        len(days) * STEP - 1,
        HEIGHT,
        f"{label}: {strip_words(days)}",
        days[0][0].isoformat(),
        "".join(LETTERS[mark.mark].upper() if mark.mended else LETTERS[mark.mark] for mark in marks),
        format_html_join("", '<path class="m-{}" d="{}"/>', _paths(marks)),
        _crosses(marks),
        _mended(marks),
    )


def strip_words(days: Sequence[tuple[date, DayMark]]) -> str:
    """What a strip says, for those who cannot see it: "24 good, 2 failed (12, 14 Nov), 2 no run"."""
    parts = []
    for name, words in WORDS.items():
        found = [day for day, mark in days if mark.mark == name]
        if found:
            which = ", ".join(f"{day.day} {day:%b}" for day in found[:6])
            parts.append(f"{len(found)} {words}" + (f" ({which})" if name in ("failure", "missed", "warning") else ""))
    return ", ".join(parts)


def _paths(marks: Sequence[DayMark]) -> Iterable[tuple[str, str]]:
    for name, shape in _SHAPES.items():
        places = [place for place, mark in enumerate(marks) if mark.mark == name]
        if places:
            yield name, "".join(shape(place * STEP) for place in places)


def _crosses(marks: Sequence[DayMark]) -> SafeString:
    """The cross on a failed day, the dash on a missed one."""
    strokes = [f"M{place * STEP + 2} 5l6 6m0-6l-6 6" for place, mark in enumerate(marks) if mark.mark == "failure"]
    return format_html('<path class="m-cross" d="{}"/>', "".join(strokes)) if strokes else SafeString("")


def _mended(marks: Sequence[DayMark]) -> SafeString:
    corners = [f"M{place * STEP + CELL + 1} 17v-8l-8 8z" for place, mark in enumerate(marks) if mark.mended]
    return format_html('<path class="m-mended" d="{}"/>', "".join(corners)) if corners else SafeString("")


def draw_sparkline(points: Sequence[SizePoint], *, label: str, width: int = 120, height: int = 28) -> SafeString:
    """A small curve of sizes; nothing for fewer than two points."""
    if len(points) < 2:
        return SafeString("")
    line = _curve(points, width=width, height=height, floor=_floor(points))
    return format_html(
        '<svg class="spark" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<path class="area" d="{}L{} {}L0 {}z"/><path class="line" d="{}"/></svg>',
        width, height, f"{label}: {trend_words(points)}", line, width, height, height, line,
    )  # fmt: skip


def draw_size_chart(points: Sequence[SizePoint], *, label: str) -> SafeString:
    """A larger curve from zero, with the sizes of its upper edge and its middle written beside the lines."""
    if len(points) < 2:
        return SafeString("")
    width, height, top = 720, 160, _nice(max(point.size_bytes for point in points))
    line = _curve(points, width=width, height=height, floor=0, ceiling=top)
    return format_html(
        '<figure class="chart"><svg viewBox="0 0 {w} {h}" preserveAspectRatio="none" role="img" aria-label="{label}">'
        '<path class="grid" d="M0 .5H{w}M0 {mid}H{w}M0 {low}H{w}"/>'
        '<path class="area" d="{line}L{w} {h}L0 {h}z"/><path class="line" d="{line}"/></svg>'
        '<span class="chart-top">{top}</span><span class="chart-mid">{half}</span>'
        "<figcaption><span>{first}</span><span>{last}</span></figcaption></figure>",
        w=width, h=height, mid=height / 2, low=height - 0.5, line=line, label=f"{label}: {trend_words(points)}",
        top=size_words(top), half=size_words(top // 2),
        first=_day_words(points[0].day), last=_day_words(points[-1].day),
    )  # fmt: skip


def trend_words(points: Sequence[SizePoint]) -> str:
    """First and last size, and how many days lie between."""
    days = (points[-1].day - points[0].day).days
    return f"{size_words(points[0].size_bytes)} to {size_words(points[-1].size_bytes)} in {count_words(days, 'day')}"


def _day_words(day: date) -> str:
    return f"{day.day} {day:%b}"


def _floor(points: Sequence[SizePoint]) -> int:
    """Sparklines show change: they begin a little under the lowest value."""
    low, high = min(point.size_bytes for point in points), max(point.size_bytes for point in points)
    return max(0, low - max((high - low) // 3, high // 20))


def _curve(points: Sequence[SizePoint], *, width: int, height: int, floor: int, ceiling: int | None = None) -> str:
    top = ceiling or max(point.size_bytes for point in points)
    days = max((points[-1].day - points[0].day).days, 1)
    span = max(top - floor, 1)
    places = (
        (
            (point.day - points[0].day).days * width / days,
            height - 1.5 - (point.size_bytes - floor) * (height - 3) / span,
        )
        for point in points
    )
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)


def _nice(top: int) -> int:
    """The next of 1, 2, 4, 5, 8 or 10 times a power of ten: axes with round numbers."""
    power: int = 10 ** max(len(str(max(top, 1))) - 1, 0)
    return next(factor * power for factor in (1, 2, 4, 5, 8, 10) if factor * power >= top)


def draw_quota(used: int | None, quota: int | None) -> SafeString:
    """How full a quota is; nothing where none is agreed."""
    if not quota or used is None:
        return SafeString("")
    share = used / quota
    state = "over" if share > 1 else "near" if share >= 0.8 else "within"
    words = f"{size_words(used)} of {size_words(quota)} used, {share:.0%}"
    return format_html(
        '<svg class="quota quota-{}" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="track" width="100" height="6" rx="1"/><rect class="fill" width="{}" height="6" rx="1"/></svg>',
        state, words, f"{min(share, 1) * 100:.1f}",
    )  # fmt: skip
