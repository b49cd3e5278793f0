"""The daily sizes of two months over each other, as inline SVG: this month as bars, the month before as a dashed line.

Numbers only reach the markup. What the picture says stands as text in the table beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from alerts.wording import size_words
from billing.why_changed import ComparedDay

HEIGHT, STEP, BAR = 96, 20, 16


def draw_two_months(days: Sequence[ComparedDay]) -> SafeString:
    """Nothing where neither month was charged for a size."""
    top = max((size or 0 for day in days for size in (day.before, day.now)), default=0)
    if not top:
        return SafeString("")
    return format_html(
        '<figure class="bars two-months"><svg viewBox="0 0 {} {}" role="img" aria-label="Daily sizes of both months, '
        'listed below">{}<path class="was" d="{}"/><path class="ground" d="M0 {}.5H{}"/></svg><figcaption>'
        "<span>bars: this month</span><span>largest {}</span><span>dashes: the month before</span></figcaption>"
        "</figure>",
        len(days) * STEP,
        HEIGHT + 2,
        format_html_join("", '<path class="{}" d="{}"><title>{}</title></path>', _bars(days, top)),
        "".join(_dash(place, day.before, top) for place, day in enumerate(days) if day.before is not None),
        HEIGHT,
        len(days) * STEP,
        size_words(top),
    )


def _bars(days: Sequence[ComparedDay], top: int) -> list[tuple[str, str, str]]:
    return [
        (
            "b-more" if day.difference is not None and day.difference > 0 else "b-measured",
            f"M{place * STEP} {HEIGHT}v-{_height(day.now, top)}h{BAR}v{_height(day.now, top)}z",
            f"{day.day}: {day.now:,} bytes",
        )
        for place, day in enumerate(days)
        if day.now is not None
    ]


def _dash(place: int, size: int, top: int) -> str:
    return f"M{place * STEP - 1} {HEIGHT - _height(size, top)}h{BAR + 2}"


def _height(size: int, top: int) -> int:
    return max(1, size * (HEIGHT - 4) // top)
