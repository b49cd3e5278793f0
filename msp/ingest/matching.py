"""Match: which rule a run falls under that nobody decided yet. Pure; asked by assigning and by the preview of a rule.

Patterns are globs without regard to case: ``*`` any text, ``?`` one character, and at most one ``{client}`` in a rule,
which stands for a client's code. Matching keeps the set of places a pattern can have reached as the bits of a number:
its time grows with pattern times text and never more, whatever either holds. The first rule that matches wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

#: What a pattern may look at, with the words that people call it by.
FIELDS: Mapping[str, str] = {
    "host": "host", "account": "account", "job": "job", "item": "item", "sender": "sender", "subject": "subject",
}  # fmt: skip
CLIENT = "{client}"
LONGEST_PATTERN = 200
#: Longer texts are looked at as far as this.
LONGEST_TEXT = 400
#: No client's code is longer, see its column.
LONGEST_CODE = 60
#: Places where a code may stand in one text; a text that offers more is hostile.
MOST_CANDIDATES = 2000


class BadPattern(ValueError):
    """A pattern that cannot be used; ``field`` names it, ``reason`` is a sentence."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One run as rules see it; "" where it does not say."""

    server_id: int | None = None
    format: str = ""
    host: str = ""
    account: str = ""
    job: str = ""
    item: str = ""
    sender: str = ""
    subject: str = ""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule as it is matched. ``server_id`` None and ``format`` "" hold for any."""

    id: int
    name: str
    action: str
    server_id: int | None = None
    format: str = ""
    patterns: Mapping[str, str] = field(default_factory=dict)
    client_id: int | None = None
    job_id: int | None = None
    make_on_id: int | None = None
    name_template: str = ""

    @property
    def captures(self) -> bool:
        """Whether a client's code decides whose job it is."""
        return any(CLIENT in pattern for pattern in self.patterns.values())


@dataclass(frozen=True)
class Match:
    """The rule that a run falls under, whose client it names, and why, as a sentence."""

    rule: Rule
    client_id: int | None
    because: str


def first_match(rules: Iterable[Rule], seen: Seen, *, codes: Mapping[str, int]) -> Match | None:
    """The first rule whose conditions all hold. ``codes``: ids of clients by their codes in lower case."""
    for rule in rules:
        found = match_rule(rule, seen, codes=codes)
        if found is not None:
            return found
    return None


def match_rule(rule: Rule, seen: Seen, *, codes: Mapping[str, int]) -> Match | None:
    """Whether all conditions of the rule hold; one with ``{client}`` holds only where a known code stands there."""
    if rule.server_id is not None and rule.server_id != seen.server_id:
        return None
    if rule.format and rule.format != seen.format:
        return None
    client_id, words = rule.client_id, []
    for name, pattern in rule.patterns.items():
        text = str(getattr(seen, name))
        if CLIENT in pattern:
            code = find_code(pattern, text, codes=codes)
            if code is None:
                return None
            client_id = codes[code] if rule.client_id is None else rule.client_id
            words.append(f'the {FIELDS[name]} "{_short(text)}" fits {pattern}, where {code} is a client\'s code')
        elif not fits(pattern, text):
            return None
        else:
            words.append(f'the {FIELDS[name]} "{_short(text)}" fits {pattern}')
    told = " and ".join(words) or "it holds for everything" + (" from its server" if rule.server_id else "")
    return Match(rule, client_id, f'Rule "{rule.name}": {told}.')


def fits(pattern: str, text: str) -> bool:
    """Whether the whole text fits a pattern without ``{client}``."""
    text = text[:LONGEST_TEXT].casefold()
    return bool(_reached(_compiled(pattern), text) >> len(text) & 1)


def find_code(pattern: str, text: str, *, codes: Mapping[str, int]) -> str | None:
    """The known code that stands at ``{client}``: the longest of those that begin first; None if there is none."""
    text = text[:LONGEST_TEXT].casefold()
    before, _, after = pattern.partition(CLIENT)
    begins = _places(_reached(_compiled(before), text))
    from_end = _reached(tuple(reversed(_compiled(after))), text[::-1])
    ends = [len(text) - place for place in _places(from_end)]  # the last place first
    tried = 0
    for begin in begins:
        for end in ends:
            if not begin < end <= begin + LONGEST_CODE:
                continue
            tried += 1
            if tried > MOST_CANDIDATES:
                return None
            if text[begin:end] in codes:
                return text[begin:end]
    return None


def check_patterns(patterns: Mapping[str, str]) -> None:
    """Raises BadPattern for what can never match or tells nothing."""
    captured = [name for name, pattern in patterns.items() if CLIENT in pattern]
    for name, pattern in patterns.items():
        if name not in FIELDS:
            raise BadPattern(name, f"A pattern looks at one of {', '.join(FIELDS)}.")
        if len(pattern) > LONGEST_PATTERN:
            raise BadPattern(name, f"A pattern is at most {LONGEST_PATTERN} characters long.")
        if pattern.count(CLIENT) > 1 or (CLIENT in pattern and len(captured) > 1):
            raise BadPattern(name, f"{CLIENT} stands once in a rule: it names one client.")
        if "*" + CLIENT in pattern or CLIENT + "*" in pattern:
            raise BadPattern(name, f"Put a character between {CLIENT} and *, or nobody can tell where the code ends.")


def name_of(template: str, seen: Seen) -> str:
    """A job's name by a rule's template, such as ``{host} {job}``; "" for none, or where nothing stood in it."""
    filled = template
    for name in ("host", "account", "job", "item"):
        filled = filled.replace("{" + name + "}", str(getattr(seen, name)).replace("{", "("))
    return " ".join(filled.split())[:300]


def check_template(template: str) -> None:
    """Raises BadPattern where it names something that is not there."""
    bare = template
    for name in ("host", "account", "job", "item"):
        bare = bare.replace("{" + name + "}", "")
    if "{" in bare or "}" in bare:
        raise BadPattern("name_template", "A name is made of text and {job}, {item}, {host} and {account}.")


# --- matching by bits --------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> tuple[str, ...]:
    """Its characters, runs of ``*`` as one; what folds into two characters stays so."""
    steps: list[str] = []
    for character in pattern[:LONGEST_PATTERN].casefold():
        if character != "*" or steps[-1:] != ["*"]:
            steps.append(character)
    return tuple(steps)


def _reached(steps: Sequence[str], text: str) -> int:
    """The places in the text (bit 0: before its first character) that the steps can end at when begun at its start."""
    everywhere = (1 << len(text) + 1) - 1
    masks: dict[str, int] = {}
    for place, character in enumerate(text):
        masks[character] = masks.get(character, 0) | 1 << place
    reached = 1
    for step in steps:
        if step == "*":
            reached = everywhere & -(reached & -reached)
        elif step == "?":
            reached = reached << 1 & everywhere
        else:
            reached = (reached & masks.get(step, 0)) << 1
        if not reached:
            break
    return reached


def _places(reached: int) -> list[int]:
    return [place for place in range(reached.bit_length()) if reached >> place & 1]


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
