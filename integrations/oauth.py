"""Fresh access tokens of OAuth 2.0 (RFC 6749), by a refresh token or by an application's own secret.

Called before a mailbox is opened. The token's address is called as every other (checked, limited, with a deadline);
what it refuses is told in its own words, without secrets.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from integrations.errors import OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.http import Answer, exchange, redact, retry_after_of

#: A token is not used in its last minutes: a session outlives the moment in which it is opened.
MARGIN = timedelta(minutes=5)
SHORTEST, LONGEST, USUAL = 60, 24 * 3600, 3600  # seconds


@dataclass(frozen=True)
class Application:
    """Who asks: ``grant`` is ``refresh_token`` or ``client_credentials``; what that does not need is empty."""

    token_url: str
    client_id: str
    grant: str
    client_secret: str = ""
    refresh_token: str = ""
    scope: str = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(value for value in (self.client_secret, self.refresh_token) if value)


@dataclass(frozen=True)
class Token:
    """An access token until ``expires_at``; ``refresh_token`` is the next one to use, "" if it stays the same."""

    access_token: str
    expires_at: datetime
    refresh_token: str = ""


def fresh_token(application: Application, *, now: datetime, allow_private: bool, deadline_seconds: float) -> Token:
    """Ask for a token. Raises TemporaryFailure, PermanentFailure (a person must agree again, or the secret ended)."""
    given = {
        "grant_type": application.grant,
        "client_id": application.client_id,
        "client_secret": application.client_secret,
        "refresh_token": application.refresh_token if application.grant == "refresh_token" else "",
        "scope": application.scope,
    }
    try:
        answer = exchange(
            "POST",
            application.token_url,
            headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
            body=urlencode({name: value for name, value in given.items() if value}).encode(),
            deadline_seconds=deadline_seconds,
            allow_private=allow_private,
        )
    except OutcomeUnknown as failure:  # asking again does no harm
        raise TemporaryFailure(failure.reason) from None
    return read_token(answer, application, now=now)


def read_token(answer: Answer, application: Application, *, now: datetime) -> Token:
    """The token in an answer; raises what a refusal means."""
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        told = None
    told = told if isinstance(told, dict) else {}
    if answer.status == 200 and isinstance(told.get("access_token"), str) and told["access_token"].isprintable():
        return Token(told["access_token"], now + _life(told), _text(told, "refresh_token"))
    words = _text(told, "error_description") or _text(told, "error") or f"status {answer.status}"
    reason = redact(f"No access token was given: {' '.join(words.split())[:300]}", application.secrets)
    if answer.status in (408, 425, 429) or answer.status >= 500:
        raise TemporaryFailure(reason, retry_after=retry_after_of(answer.headers))
    raise PermanentFailure(reason)


def _life(told: dict[str, Any]) -> timedelta:
    seconds = told.get("expires_in")
    known = isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds == seconds
    return timedelta(seconds=min(LONGEST, max(SHORTEST, seconds))) if known and seconds is not None else timedelta(
        seconds=USUAL
    )  # fmt: skip


def _text(told: dict[str, Any], key: str) -> str:
    value = told.get(key)
    return value if isinstance(value, str) else ""
