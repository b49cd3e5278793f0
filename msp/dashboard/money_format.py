"""Filters and tags of the money pages: amounts, exact quantities, the marks of billed days, a chart of days."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from alerts.wording import size_words
from billing.exact import number_text, rounded
from billing.metrics import BY_NAME
from billing.money import CURRENCIES, round_money
from billing.taxes import CATEGORY_WORDS, TaxTotal
from billing.units import size_of
from msp.dashboard.formatting import icon
from msp.dashboard.typing_in import MANY

register = template.Library()

#: State of a billed day -> (shape in the icon sheet, class, words)
DAY_MARKS: dict[str, tuple[str, str, str]] = {
    "measured": ("o-good", "good", "measured"),
    "not_due": ("o-skipped", "unknown", "not due, last figure stands"),
    "late": ("o-warning", "warning", "late, carried"),
    "missing": ("o-missed", "missed", "missing"),
    "not_billable": ("o-none", "none", "not billable"),
}
STATE_MARKS: dict[str, tuple[str, str]] = {"draft": ("clock", "badge-warning"), "final": ("check", "badge-good")}
DECISION_WORDS = {
    "exclude_missing": ("Leave the missing days out", "They count neither in the sum nor in the number of days."),
    "carry_missing": ("Charge the last figure known on the missing days", "Shown on the line as carried."),
    "accept_figures": ("Accept the figures as measured", "They are billed as they are."),
    "accept_corrections": ("Bill the corrections of earlier months", "They stand on this invoice, as composed now."),
    "leave_corrections": ("Leave the corrections out of this invoice", "They are looked at again for the next month."),
    "refuse_basis": ("Do not bill figures counted another way", "These days go by the figures counted as before."),
}
#: What differs from last month, as people say it.
REASON_WORDS = {
    "new": "new this month", "gone": "no line any more", "price": "another plan or version",
    "gap": "days without a figure", "correction": "corrected figures", "days": "another number of days",
    "grew": "more data", "shrank": "less data", "same": "unchanged",
    "once": "charged or credited once", "discount": "discount",
}  # fmt: skip
#: Decimals of a size beside its exact bytes.
PLACES = 9
HEIGHT, STEP, BAR = 64, 12, 9


@register.simple_tag
def money(amount: Decimal | None, currency: str) -> SafeString:
    """ "1,234.50 EUR" with the currency's decimals; every digit where the amount is finer than these."""
    if amount is None:
        return SafeString('<span class="absent">–</span>')
    return format_html(
        '<span class="money">{} <span class="cur">{}</span></span>', amount_text(amount, currency), currency
    )


@register.simple_tag
def money_change(amount: Decimal, currency: str) -> SafeString:
    """A difference with its sign."""
    sign = "+" if amount > 0 else "−" if amount < 0 else ""
    text = f"{sign}{amount_text(abs(amount), currency)}"
    return format_html('<span class="money">{} <span class="cur">{}</span></span>', text, currency)


def amount_text(amount: Decimal, currency: str) -> str:
    """The amount with thousands marked."""
    if currency not in CURRENCIES:
        return format(amount, ",f")
    rounded = round_money(amount, currency)
    return format(rounded if rounded == amount else amount.normalize(), ",f")


@register.filter
def plain(value: Decimal | None) -> str:
    """A number without needless zeros: "121", "0.05"."""
    return "–" if value is None else format(Decimal(number_text(value)), ",f")


@register.filter
def percent(share: Decimal) -> str:
    """A share of one as a percentage: 0.19 is "19"."""
    return number_text(Decimal(share) * 100)


@register.filter
def tax_words(tax: TaxTotal) -> str:
    """A rate, or why there is none: "Tax 19 %", "Reverse charge (AE)"."""
    return f"Tax {percent(tax.rate)} %" if tax.rate or tax.category == "S" else category_words(tax.category)


@register.filter
def category_words(category: str) -> str:
    """A tax category in words, with its code."""
    return f"{CATEGORY_WORDS.get(category, category)} ({category})"


@register.filter
def exact_bytes(value: int | None) -> str:
    """All digits, with thousands marked."""
    return "–" if value is None else f"{value:,}"


