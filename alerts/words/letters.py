"""The default letters of a ticket: its subject, its first message and its further ones, as text and as HTML. Pure.

A reader must be able to act on it: the client, the machine, what failed, since when, the last good backup, the log's
telling lines, a link, and what to try. Whatever comes from elsewhere is one line each, cut, and escaped in HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from alerts.routing import SHARED
from alerts.words.cards import Card, Update, collapse, one_line
from alerts.words.languages import Language

SUBJECT_LENGTH = 150
SUMMARY_LENGTH = 500
#: Lines of the log that are told of each problem: of more than FEW problems in one message only the first ones, so
#: that it stays below the 65,535 characters that a message of Zendesk may have.
MOST_LINES = 10
LINES_OF_MANY = 3
FEW = 5
#: Cards that one message tells in full; of further ones it names only what they are about.
MOST_CARDS = 20
MOST_NAMES = 200


@dataclass(frozen=True)
class Letter:
    """A message; both say the same."""

    text: str
    html: str


@dataclass(frozen=True)
class Part:
    """One incident as it is told: ``sentence`` in the reader's language, ``detail`` what the rule itself says of it,
    "" where that is the sentence. ``heading`` "" in a first message.
    """

    heading: str
    sentence: str
    detail: str
    facts: tuple[tuple[str, str], ...] = ()
    lines: tuple[str, ...] = ()
    hint: str = ""
    link: str = ""


@dataclass(frozen=True)
class Listed:
    """What is only named, a line each, and what stands above it."""

    heading: str
    lines: tuple[str, ...]


def ticket_subject(card: Card, *, group_key: str, language: Language) -> str:
    """The subject that a ticket keeps for its whole life."""
    return one_line(_subject(card, group_key=group_key, language=language), length=SUBJECT_LENGTH)


def _subject(card: Card, *, group_key: str, language: Language) -> str:
    kind, _, rest = group_key.partition(":")
    if kind == "client":
        day = rest.partition(":")[2]
        key = "subject_day" if day else "subject_group"
        return language.say(key, owner=card.client, day=day)
    if group_key == SHARED:
        return language.say("subject_shared")
    if kind == "server":
        return language.say("subject_group", owner=card.server)
    owner = card.client or card.server or language.say("service")
    about = f" - {card.job}" if card.job else ""
    place = card.machine or card.server
    on_place = f" {language.say('subject_where', place=place)}" if place else ""
    return f"{owner}: {language.label_within(card.kind)}{about}{on_place}"


def first_letter(cards: Sequence[Card], *, language: Language, base_url: str, opening: str = "") -> Letter:
    """The message that opens a ticket; ``opening`` is a sentence put before it."""
    lines = lines_each(len(cards))
    parts = [part_of(card, language=language, base_url=base_url, lines=lines) for card in cards[:MOST_CARDS]]
    return compose(opening, parts, further_ones(cards, language=language), language=language)


def further_ones(cards: Sequence[Card], *, language: Language) -> Listed | None:
    """One line each, so that a ticket of hundreds of problems stays a size that ticket systems take."""
    further = cards[MOST_CARDS:]
    if not further:
        return None
    lines = [where(card, language) for card in further[:MOST_NAMES]]
    if len(further) > MOST_NAMES:
        lines.append(language.say("and_more", count=len(further) - MOST_NAMES))
    return Listed(language.say("further", count=len(further)) + language.say("colon"), tuple(lines))


def where(card: Card, language: Language) -> str:
    """What a problem is about, in a line."""
    return one_line(" - ".join(filter(None, (card.client, card.job, language.label(card.kind)))))


def sentence_of(card: Card, language: Language) -> str:
    """What is wrong in one sentence of the language; the rule's own where it has none."""
    if card.kind not in language.rules:
        return one_line(card.summary, length=SUMMARY_LENGTH)
    subject = card.job or card.subject or card.machine or card.server or card.client or language.say("service")
    since = language.moment(card.since, card.zone)
    return one_line(language.rules[card.kind].sentence.format(subject=one_line(subject), since=since), length=600)


def facts_of(card: Card, language: Language) -> tuple[tuple[str, str], ...]:
    """What is known of a problem, as names and values; what is not known is left out. Of a job it is known that it
    never had a good backup.
    """
    good_at, never = card.last_good_at, language.say("none_yet") if card.job else ""
    facts = [
        ("client", card.client),
        ("machine", card.machine),
        ("server", card.server),
        ("job", card.job),
        ("product", card.product),
        ("severity", language.severities[card.severity]),
        ("since", language.moment(card.since, card.zone)),
        ("last_good", language.moment(good_at, card.zone) if good_at else never),
    ]
    return tuple((language.say(name), one_line(value)) for name, value in facts if value)


