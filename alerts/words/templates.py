"""A tenant's own words for the first message of a ticket: which template holds, what it may say, what fills it. Pure.

The nearest wins: one of the route before one of the tenant, one for the language before one for all. What a template
leaves empty is said by the default letter; so is what cannot be filled in, and why is told: no ticket waits for words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape
from typing import Any

from markupsafe import Markup

from alerts.words import sandbox
from alerts.words.cards import Card, one_line
from alerts.words.languages import LANGUAGES, Language
from alerts.words.letters import (
    MOST_CARDS,
    MOST_LINES,
    SUBJECT_LENGTH,
    SUMMARY_LENGTH,
    Letter,
    first_letter,
    further_ones,
    sentence_of,
    ticket_subject,
)
from alerts.words.sandbox import BadTemplate

#: Every value of a template: its name, and what it holds. All are texts but for ``count`` and those of LISTS.
VALUES: Mapping[str, str] = {
    "client": "the client's name",
    "machine": "the machine",
    "server": "the backup server",
    "job": "the job",
    "product": "the backup product",
    "rule": "the rule's code, such as no_recent_backup",
    "problem": "the rule's name in the ticket's language",
    "severity": "info, warning or critical",
    "severity_name": "the severity in the ticket's language",
    "sentence": "what failed, in the ticket's language",
    "summary": "what failed, exactly, in English",
    "since": "since when",
    "last_good_backup": "the last good backup; empty if there is none",
    "lines": "the log's telling lines",
    "hint": "what to try first, by rule and product",
    "link": "the address of the incident",
    "reference": "our reference of the ticket",
    "language": "the ticket's language: en, de, fr or es",
    "default_subject": "the subject as it would be without a template",
}
#: What the body has beyond those.
BODY_VALUES: Mapping[str, str] = {
    "subject": "the ticket's subject",
    "default": "the whole default letter",
    "problems": "the problems of this ticket: each has all values from client to link",
    "count": "how many problems the ticket has",
    "further": "a line for each problem beyond the first 20",
}


@dataclass(frozen=True)
class Template:
    """As stored. ``route_id`` None: the tenant's; ``language`` "": for all; an empty part is the default's."""

    route_id: int | None
    language: str
    subject: str = ""
    body: str = ""
    html: str = ""


@dataclass(frozen=True)
class Worded:
    """What a ticket says; ``failures`` tells which parts of the template could not be used, and why."""

    subject: str
    letter: Letter
    failures: tuple[str, ...] = ()


def choose_template(templates: Iterable[Template], *, route_id: int | None, language: str) -> Template | None:
    """The one that holds for a ticket of this route and language; None: the default letter."""
    fitting = [
        template
        for template in templates
        if template.route_id in (None, route_id) and template.language in ("", language)
    ]
    return max(fitting, key=lambda one: (one.route_id is not None, one.language != ""), default=None)


def choose_language(*, route: str, client: str, tenant: str) -> str:
    """The code of the language: route before client before tenant."""
    return next((code for code in (route, client, tenant) if code in LANGUAGES), "en")


# --- filling in --------------------------------------------------------------------------------------------------


def word_subject(
    template: Template | None, card: Card, *, group_key: str, reference: str, language: Language, base_url: str
) -> tuple[str, str]:
    """The subject of a new ticket, and why the template could not be used, "" where it could."""
    default = ticket_subject(card, group_key=group_key, language=language)
    if template is None or not template.subject:
        return default, ""
    values = subject_values(card, default=default, reference=reference, language=language, base_url=base_url)
    try:
        return fill_subject(template.subject, values) or default, ""
    except BadTemplate as bad:
        return default, f"The subject: {bad.reason}"


def fill_subject(source: str, values: Mapping[str, Any]) -> str:
    """One line, cut. Raises BadTemplate."""
    return one_line(sandbox.render(source, values, loops=False), length=SUBJECT_LENGTH)


def word_opening(
    template: Template | None,
    cards: Sequence[Card],
    *,
    subject: str,
    reference: str,
    language: Language,
    base_url: str,
    opening: str = "",
) -> Worded:
    """The first message. ``opening`` is a sentence that stands before it, whoever worded the rest."""
    default = first_letter(cards, language=language, base_url=base_url, opening=opening)
    if template is None or not cards or not (template.body or template.html):
        return Worded(subject, default)
    bare = first_letter(cards, language=language, base_url=base_url)
    values = body_values(
        cards, default=bare, subject=subject, reference=reference, language=language, base_url=base_url
    )
    own_text, text_failure = _tried("The text", fill_body, template.body, values)
    own_html, html_failure = _tried("The HTML", fill_html, template.html, values)
    text = "\n\n".join(filter(None, (opening, own_text))) if own_text else default.text
    html = default.html
    if own_html:
        html = (f"<p>{escape(opening)}</p>\n" if opening else "") + own_html
    elif own_text:
        html = as_html(text)
    return Worded(subject, Letter(text, html), tuple(filter(None, (text_failure, html_failure))))


def _tried(
    name: str, fill: Callable[[str, Mapping[str, Any]], str], source: str, values: Mapping[str, Any]
) -> tuple[str, str]:
    """The part filled in, and why that failed."""
    try:
        return (fill(source, values) if source else ""), ""
    except BadTemplate as bad:
        return "", f"{name}: {bad.reason}"


def fill_body(source: str, values: Mapping[str, Any]) -> str:
    """The body as text. Raises BadTemplate."""
    return sandbox.render(source, {**values, "default": values["default"].text}).strip()


def fill_html(source: str, values: Mapping[str, Any]) -> str:
    """The body as HTML; every value is escaped but for the default letter. Raises BadTemplate."""
    # The default letter is ours: whatever came from elsewhere is escaped in it already.
    return sandbox.render(source, {**values, "default": Markup(values["default"].html)}, html=True).strip()  # noqa: S704


def as_html(text: str) -> str:
    """A text as HTML, for a template that has none of its own."""
    return f'<div style="white-space:pre-wrap">{escape(text)}</div>'


# --- values ------------------------------------------------------------------------------------------------------


def card_values(card: Card, *, language: Language, base_url: str) -> dict[str, Any]:
    """What a template may say of one problem: texts of one line each, and the lines of the log."""
    good_at = card.last_good_at
    named = {"client": card.client, "machine": card.machine, "server": card.server, "job": card.job}
    return {
        **{name: one_line(value) for name, value in named.items()},
        "product": one_line(card.product),
        "rule": card.kind,
        "problem": language.label(card.kind),
        "severity": str(card.severity),
        "severity_name": language.severities[card.severity],
        "sentence": sentence_of(card, language),
        "summary": one_line(card.summary, length=SUMMARY_LENGTH),
        "since": language.moment(card.since, card.zone),
        "last_good_backup": language.moment(good_at, card.zone) if good_at else "",
        "lines": [one_line(line) for line in card.lines[:MOST_LINES]],
        "hint": language.hint(card.kind, card.product),
        "link": f"{base_url}/incidents/{card.uid}",
    }


def subject_values(card: Card, *, default: str, reference: str, language: Language, base_url: str) -> dict[str, Any]:
    """The values of VALUES."""
    return {
        **card_values(card, language=language, base_url=base_url),
        "reference": reference,
        "language": language.code,
        "default_subject": default,
    }


def body_values(
    cards: Sequence[Card], *, default: Letter, subject: str, reference: str, language: Language, base_url: str
) -> dict[str, Any]:
    """The values of VALUES and BODY_VALUES; ``default`` is still both, text and HTML. Those of a single problem are
    those of the first.
    """
    problems = [card_values(card, language=language, base_url=base_url) for card in cards[:MOST_CARDS]]
    listed = further_ones(cards, language=language)
    return {
        **problems[0],
        "reference": reference,
        "language": language.code,
        "default_subject": subject,
        "subject": subject,
        "default": default,
        "problems": problems,
        "count": len(cards),
        "further": list(listed.lines) if listed else [],
    }


# --- checking ----------------------------------------------------------------------------------------------------

#: An incident for those who have none yet.
SAMPLE = Card(
    kind="errors", severity="critical", is_open=True, summary="The backup failed 3 times in a row.",
    since=datetime(2026, 3, 3, 21, 0, tzinfo=UTC), lines=("ERROR: the disk is full", "exit code 1"), close_reason="",
    client="Acme Dental", server="backup1", job="nightly", machine="DC01",
    last_good_at=datetime(2026, 3, 1, 21, 0, tzinfo=UTC), uid="00000000-0000-4000-8000-000000000000",
    zone="UTC", product="veeam", subject="nightly",
)  # fmt: skip
#: Of the least known, so that a template that needs more is refused when it is written and not at night.
_SPARSE = replace(
    SAMPLE, kind="inbox_waiting", lines=(), client="", server="", job="", machine="", last_good_at=None, product=""
)
_TRIALS = ((SAMPLE,), (_SPARSE,), (SAMPLE,) * (MOST_CARDS + 3))


def check_subject(source: str) -> None:
    """Raises BadTemplate unless it can be filled in for whatever happens."""
    if len(source) > sandbox.SUBJECT_LIMIT:
        raise BadTemplate(f"A subject has at most {sandbox.SUBJECT_LIMIT} characters.")
    for language in LANGUAGES.values():
        for cards in _TRIALS:
            fill_subject(
                source, subject_values(cards[0], default="x", reference="BL-1", language=language, base_url="")
            )


def check_body(source: str) -> None:
    """The same for the text."""
    for values in _trial_values():
        fill_body(source, values)


def check_html(source: str) -> None:
    """The same for the HTML."""
    for values in _trial_values():
        fill_html(source, values)


def _trial_values() -> Iterable[dict[str, Any]]:
    for language in LANGUAGES.values():
        for cards in _TRIALS:
            letter = first_letter(cards, language=language, base_url="")
            yield body_values(cards, default=letter, subject="x", reference="BL-1", language=language, base_url="")
