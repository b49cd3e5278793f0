"""The languages of letters: one TOML file each, beside this module, with the same keys and the same placeholders.

Letters and pages ask for one by its code. Moments are written by Babel as people of the language write them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_skeleton, format_time

from alerts.wording import moment_words

#: Who has chosen nothing reads this.
DEFAULT = "en"
CODES = ("en", "de", "fr", "es")

#: Of these kinds the product's own log or console tells more: its hint says where.
TOLD_MORE = frozenset(
    {
        "errors", "did_not_start", "no_recent_backup", "never_backed_up", "still_running", "component_failed",
        "unstable", "no_data_sent", "implausible_zero", "slow", "restore_failed", "snapshot_stale",
    }
)  # fmt: skip


@dataclass(frozen=True)
class RuleWords:
    """A rule in one language. The sentence has ``{subject}`` and ``{since}`` in it, or only the latter."""

    label: str
    sentence: str
    hint: str


@dataclass(frozen=True)
class Language:
    """All fixed words of one language. ``hints`` and ``products`` are added to a rule's own hint, by product."""

    code: str
    name: str
    locale: str
    lower_labels: bool
    phrases: Mapping[str, str]
    severities: Mapping[str, str]
    beginnings: Mapping[str, str]
    rules: Mapping[str, RuleWords]
    hints: Mapping[str, Mapping[str, str]]
    products: Mapping[str, str]

    def say(self, key: str, **values: object) -> str:
        """A phrase with its placeholders filled; a value is never looked into for further ones."""
        return self.phrases[key].format(**values)

    def label(self, kind: str) -> str:
        """The rule's name; the kind itself where a rule has gone since."""
        return self.rules[kind].label if kind in self.rules else kind

    def label_within(self, kind: str) -> str:
        """The rule's name in the middle of a line."""
        return self.label(kind).lower() if self.lower_labels else self.label(kind)

    def hint(self, kind: str, product: str) -> str:
        """What to try first, and what helps with this product: one sentence after the other, "" where none is known."""
        if kind not in self.rules:
            return ""
        told = [self.rules[kind].hint, self.hints.get(kind, {}).get(product, "")]
        if kind in TOLD_MORE:
            told.append(self.products.get(product, ""))
        return " ".join(filter(None, told))

    def moment(self, moment: datetime, zone: str) -> str:
        """A moment as a person in the zone reads it, with the zone: "Di., 3. März 2026, 22:00 CET"."""
        if self.code == "en":
            return moment_words(moment, zone)
        local = moment.astimezone(ZoneInfo(zone))
        day = format_skeleton("yMMMEd", local, locale=self.locale)
        time = format_time(local, "short", locale=self.locale)
        return f"{day}, {time} {local.tzname()}"


def read_language(code: str) -> Language:
    """The language of one file."""
    found: dict[str, Any] = tomllib.loads(Path(__file__).with_name(f"{code}.toml").read_text(encoding="utf-8"))
    rules = {kind: RuleWords(**words) for kind, words in found.pop("rules").items()}
    return Language(code=code, rules=rules, **found)


LANGUAGES: Mapping[str, Language] = MappingProxyType({code: read_language(code) for code in CODES})
#: The codes, and what people call the languages.
CHOICES = tuple((code, language.name) for code, language in LANGUAGES.items())


def language_of(code: str) -> Language:
    """The language of this code; English for "" and for one that is not known any more."""
    return LANGUAGES.get(code, LANGUAGES[DEFAULT])
