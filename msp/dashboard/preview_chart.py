"""The chart of a preview: open incidents a day as the rule is set today and as it is proposed, as inline SVG.

Both are steps, one filled and one a dashed line, so that they differ without colour; beside the picture stands what it
says as text. Only numbers reach the markup.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.html import format_html
from django.utils.safestring import SafeString

from alerts.previewing import DayCount

WIDTH, HEIGHT = 720, 160


def draw_preview(days: Sequence[DayCount], *, label: str) -> SafeString:
    """Nothing for fewer than two days."""
    if len(days) < 2:
        return SafeString("")
    top = _nice(max(max(day.today, day.proposed) for day in days))
    today, proposed = _steps([day.today for day in days], top), _steps([day.proposed for day in days], top)
    return format_html(
        '<figure class="chart trying"><svg viewBox="0 0 {w} {h}" preserveAspectRatio="none" role="img" '
        'aria-label="{label}"><path class="grid" d="M0 .5H{w}M0 {mid}H{w}M0 {low}H{w}"/>'
        '<path class="area" d="{today}V{h}H0z"/><path class="line was" d="{today}"/>'
        '<path class="line" d="{proposed}"/></svg>'
        '<span class="chart-top">{top}</span><span class="chart-mid">{half}</span>'
        "<figcaption><span>{first}</span><span>{last}</span></figcaption></figure>",
        w=WIDTH, h=HEIGHT, mid=HEIGHT / 2, low=HEIGHT - 0.5, today=today, proposed=proposed,
        label=f"{label}: {chart_words(days)}", top=top, half="" if top % 2 else top // 2,
        first=f"{days[0].day.day} {days[0].day:%b}", last=f"{days[-1].day.day} {days[-1].day:%b}",
    )  # fmt: skip


def chart_words(days: Sequence[DayCount]) -> str:
    """What the chart says, for those who cannot see it."""
    today, proposed = [day.today for day in days], [day.proposed for day in days]
    return (
        f"as set today at most {max(today)} on a day and {today[-1]} on the last; "
        f"as proposed at most {max(proposed)} and {proposed[-1]}"
    )


def _steps(counts: Sequence[int], top: int) -> str:
    """A step a day, from the left edge to the right one."""
    width = WIDTH / len(counts)
    heights = [HEIGHT - 1.5 - count * (HEIGHT - 3) / top for count in counts]
    steps = "".join(f"V{height:.1f}H{(place + 1) * width:.1f}" for place, height in enumerate(heights))
    return f"M0 {heights[0]:.1f}{steps}"


def _nice(most: int) -> int:
    """The next of 1, 2, 4, 5, 8 or 10 times a power of ten, at least 1."""
    power: int = 10 ** (len(str(max(most, 1))) - 1)
    return next(factor * power for factor in (1, 2, 4, 5, 8, 10) if factor * power >= most)
