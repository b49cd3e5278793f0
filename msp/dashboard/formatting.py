"""Template filters and tags of the dashboard: sizes, times, outcomes, icons, charts.

Every size carries its exact bytes, every relative time its exact moment in the tenant's zone and in UTC, every outcome
a shape, a colour and a word. Whatever text they are given is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from alerts.wording import count_words, size_words
from msp.backups.queries import DayMark, SizePoint
from msp.dashboard import charts

register = template.Library()

_UNITS = ((86400 * 365, "y"), (86400, "d"), (3600, "h"), (60, "min"))

#: Outcome -> (shape in the icon sheet, class, word)
OUTCOMES: Mapping[str, tuple[str, str, str]] = {
    "success": ("o-good", "good", "Good"),
    "warning": ("o-warning", "warning", "Warnings"),
    "failure": ("o-failure", "failure", "Failed"),
    "missed": ("o-missed", "missed", "Missed"),
    "running": ("o-running", "running", "Running"),
    "skipped": ("o-skipped", "unknown", "Skipped"),
    "cancelled": ("o-cancelled", "failure", "Cancelled"),
    "unknown": ("o-unknown", "unknown", "No verdict"),
    "": ("o-none", "none", "No run yet"),
}
SEVERITIES: Mapping[str, str] = {"critical": "Critical", "warning": "Warning", "info": "Info"}


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon of the sheet, hidden from screen readers: its meaning stands beside it."""
    return format_html(
        '<svg class="icon" viewBox="0 0 20 20" aria-hidden="true"><use href="{}#{}"/></svg>', static("icons.svg"), name
    )


@register.filter
def size(value: int | None) -> SafeString:
    """ "1.2 GB" with the exact bytes in its title; a dash where nothing is known."""
    if value is None:
        return SafeString('<span class="absent">–</span>')
    return format_html('<data value="{}" title="{} bytes">{}</data>', value, f"{value:,}", size_words(value))


@register.simple_tag(takes_context=True)
def ago(context: template.Context, moment: datetime | None, absent: str = "–") -> SafeString:
    """ "3 h ago" or "in 2 d", with the exact moment in its title."""
    if moment is None:
        return format_html('<span class="absent">{}</span>', absent)
    return _time(moment, relative_words(moment, context["now"]))


@register.filter
def moment(value: datetime | None) -> SafeString:
    """Date and time in the tenant's zone, with UTC in its title."""
    if value is None:
        return SafeString('<span class="absent">–</span>')
    return _time(value, f"{_day_words(timezone.localtime(value))} {timezone.localtime(value):%H:%M}")


@register.filter
def day(value: date) -> str:
    """ "Tue 3 Nov"."""
    return f"{value:%a} {value.day} {value:%b}"


def _time(moment: datetime, words: str) -> SafeString:
    local, utc = timezone.localtime(moment), moment.astimezone(UTC)
    title = f"{_day_words(local)} {local:%H:%M:%S %Z} · {utc:%Y-%m-%d %H:%M:%S} UTC"
    return format_html('<time datetime="{}" title="{}">{}</time>', utc.isoformat(), title, words)


def _day_words(local: datetime) -> str:
    return f"{local:%a} {local.day} {local:%b %Y}"


def relative_words(moment: datetime, now: datetime) -> str:
    """How far a moment is from now, in its largest unit."""
    seconds = int((now - moment).total_seconds())
    for unit, name in _UNITS:
        if abs(seconds) >= unit:
            amount = f"{abs(seconds) // unit} {name}"
            return f"{amount} ago" if seconds > 0 else f"in {amount}"
    return "just now" if seconds >= 0 else "in a moment"


@register.filter
def duration(seconds: float | None) -> str:
    """ "4 min 12 s"; "0.8 s" under ten seconds; a dash where nothing is known."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    return " ".join(f"{count} {name}" for count, name in [part for part in parts if part[0]][:2])


@register.filter
def number(value: float | Decimal | None) -> str:
    """With separators; a dash where nothing is known."""
    return "–" if value is None else f"{value:,}"


@register.simple_tag
def outcome(name: str, good: bool | None = None) -> SafeString:
    """Mark and word of an outcome; a warning that counts as good says so."""
    shape, style, words = OUTCOMES.get(name, OUTCOMES["unknown"])
    if name == "warning" and good:
        style, words = "good", "Good, tolerated errors"
    if name == "success" and good is False:
        style, words = "unknown", "Success, not counted"
    return format_html('<span class="outcome outcome-{}">{}<span>{}</span></span>', style, icon(shape), words)


@register.simple_tag
def severity(name: str) -> SafeString:
    """Mark and word of a severity."""
    known = name if name in SEVERITIES else "info"
    return format_html(
        '<span class="severity severity-{}">{}<span>{}</span></span>', known, icon(f"s-{known}"), SEVERITIES[known]
    )


@register.filter
def words(value: str) -> str:
    """A short stored text as a person reads it: "no_recent_backup" is "No recent backup"."""
    return str(value).replace("_", " ").capitalize()


@register.filter
def counted(value: int, noun: str) -> str:
    """ "1 job", "3 jobs"."""
    return count_words(value, noun)


@register.simple_tag
def strip(days: Sequence[tuple[date, DayMark]], label: str) -> SafeString:
    """The days of a client or job as a row of marks."""
    return charts.draw_strip(days, label=label)


@register.simple_tag
def sparkline(points: Sequence[SizePoint], label: str) -> SafeString:
    """A small curve of sizes."""
    return charts.draw_sparkline(points, label=label)


@register.simple_tag
def size_chart(points: Sequence[SizePoint], label: str) -> SafeString:
    """A larger curve of sizes."""
    return charts.draw_size_chart(points, label=label)


@register.simple_tag
def quota(used: int | None, agreed: int | None) -> SafeString:
    """How full a quota is."""
    return charts.draw_quota(used, agreed)


@register.filter
def percent_of(used: int | None, agreed: int | None) -> str:
    """Used as a share of what was agreed."""
    return f"{used / agreed:.0%}" if used is not None and agreed else "–"


@register.filter
def safe_link(url: str) -> str:
    """An address that another system gave us, if it is one a browser may open; else nothing."""
    return url if url.startswith(("https://", "http://")) else ""


@register.filter
def hours(value: timedelta | None) -> str:
    """A duration in words."""
    return "–" if value is None else duration(value.total_seconds())


@register.simple_tag(takes_context=True)
def here(context: template.Context, *names: str) -> SafeString:
    """Marks the navigation entry of the page one is on."""
    match = getattr(context.get("request"), "resolver_match", None)
    return SafeString('aria-current="page"') if match and match.url_name in names else SafeString("")
