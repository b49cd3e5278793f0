"""Text as Jira keeps it: a document of nodes on Cloud (Atlassian Document Format), wiki markup on Data Center.

Our text is neither: it must arrive letter by letter, whatever braces, stars or backslashes it holds. Source:
developer.atlassian.com, "Atlassian Document Format"; Jira's "Text formatting notation".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from integrations.tickets.json_api import text_in

MAX_TEXT: Final = 32_000  # Jira refuses a text field of more than 32,767 characters
MAX_DEPTH: Final = 30
ENDS_A_LINE: Final = frozenset({"paragraph", "heading", "codeBlock", "listItem"})


def document(text: str) -> dict[str, Any]:
    """The text as a document: a paragraph for each block between empty lines."""
    return {"type": "doc", "version": 1, "content": [_paragraph(block) for block in _cut(text).split("\n\n")]}


def verbatim(text: str) -> str:
    """The text between marks that keep wiki markup from being read into it."""
    return "{noformat}\n" + _cut(text).replace("{noformat}", "(noformat)") + "\n{noformat}"


def plain(body: object) -> str:
    """The words of either; "" for what is neither."""
    if isinstance(body, str):
        return body.replace("{noformat}", "").strip()
    return "".join(_words(body, 0)).strip()


def _cut(text: str) -> str:
    words = text.replace("\r\n", "\n")
    return words if len(words) <= MAX_TEXT else words[: MAX_TEXT - 1] + "…"


def _paragraph(block: str) -> dict[str, Any]:
    nodes: list[dict[str, Any]] = []
    for number, line in enumerate(block.split("\n")):
        nodes += [{"type": "hardBreak"}] if number else []
        nodes += [{"type": "text", "text": line}] if line else []
    return {"type": "paragraph", "content": nodes}


def _words(node: object, depth: int) -> Iterator[str]:
    if not isinstance(node, dict) or depth > MAX_DEPTH:
        return
    if node.get("type") == "hardBreak":
        yield "\n"
    yield text_in(node, "text") or text_in(node, "attrs", "text")
    content = node.get("content")
    for child in content if isinstance(content, list) else ():
        yield from _words(child, depth + 1)
    if node.get("type") in ENDS_A_LINE:
        yield "\n"
