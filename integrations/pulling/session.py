"""One sitting with a system that is asked for what its jobs did: its requests share a deadline, limits and words.

Made by the polling of pull sources, used by connectors. Whatever is asked only reads, so that a lost answer is never
an unknown outcome but a reason to ask again. Every failure is a sentence without secrets.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from integrations import http
from integrations.errors import OutcomeUnknown, PermanentFailure, TemporaryFailure

MAX_ANSWER_BYTES = 32 * 1024 * 1024
FORM = "application/x-www-form-urlencoded"


class LoginRefused(PermanentFailure):
    """The system does not take (or no longer takes) these credentials or this session."""


@dataclass(frozen=True)
class Reply:
    """A JSON answer and when it was sent by the other side's clock (None if not told)."""

    document: Any
    sent_at: datetime | None
    headers: Mapping[str, str]

    def rows(self, key: str = "") -> list[dict[str, Any]]:
        """The objects of the list that the answer is, or that stands under ``key``; raises TemporaryFailure else."""
        found = self.document.get(key) if key and isinstance(self.document, dict) else self.document
        if not isinstance(found, list):
            raise TemporaryFailure(f"The answer has no list{f' {key}' if key else ''}: is this version known?")
        return [row for row in found if isinstance(row, dict)]


class Session:
    """``deadline_seconds`` covers all requests together; ``allow_private`` comes from the operator's settings.

    ``fingerprint`` (SHA-256, hexadecimal) is that of the certificate to be trusted, "" for the usual authorities.
    """

    def __init__(
        self, *, deadline_seconds: float, allow_private: bool, fingerprint: str = "", secrets: tuple[str, ...] = ()
    ) -> None:
        self._end = time.monotonic() + deadline_seconds
        self._allow_private = allow_private
        self._fingerprint = fingerprint
        self._secrets = secrets

    def seconds_left(self) -> float:
        """Until the deadline, never below 0."""
        return max(0.0, self._end - time.monotonic())

    def add_secret(self, secret: str) -> None:
        """A token of this sitting: to stand in no text, either."""
        self._secrets = (*self._secrets, secret) if secret else self._secrets

    def ask(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, form: Mapping[str, Any] | None = None
    ) -> Reply:
        """One request; its JSON answer. Raises LoginRefused (401), PermanentFailure, TemporaryFailure."""
        host = urlsplit(url).hostname or ""
        if self.seconds_left() <= 0:
            raise TemporaryFailure(f"{host} answers so slowly that the time was up.")
        sent = {"Accept": "application/json", **({"Content-Type": FORM} if form is not None else {}), **(headers or {})}
        try:
            answer = http.exchange(
                method,
                url,
                headers=sent,
                body=None if form is None else urlencode(form).encode(),
                deadline_seconds=self.seconds_left(),
                allow_private=self._allow_private,
                max_answer_bytes=MAX_ANSWER_BYTES,
                fingerprint=self._fingerprint,
            )
        except OutcomeUnknown as failure:  # whatever is asked here only reads: asking again does no harm
            raise TemporaryFailure(http.redact(failure.reason, self._secrets)) from None
        if not 200 <= answer.status < 300:
            raise self._refusal(answer, method=method, url=url)
        return Reply(_document(answer, host=host), _date(answer.headers), answer.headers)

    def _refusal(self, answer: http.Answer, *, method: str, url: str) -> Exception:
        failure = http.failure_of(answer, method="GET", url=url, secrets=self._secrets)
        path = urlsplit(url).path
        if answer.status == 401:
            return LoginRefused(f"The login was refused: {failure.reason}")
        if answer.status == 403:
            return PermanentFailure(f"The login or its rights do not suffice for {path}: {failure.reason}")
        if answer.status in (404, 405):
            return PermanentFailure(f"{failure.reason}. There is no {path}: is the address right, the version known?")
        return failure


def _document(answer: http.Answer, *, host: str) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        what = "a web page" if answer.body.lstrip()[:1] == b"<" else "something that is no whole JSON document"
        raise TemporaryFailure(f"{host} answered with {what}: is the address right?") from None


def _date(headers: Mapping[str, str]) -> datetime | None:
    try:
        told = parsedate_to_datetime(headers.get("date", ""))
        return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
