"""Regular expressions that clients wrote, on an engine whose time is linear in the text: RE2.

Look-around and back references do not exist there and are refused in words. Many expressions become one automaton
(``ExpressionSet``), so that a path is read once however many there are; number and size are bounded, so that neither
memory nor the time for one path can be blown up. ``glob`` writes shell patterns as such expressions.
"""

from __future__ import annotations

from collections.abc import Sequence

import re2

from integrations.selections.refusals import BadDefinition

#: Signs of one expression, expressions of one definition, and steps of all their programs together.
MAX_EXPRESSION, MAX_EXPRESSIONS, MAX_PROGRAM = 1000, 2000, 30_000
_MEMORY = 32 * 1024 * 1024  # bytes for one set: leaves room for more than the twenty states that RE2 insists on


def refuse_broken(expression: str, *, line: int, ignore_case: bool) -> int:
    """The size of an expression's program. Raises BadDefinition when it cannot be used, and says why."""
    if len(expression) > MAX_EXPRESSION:
        raise BadDefinition(line, f"an expression of more than {MAX_EXPRESSION} signs.")
    try:
        return int(re2.compile(expression, _options(ignore_case)).programsize)
    except (re2.error, UnicodeEncodeError) as error:
        raise BadDefinition(line, f"the expression {expression[:80]!r} cannot be used: {_words(error)}.") from error


def _words(error: Exception) -> str:
    told = error.args[0] if error.args else ""
    text = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
    if "perl operator" in text or "escape sequence: \\" in text:
        return f"{text} (look-around and back references are not known here, since they may run for ever)"
    return text


def _options(ignore_case: bool) -> re2.Options:
    options = re2.Options()
    options.case_sensitive = not ignore_case
    options.dot_nl = True
    options.never_capture = True
    options.log_errors = False
    options.max_mem = _MEMORY
    return options


class ExpressionSet:
    """Several expressions as one; ``whole``: they must match all of a text, not something in it."""

    def __init__(self, expressions: Sequence[tuple[int, str]], *, whole: bool = False, ignore_case: bool) -> None:
        """``expressions`` are (line, expression). Raises BadDefinition."""
        if len(expressions) > MAX_EXPRESSIONS:
            raise BadDefinition(expressions[MAX_EXPRESSIONS][0], f"more than {MAX_EXPRESSIONS} expressions.")
        options = _options(ignore_case)
        self._set = re2.Set.FullMatchSet(options) if whole else re2.Set.SearchSet(options)
        size = 0
        for line, expression in expressions:
            size += refuse_broken(expression, line=line, ignore_case=ignore_case)
            if size > MAX_PROGRAM:
                raise BadDefinition(line, "the expressions up to here are too large together.")
            self._set.Add(expression)
        self._empty = not expressions
        if expressions:
            self._set.Compile()

    def matches(self, text: str) -> list[int]:
        """The places of all expressions that match, in no order. A byte that is no UTF-8 counts as one sign."""
        if self._empty:
            return []
        try:
            encoded = text.encode()
        except UnicodeEncodeError:
            encoded = text.encode("utf-8", "replace")
        found: list[int] = self._set.Match(encoded)
        return found


def glob(pattern: str, *, crossing: bool = False) -> str:
    """A shell pattern as an expression; ``crossing``: ``*`` and ``?`` match "/" too. ``**/`` is any folders."""
    told, at = "", 0
    one = "." if crossing else "[^/]"
    while at < len(pattern):
        sign = pattern[at]
        if pattern.startswith("**/", at) and (at == 0 or pattern[at - 1] == "/") and not crossing:
            told, at = told + "(?:[^/]+/)*", at + 3
        elif pattern[at:] == "**" and (at == 0 or pattern[at - 1] == "/"):
            told, at = told + ".*", at + 2
        elif sign == "*":
            told, at = told + one + "*", at + 1
            while pattern.startswith("*", at):
                at += 1
        elif sign == "?":
            told, at = told + one, at + 1
        elif sign == "[" and pattern.find("]", at + 2) > 0:
            end = pattern.find("]", at + 2)
            told, at = told + _signs(pattern[at + 1 : end]), end + 1
        elif sign == "\\" and at + 1 < len(pattern):
            told, at = told + quoted(pattern[at + 1]), at + 2
        else:
            told, at = told + quoted(sign), at + 1
    return told


def quoted(text: str) -> str:
    """A text as an expression that matches it alone."""
    return str(re2.escape(text))


def _signs(inner: str) -> str:
    negated = inner[:1] in ("!", "^")
    body = inner[1:] if negated else inner
    return "[" + ("^" if negated else "") + body.replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^") + "]"
