"""Listens to an SMTP conversation, so that people can read it beside the mail: commands and replies, no log-in.

Used by the mail gateway. Passwords and challenges travel encoded in ways of their own: while the connection logs in,
what is said is not kept at all.
"""

from __future__ import annotations

import smtplib
import time
from collections.abc import Iterator
from contextlib import contextmanager

from integrations.errors import DeliveryFailure
from integrations.recording import Recorder
from integrations.redacting import MARK

#: Lines of a conversation that are kept; smtplib takes none that is longer than 8,192 bytes.
_MOST_LINES = 100
_CHALLENGE = 334


class Talk:
    """What was said so far; ``mail`` is the text that was sent, ``status`` the last reply that tells anything."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.mail = b""
        self.status: int | None = None
        self._is_secret = self._is_over = False

    def say(self, command: str) -> None:
        self._is_over = command.upper().startswith("QUIT")
        if not self._is_secret:
            verb, space, rest = command.partition(" ")
            self._keep(f"> {verb.upper()}{space}{rest}")

    def hear(self, code: int, reply: bytes) -> None:
        if self._is_secret and code == _CHALLENGE:
            return
        if not self._is_over and code > 0:
            self.status = code
        self._keep(f"{code} {reply.decode('utf-8', 'replace')}")

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """While it logs in."""
        self._keep(f"> AUTH {MARK}")
        self._is_secret = True
        try:
            yield
        finally:
            self._is_secret = False

    def _keep(self, line: str) -> None:
        if len(self.lines) < _MOST_LINES:
            self.lines.append(line)


class ListeningSMTP(smtplib.SMTP):
    """An SMTP client whose conversation is kept in ``talk``, which must be set before it connects."""

    talk: Talk

    def putcmd(self, cmd: str, args: str = "") -> None:
        self.talk.say(f"{cmd} {args}".strip())
        super().putcmd(cmd, args)

    def getreply(self) -> tuple[int, bytes]:
        code, reply = super().getreply()
        self.talk.hear(code, reply)
        return code, reply


@contextmanager
def noted(record: Recorder, host: str, port: int) -> Iterator[Talk]:
    """A conversation that is noted at its end, however it ends."""
    talk, began, failure = Talk(), time.monotonic(), ""
    try:
        yield talk
    except DeliveryFailure as error:
        failure = error.reason
        raise
    finally:
        said = "\n".join(talk.lines).encode("utf-8", "replace")
        record.note(
            "SMTP", f"smtp://{host}:{port}", began=began, headers={}, body=talk.mail, status=talk.status, answer=said,
            failure=failure,
        )  # fmt: skip
