"""Keeps what one call to another system sent and received, for people to read: short, and without secrets.

A ``Recorder`` travels with the ``Call``; ``integrations.http`` and the mail gateway note into it. Secrets are taken out
when it is read, by all that are known by then: the token that a log-in answers with is known only after it. Of headers
only harmless ones are kept. Whatever the other side answers, what comes out is text that a database takes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from integrations.redacting import MARK, margin_of, redact, redact_address, redact_named, text_of

#: Characters of a request and of an answer that are kept.
MOST_TEXT = 8_000
MOST_ADDRESS = 1_000
MOST_HEADER = 300
#: Bytes that are looked at; the rest is only counted.
_MOST_RAW = 64_000
#: Exchanges of one call that are kept: the first and the last.
MOST_FIRST, MOST_LAST = 20, 10

#: Headers that tell something and hold no credentials.
KEPT_HEADERS = frozenset(
    {
        "accept", "content-encoding", "content-language", "content-length", "content-type", "date", "etag",
        "idempotency-key", "if-match", "location", "prefer", "retry-after", "server", "user-agent", "webhook-id",
        "webhook-timestamp", "x-http-method-override", "x-correlation-id", "x-request-id",
    }
)  # fmt: skip
KEPT_BEGINNINGS = ("x-ratelimit-", "x-rate-limit-", "ratelimit")


@dataclass(frozen=True)
class Exchange:
    """One request and its answer as people may see them. ``after_ms`` counts from the beginning of the call.

    ``status`` is None where there was no answer; ``failure`` then says why.
    """

    method: str
    address: str
    request_headers: Mapping[str, str]
    request: str
    status: int | None
    answer_headers: Mapping[str, str]
    answer: str
    failure: str
    after_ms: int
    took_ms: int


@dataclass(frozen=True)
class _Raw:
    method: str
    url: str
    began: float
    ended: float
    request_headers: Mapping[str, str]
    request: bytes
    request_size: int
    status: int | None = None
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    answer: bytes = b""
    answer_size: int = 0
    failure: str = ""


class Recorder:
    """What one call did. Of very many exchanges those in the middle are only counted."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._kept: list[_Raw] = []
        self._secrets: set[str] = set()
        self.left_out = 0

    def hide(self, *secrets: str) -> None:
        """These stand in nothing that was or will be noted."""
        self._secrets.update(secret for secret in secrets if secret)

    def note(
        self,
        method: str,
        url: str,
        *,
        began: float,
        headers: Mapping[str, str],
        body: bytes,
        status: int | None = None,
        answer_headers: Mapping[str, str] | None = None,
        answer: bytes = b"",
        failure: str = "",
    ) -> None:
        """One exchange that has just ended; ``began`` is a value of ``time.monotonic``."""
        if len(self._kept) == MOST_FIRST + MOST_LAST:
            del self._kept[MOST_FIRST]
            self.left_out += 1
        self._kept.append(
            _Raw(
                method, url, began, time.monotonic(), dict(headers), body[:_MOST_RAW], len(body), status,
                dict(answer_headers or {}), answer[:_MOST_RAW], len(answer), failure,
            )
        )  # fmt: skip

    def without_secrets(self, text: str) -> str:
        """For a sentence about the call."""
        return redact(text, tuple(sorted(self._secrets)))

    def exchanges(self) -> tuple[Exchange, ...]:
        """In their order, without secrets."""
        secrets = tuple(sorted(self._secrets))
        return tuple(_shown(raw, secrets, since=self._began) for raw in self._kept)


def _shown(raw: _Raw, secrets: tuple[str, ...], *, since: float) -> Exchange:
    return Exchange(
        method=raw.method,
        address=clean(redact_address(raw.url, secrets), most=MOST_ADDRESS),
        request_headers=shown_headers(raw.request_headers, secrets),
        request=shown_text(raw.request, raw.request_headers, secrets, size=raw.request_size),
        status=raw.status,
        answer_headers=shown_headers(raw.answer_headers, secrets),
        answer=shown_text(raw.answer, raw.answer_headers, secrets, size=raw.answer_size),
        failure=clean(redact(raw.failure, secrets), most=MOST_ADDRESS),
        after_ms=max(0, round((raw.began - since) * 1000)),
        took_ms=max(0, round((raw.ended - raw.began) * 1000)),
    )


def shown_headers(headers: Mapping[str, str], secrets: tuple[str, ...]) -> dict[str, str]:
    """Those headers that hold no credentials, names in lower case."""
    given = {name.lower(): value for name, value in headers.items()}
    return {
        name: clean(redact_address(value, secrets), most=MOST_HEADER)
        for name, value in sorted(given.items())
        if name in KEPT_HEADERS or name.startswith(KEPT_BEGINNINGS)
    }


def shown_text(body: bytes, headers: Mapping[str, str], secrets: tuple[str, ...], *, size: int) -> str:
    """A body for people: text without secrets, cut; of anything else its size. ``size`` is that of the whole body."""
    body = body[:_MOST_RAW]
    if not body:
        return ""
    encoding = {name.lower(): value for name, value in headers.items()}.get("content-encoding", "identity")
    if b"\0" in body or encoding.strip().lower() not in ("", "identity"):
        return f"({size} bytes that are no text)"
    is_cut = size > len(body)
    text = redact_named(redact(text_of(body, is_cut=is_cut), secrets))
    if is_cut:
        text = text[: max(0, len(text) - margin_of(secrets))]
    shown = clean(text, most=MOST_TEXT)
    return f"{shown}\n({size} bytes in all)" if is_cut or len(text) > MOST_TEXT else shown


def clean(text: str, *, most: int) -> str:
    """``text`` without what pages and databases cannot take, cut to ``most`` characters."""
    kept = "".join(c if c.isprintable() or c in "\n\t" else "" if c == "\r" else "\ufffd" for c in text[: most + 1])
    return kept if len(kept) <= most else kept[: most - 1] + MARK