def lines_each(count: int) -> int:
    """How many lines of the log are told of each of so many problems."""
    return MOST_LINES if count <= FEW else LINES_OF_MANY


def part_of(card: Card, *, language: Language, base_url: str, lines: int, heading: str = "") -> Part:
    """The card in full. The rule's own sentence is English: other languages put one of theirs before it."""
    summary = one_line(card.summary, length=SUMMARY_LENGTH)
    is_english = language.code == "en"
    return Part(
        heading=heading,
        sentence=summary if is_english else sentence_of(card, language),
        detail="" if is_english else summary,
        facts=facts_of(card, language),
        lines=tuple(one_line(line) for line in card.lines[:lines]),
        hint=language.hint(card.kind, card.product),
        link=f"{base_url}/incidents/{card.uid}",
    )


def update_letter(updates: Sequence[Update], *, language: Language, base_url: str, solved: str) -> Letter:
    """A further message: what happened since the last one, told once and in order. ``solved`` is the stored text of
    a closing, which every language says in its own words.
    """
    told = [_in_language(update, language, solved) for update in collapse(updates)]
    lines = lines_each(len(told))
    parts = [update_part(update, language=language, base_url=base_url, lines=lines) for update in told[:MOST_CARDS]]
    further = [update_line(update, language) for update in told[MOST_CARDS:]]
    if len(further) > MOST_NAMES:
        more = language.say("and_more", count=len(further) - MOST_NAMES + 1)
        further = [*further[: MOST_NAMES - 1], f"- {more}"]
    listed = Listed("", tuple(further)) if further else None
    if not parts:
        parts = [Part("", language.say("solved"), "")]
    return compose("", parts, listed, language=language)


def _in_language(update: Update, language: Language, solved: str) -> Update:
    if update.card is None and update.text == solved:
        return Update(update.kind, language.say("solved"), update.at, None)
    return update


def update_line(update: Update, language: Language) -> str:
    """The update in one line."""
    if update.kind == "closed" or update.card is None:
        return one_line(update.text, length=SUMMARY_LENGTH)
    beginning = language.beginnings.get(update.kind, language.beginnings["note"])
    return f"{beginning}{language.say('colon')} {where(update.card, language)}"


def update_part(update: Update, *, language: Language, base_url: str, lines: int) -> Part:
    """The update in full."""
    heading = update_line(update, language)
    if update.kind == "closed" or update.card is None:
        return Part("", heading, "")
    if update.kind in ("opened", "joined", "reminder", "persists"):
        return part_of(update.card, language=language, base_url=base_url, lines=lines, heading=heading)
    text = one_line(update.text, length=SUMMARY_LENGTH)
    return Part(heading, text, "") if language.code == "en" else Part(heading, "", text)


# --- composing ---------------------------------------------------------------------------------------------------


def compose(opening: str, parts: Sequence[Part], listed: Listed | None, *, language: Language) -> Letter:
    """The same words twice: as text and as HTML."""
    texts = [opening, *(part_text(part, language) for part in parts), listed_text(listed)]
    html = PAGE.render(opening=opening, parts=parts, listed=listed, say=language.say)
    return Letter("\n\n".join(filter(None, texts)), html)


def part_text(part: Part, language: Language) -> str:
    """One incident as text: what is wrong, the facts, the lines, the hint, the link, with a blank line between."""
    colon = language.say("colon")
    detail = f"{language.say('in_detail')}{colon} {part.detail}" if part.detail else ""
    blocks = [
        "\n".join(filter(None, (part.heading, part.sentence, detail))),
        "\n".join(f"{name}{colon} {value}" for name, value in part.facts),
    ]
    if part.lines:
        blocks.append("\n".join([f"{language.say('from_log')}{colon}", *(f"  {line}" for line in part.lines)]))
    if part.hint:
        blocks.append(f"{language.say('try_first')}{colon} {part.hint}")
    if part.link:
        blocks.append(f"{language.say('details')}{colon} {part.link}")
    return "\n\n".join(filter(None, blocks))


def listed_text(listed: Listed | None) -> str:
    if listed is None:
        return ""
    if not listed.heading:
        return "\n".join(listed.lines)
    return "\n".join([listed.heading, *(f"- {line}" for line in listed.lines)])


_ENVIRONMENT = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
PAGE = _ENVIRONMENT.from_string(Path(__file__).with_name("letter.html").read_text(encoding="utf-8"))
