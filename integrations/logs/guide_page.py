"""A format's guide as a page in Markdown, and the table of all formats: docs/formats is written from here.

Called by ``manage.py format_pages``; a test holds the pages against the code, so that neither goes without the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from integrations.logs import Format
from integrations.logs.guide import Channel, Guide, Way, filled

CHANNELS: Mapping[Channel, str] = {
    "wrapper": "wrapper",
    "http": "HTTP",
    "email": "mail",
    "webhook": "webhook",
    "pull": "pull",
    "folder": "folder",
}
#: What stands on a page for an installation's own address, key and mail address.
SHOWN = {"url": "https://backledger.example", "key": "$BL_KEY", "address": "TOKEN@logs.backledger.example"}


def page_of(name: str, module: Format) -> str:
    """The whole page of one format."""
    return "\n".join(_page(name, module.LABEL, module.GUIDE)) + "\n"


def _page(name: str, label: str, guide: Guide) -> Iterator[str]:
    yield f"# {label}"
    yield ""
    yield f"Format `{name}`. Releases: {guide.releases}. Written from {guide.written_from}."
    yield ""
    yield f"Its logs tell of: {', '.join(guide.operations)}."
    yield ""
    yield "## How to send it"
    for way in guide.ways:
        yield from _way(way)
    yield ""
    yield "## Sizes"
    yield ""
    yield f"Protected size: {guide.basis}." if guide.basis else "Protected size: its logs hold none."
    if guide.sizes:
        yield from ("", "| Figure | In the log |", "|---|---|")
        yield from (f"| `{figure}` | {word} |" for figure, word in guide.sizes)
    yield from _sentences("What it cannot tell", guide.cannot_tell)
    yield from _sentences("Good to know", guide.notes)


def _way(way: Way) -> Iterator[str]:
    yield from ("", f"### {way.title}", "", f"```{way.language}", filled(way.snippet, **SHOWN).rstrip("\n"), "```")
    if way.note:
        yield from ("", way.note)


def _sentences(title: str, sentences: tuple[str, ...]) -> Iterator[str]:
    if sentences:
        yield from ("", f"## {title}", "")
        yield from (f"- {sentence}" for sentence in sentences)


def table_of(formats: Mapping[str, Format]) -> str:
    """All formats, a row each, with a link to its page."""
    rows = sorted(formats.items(), key=lambda entry: entry[1].LABEL.lower())
    return "\n".join(
        (
            "| Product | Format | Operations | Protected size | Ways |",
            "|---|---|---|---|---|",
            *(_row(name, module.LABEL, module.GUIDE) for name, module in rows),
        )
    )


def _row(name: str, label: str, guide: Guide) -> str:
    ways = ", ".join(dict.fromkeys(CHANNELS[way.channel] for way in guide.ways))
    basis = guide.basis or "not told"
    return f"| [{label}](formats/{name}.md) | `{name}` | {', '.join(guide.operations)} | {basis} | {ways} |"
