"""Suggests which company of a ticket system a client is, by their names; a person decides.

Three grades, as people need to know how far to trust: the same name, the same but for its legal form and spelling, and
similar. Nothing is ever mapped by itself. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from integrations.tickets import Company

Grade = Literal["same", "same but for its form", "similar"]

#: Legal forms and fill words that say nothing about which company it is.
FORMS = frozenset({
    "ab", "ag", "and", "as", "bv", "co", "company", "corp", "corporation", "e", "ek", "gbr", "gmbh", "group", "holding",
    "inc", "incorporated", "k", "kg", "limited", "llc", "llp", "ltd", "mbh", "nv", "ohg", "oy", "plc", "pty", "sa",
    "sarl", "sas", "se", "sl", "spa", "srl", "the", "und",
})  # fmt: skip
SIMILAR = 0.85


@dataclass(frozen=True)
class Suggestion:
    """A company and how well it fits."""

    company: Company
    grade: Grade


def suggest(client: str, companies: Iterable[Company]) -> Suggestion | None:
    """The company that fits best; None when none does, or two fit equally well."""
    ranked = sorted(((fit, one) for one in companies if (fit := fit_of(client, one.name))), key=lambda pair: -pair[0])
    if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
        return None
    fit, company = ranked[0]
    return Suggestion(company, "same" if fit >= 3 else "same but for its form" if fit >= 2 else "similar")


def fit_of(client: str, company: str) -> float:
    """3 the same, 2 the same but for form and spelling, 0.85 to 1 similar, 0 neither."""
    if client.strip() == company.strip():
        return 3.0
    ours, theirs = core_of(client), core_of(company)
    if not ours or not theirs:
        return 0.0
    if ours == theirs:
        return 2.0
    ratio = SequenceMatcher(None, ours, theirs).ratio()
    return ratio if ratio >= SIMILAR else 0.0


def core_of(name: str) -> str:
    """A name without accents, signs, case and legal form."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(c))
    return " ".join(word for word in re.findall(r"[a-z0-9]+", plain) if word not in FORMS)
