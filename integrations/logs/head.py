"""What a format may look at to say whether a log is one of its own.

Made once per delivery by ``head_of``: the first 64 KiB of each stream as text and its last 8 KiB, the facts the
channel told, and the first JSON document, parsed once for all formats. A recogniser answers from this alone, and
precisely: a log that no tool wrote is recognised by none.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from integrations.logs.bytes_to_text import raw_lines
from integrations.logs.command_line import first_words, invocations
from integrations.logs.joblog import Delivery
from integrations.logs.json_documents import MAX_DOCUMENT, BadJson, as_object, load

HEAD_BYTES = 64 * 1024
TAIL_BYTES = 8 * 1024
_LINES_LOOKED_AT = 400


@dataclass(frozen=True)
class Head:
    """``document`` is the first JSON object (or list) of the log: the whole body, or the first line that is one.

    ``tail`` is the end of each stream where that is longer than its head, "" else: the place of summaries.
    """

    stdout: str
    stderr: str
    tail: str = ""
    command: str = ""
    content_type: str = ""
    subject: str = ""
    sender: str = ""
    document: Any = None

    @cached_property
    def text(self) -> str:
        """Both streams, standard output first, line ends as ``\\n``."""
        return f"{self.stdout}\n{self.stderr}"

    @cached_property
    def everything(self) -> str:
        """All that a mark may stand in: subject, sender, command line, head and tail."""
        return f"{self.subject}\n{self.sender}\n{self.command}\n{self.stdout}\n{self.stderr}\n{self.tail}"

    def marked(self, marks: Collection[str]) -> bool:
        """True where one of these words stands anywhere in sight (case counts): the cheap first look."""
        return any(mark in self.everything for mark in marks)

    @cached_property
    def programs(self) -> tuple[str, ...]:
        """Names of the programs that the command line begins with."""
        return first_words(self.command)

    def calls(self, *names: str) -> bool:
        """True where the command line calls one of these tools."""
        return bool(invocations(self.command, names))

    def has(self, pattern: re.Pattern[str]) -> bool:
        """True where the pattern is found in the head's text."""
        return pattern.search(self.text) is not None

    def document_keys(self) -> frozenset[str]:
        """Keys of the JSON document; empty where it is no object."""
        return frozenset(self.document) if isinstance(self.document, dict) else frozenset()


def head_of(delivery: Delivery) -> Head:
    """The head of a delivery whose mail, if it is one, was opened."""
    return Head(
        stdout=_text(delivery.stdout[:HEAD_BYTES]),
        stderr=_text(delivery.stderr[:HEAD_BYTES]),
        tail="\n".join(
            _text(body[-TAIL_BYTES:]) for body in (delivery.stdout, delivery.stderr) if len(body) > HEAD_BYTES
        ),
        command=delivery.command,
        content_type=delivery.content_type,
        subject=delivery.subject,
        sender=delivery.sender,
        document=first_document(delivery.stdout) or first_document(delivery.stderr),
    )


def _text(body: bytes) -> str:
    return body.decode("utf-8", "backslashreplace").replace("\r\n", "\n").replace("\r", "\n")


def first_document(body: bytes) -> Any:
    """The JSON document that is the whole body, or the first one-line object of its head; None if there is neither."""
    start = body[:200].lstrip()[:1]
    if start in (b"{", b"["):
        whole = _whole_document(body)
        if whole is not None:
            return whole
    return next((found for _, raw in _head_lines(body) if (found := _object_or_list(raw.strip())) is not None), None)


def _whole_document(body: bytes) -> Any:
    if len(body) > MAX_DOCUMENT:
        return None
    try:
        return load(body)
    except BadJson:
        return None


def _head_lines(body: bytes) -> list[tuple[int, bytes]]:
    return [line for line, _ in zip(raw_lines(body[:HEAD_BYTES]), range(_LINES_LOOKED_AT), strict=False)]


def _object_or_list(raw: bytes) -> Any:
    if raw.startswith(b"[{") and raw.endswith(b"]"):
        try:
            return load(raw)
        except BadJson:
            return None
    return as_object(raw)
