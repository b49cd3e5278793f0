"""The words of a morning report's mail: subject, text and HTML, from the content as it was kept.

Pure. Whatever a log or a client's name brings is text: escaped in HTML; in the subject the mail gateway makes it one
line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from alerts.reports.morning import SECTIONS
from alerts.wording import count_words

Content = Mapping[str, Any]
#: A mail names so many of each part; the page has all.
MOST_SHOWN = 100


def subject_of(name: str, content: Content) -> str:
    """The report's name and what stands in it, in a few words."""
    counts = content["counts"]
    told = [f"{counts[part]} {words}" for part, words in (("new", "new"), ("open", "still open")) if counts[part]]
    told += [f"{counts['not_heard']} not heard"] if counts["not_heard"] else []
    told += [f"{content['inbox']} in the inbox"] if content["inbox"] else []
    return f"{name}: {', '.join(told) or 'nothing needs you'}"


def proof_words(content: Content, *, zone: str) -> str:
    """What was watched: without it an empty report proves nothing."""
    newest = content["newest_log"]
    since, until = (local_words(content[name], zone) for name in ("since", "until"))
    return (
        f"{count_words(content['jobs'], 'job')} watched, {count_words(content['runs'], 'run')} received between {since}"
        f" and {until}; newest log {local_words(newest, zone) if newest else 'never'}."
    )


def local_words(moment: str, zone: str) -> str:
    """An ISO 8601 moment in this zone."""
    return f"{datetime.fromisoformat(moment).astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M %Z}"


def parts_of(content: Content) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """The parts that hold something, each with its lines."""
    for name, title in SECTIONS.items():
        lines = [line for line in content["lines"] if line["section"] == name]
        if lines:
            yield f"{title} ({len(lines)})", lines


def notices_of(content: Content) -> list[str]:
    """What is told before the list."""
    notices = [f"{content['inbox']} waiting in the inbox."] if content["inbox"] else []
    if content["left_out"]:
        notices.append(f"{count_words(content['left_out'], 'more incident')} not listed here.")
    return notices if content["lines"] or notices else ["Nothing is open and nothing was closed."]


def happening_of(line: Mapping[str, Any], *, zone: str) -> str:
    """What happened, since when, why, and whether somebody knows."""
    ended = f"closed {local_words(line['closed_at'], zone)}: {line['close_reason']}" if line["closed_at"] else ""
    when = ended or f"since {local_words(line['since'], zone)}"
    known = f" Nobody was told: {line['untold']}" if line["untold"] else ""
    held = f" In hand: {line['in_hand']}." if line["in_hand"] else ""
    return f"{line['label']}, {when}. {line['summary']}{held}{known}"


def title_of(line: Mapping[str, Any]) -> str:
    about = ": ".join(dict.fromkeys(part for part in (line["client"], line["subject"]) if part))
    return f"{line['severity'].capitalize()}: {about}"


def text_of(content: Content, *, zone: str, base_url: str) -> str:
    """The mail as plain text."""
    told = [*notices_of(content), proof_words(content, zone=zone), f"{base_url}/morning/"]
    for title, lines in parts_of(content):
        told.append(f"\n{title}")
        for line in lines[:MOST_SHOWN]:
            told += [
                f"- {title_of(line)}",
                f"  {happening_of(line, zone=zone)}",
                f"  {base_url}/incidents/{line['uid']}/",
            ]
        told += [f"  and {len(lines) - MOST_SHOWN} more"] if len(lines) > MOST_SHOWN else []
    return "\n".join(told) + "\n"


def html_of(content: Content, *, zone: str, base_url: str) -> str:
    """The same as HTML without anything that a mail program would have to fetch."""
    told = [f"<p>{escape(notice)}</p>" for notice in notices_of(content)]
    told.append(
        f'<p>{escape(proof_words(content, zone=zone))} <a href="{escape(base_url)}/morning/">Open the list</a></p>'
    )
    for title, lines in parts_of(content):
        told.append(f"<h2>{escape(title)}</h2><ul>")
        for line in lines[:MOST_SHOWN]:
            address = escape(f"{base_url}/incidents/{line['uid']}/")
            happened = escape(happening_of(line, zone=zone))
            told.append(f'<li><a href="{address}">{escape(title_of(line))}</a><br>{happened}</li>')
        told.append("</ul>")
        told += [f"<p>and {len(lines) - MOST_SHOWN} more</p>"] if len(lines) > MOST_SHOWN else []
    return "<!doctype html><html><body>" + "\n".join(told) + "</body></html>"
