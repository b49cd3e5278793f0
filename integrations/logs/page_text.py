"""The text of an HTML page: a row of a table is a line, its cells stand apart by tabs, other blocks are lines.

Used for mails and reports that come as a page only. One pass over the tags, whatever the page; scripts, styles and
titles are left out. Paragraphs and breaks within a cell become blanks, so that a row stays one line; a table within a
cell has lines of its own.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

MAX_HTML = 4 * 1024 * 1024
MAX_DEPTH = 1000

_TAG = re.compile(r"<(?:(/?)([a-zA-Z][a-zA-Z0-9]{0,15})\b[^<>]*|![^<>]*|\?[^<>]*)>")
_UNSHOWN = frozenset({"script", "style", "head", "title"})
_BLOCKS = frozenset({
    "br", "p", "div", "li", "ul", "ol", "dl", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "blockquote",
    "section", "article",
})  # fmt: skip
_CELLS = frozenset({"td", "th"})
_BLANKS = re.compile(r"[ \t\r\n\f]+")
_SPACES = re.compile(r"[ \t\r\f]+")


def html_to_text(page: str) -> str:
    """Linear, whatever the page; at most ``MAX_HTML`` characters of it are looked at."""
    text = html.unescape("".join(_pieces(page[:MAX_HTML]))).replace("\u00a0", " ")
    return re.sub(r" ?\n ?", "\n", text)


def _pieces(page: str) -> Iterator[str]:
    at, hidden, kept_as_is = 0, "", 0
    places: list[str] = []  # the tables and cells we are in
    for tag in _TAG.finditer(page):
        closes, name = tag.group(1) == "/", (tag.group(2) or "").lower()
        if hidden:
            at, hidden = tag.end(), "" if closes and name == hidden else hidden
            continue
        yield _shown(page[at : tag.start()], as_is=kept_as_is > 0, in_table=bool(places))
        at = tag.end()
        if name in _UNSHOWN and not closes:
            hidden = name
        elif name == "pre":
            kept_as_is = max(0, kept_as_is + (-1 if closes else 1))
            yield "\n"
        else:
            yield _break(name, closes=closes, places=places)
    if not hidden:
        yield _shown(page[at:], as_is=kept_as_is > 0, in_table=bool(places))


def _shown(text: str, *, as_is: bool, in_table: bool) -> str:
    """Line ends outside of tables stay: careless senders mean them."""
    if as_is:
        return text
    return _BLANKS.sub(" ", text) if in_table else _SPACES.sub(" ", text)


def _break(name: str, *, closes: bool, places: list[str]) -> str:
    """What a tag becomes; keeps account of the tables and cells."""
    if name == "table":
        _enter_or_leave(places, "table", closes=closes)
        return "\n"
    if name in _CELLS:
        if not closes and places and places[-1] == "cell":  # its end may be left out
            return "\t"
        _enter_or_leave(places, "cell", closes=closes)
        return "\t" if closes else ""
    if name == "tr":
        while places and places[-1] == "cell":
            places.pop()
        return "\n"
    if name in _BLOCKS:
        return " " if places and places[-1] == "cell" else "\n"
    return ""


def _enter_or_leave(places: list[str], what: str, *, closes: bool) -> None:
    if not closes:
        if len(places) < MAX_DEPTH:
            places.append(what)
    elif what in places[-2:]:
        while places.pop() != what:
            continue
