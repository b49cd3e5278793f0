"""What a format says of itself to people: what it tells, what it cannot, and how a technician sends its logs.

Each format holds one ``Guide``; the pages under docs/formats are written from it (``manage.py format_pages``), and the
dashboard shows the same snippets when a server is connected, with the address and key filled in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from integrations.logs.joblog import Operation

Channel = Literal["wrapper", "http", "email", "webhook", "pull", "folder"]

#: What stands in a snippet for the installation's address, the server's key, its mail address and its name.
URL, KEY, ADDRESS = "@URL@", "@KEY@", "@ADDRESS@"


@dataclass(frozen=True)
class Way:
    """One way to send this product's logs: a snippet to paste (shell unless ``language`` says otherwise), and remarks.

    ``snippet`` may hold ``@URL@`` (such as https://backledger.example), ``@KEY@`` and ``@ADDRESS@`` (a mail address).
    """

    channel: Channel
    title: str
    snippet: str
    note: str = ""
    language: str = "sh"


@dataclass(frozen=True)
class Guide:
    """``releases``: which are read. ``written_from``: real logs, the vendor's schema, its sources: how sure we are.

    ``operations`` are those its logs tell of; ``basis`` says in words how the protected size is counted, "" if the logs
    hold none. ``sizes`` names the log's own word for each figure. ``cannot_tell`` and ``notes`` are sentences. The
    first of ``ways`` is the one we recommend.
    """

    releases: str
    written_from: str
    operations: tuple[Operation, ...]
    ways: tuple[Way, ...]
    basis: str = ""
    sizes: tuple[tuple[str, str], ...] = ()
    cannot_tell: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def filled(snippet: str, *, url: str, key: str, address: str) -> str:
    """The snippet with its place-holders filled in."""
    return snippet.replace(URL, url).replace(KEY, key).replace(ADDRESS, address)