@register.filter
def signed_bytes(value: int) -> str:
    """A difference with its sign and all digits."""
    return f"+{value:,}" if value > 0 else f"−{-value:,}"


@register.filter
def upper_first(text: str) -> str:
    """The sentence with a capital letter, the rest as it is."""
    return text[:1].upper() + text[1:]


@register.filter
def metric_words(metric: str) -> str:
    """What a metric is called on lines: "protected size"."""
    return BY_NAME[metric].label if metric in BY_NAME else metric


@register.simple_tag
def in_unit(value: int | None, unit: str) -> str:
    """Bytes in a plan's unit: exact where the decimals end within nine places (GB always), else marked."""
    if value is None:
        return "–"
    exact = Fraction(value, size_of(unit))
    shown = rounded(exact, places=PLACES)
    about = "" if shown == exact else "about "
    return f"{about}{format(Decimal(number_text(shown)), ',f')} {unit}"


@register.filter
def result_of(sentence: str) -> str:
    """What a step of a working comes to, as people read it: the part after its last equals sign."""
    return sentence.rsplit(" = ", 1)[-1]


@register.filter
def first_proof(selection: Any) -> Any:
    """The first day of a selection that rests on a figure; None if none does."""
    return next((day for day in selection.days if day.measured_on is not None), None)


@register.simple_tag
def day_mark(state: str) -> SafeString:
    """Shape, colour and words of a billed day."""
    shape, style, words = DAY_MARKS.get(state, DAY_MARKS["not_billable"])
    return format_html('<span class="outcome outcome-{}">{}<span>{}</span></span>', style, icon(shape), words)


@register.simple_tag
def document_state(state: str, kind: str = "regular") -> SafeString:
    """The badge of a draft, final or void document."""
    shape, style = STATE_MARKS.get(state, ("close", "badge-failure"))
    words = f"credit note, {state}" if kind == "credit" else state
    return format_html('<span class="badge {}">{}{}</span>', style, icon(shape), words)


@register.simple_tag
def day_bars(days: Sequence[Any], label: str) -> SafeString:
    """One bar a day by what it was charged; days that do not count have a mark of another shape on the ground line."""
    top = max([day.charged or 0 for day in days], default=0)
    if not days or not top:
        return SafeString("")
    return format_html(
        '<figure class="bars"><svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}'
        '<path class="ground" d="M0 {}.5H{}"/></svg>'
        '<figcaption><span>{}</span><span>largest {}</span><span>{}</span></figcaption></figure>',
        len(days) * STEP, HEIGHT + 6, _bars_words(days, label),
        format_html_join("", '<path class="b-{}" d="{}"><title>{}</title></path>', _bars(days, top)),
        HEIGHT, len(days) * STEP, days[0].day, size_words(top), days[-1].day,
    )  # fmt: skip


def _bars(days: Sequence[Any], top: int) -> list[tuple[str, str, str]]:
    bars = []
    for place, day in enumerate(days):
        x = place * STEP
        words = f"{day.day}: {DAY_MARKS.get(day.state, ('', '', day.state))[2]}"
        if day.charged is None:
            bars.append((day.state, f"M{x + 2} {HEIGHT - 5}l5 5m0-5l-5 5", words))
            continue
        height = max(1, day.charged * (HEIGHT - 4) // top)
        path = f"M{x} {HEIGHT}v-{height}h{BAR}v{height}z"
        if day.state == "late":
            path += f"M{x} {HEIGHT - height - 2}h{BAR}"
        bars.append((day.state, path, f"{words}, {day.charged:,} bytes"))
    return bars


def _bars_words(days: Sequence[Any], label: str) -> str:
    counts = {state: sum(day.state == state for day in days) for state in DAY_MARKS}
    told = ", ".join(f"{count} {DAY_MARKS[state][2]}" for state, count in counts.items() if count)
    return f"{label}: {told}"


@register.filter
def change_reason(reason: str) -> str:
    """Why a line differs from last month."""
    return REASON_WORDS.get(reason, reason)


@register.filter
def decision_words(decision: str) -> str:
    """What was decided about something held."""
    return DECISION_WORDS.get(decision, (decision, ""))[0]


@register.filter
def ticked_values(value: str) -> list[str]:
    """The ticked choices of a field."""
    return value.split(MANY) if value else []
