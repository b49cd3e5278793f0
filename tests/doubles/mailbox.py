"""A real SMTP server that keeps the mails it takes, and can refuse or break off.

Built on aiosmtpd. Every mail is kept as it came over the wire, with envelope sender and recipients.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Literal, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

Fault = Literal["refuse recipient", "come back later", "refuse mail", "drop after mail", "silent after mail"]

USER, PASSWORD = "robot", "s3cret-password-value"


@dataclass(frozen=True)
class Kept:
    """A mail that was taken."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=policy.default)


class Mailbox:
    """Use as a context manager; ``host`` and ``port`` are where it listens."""

    host = "127.0.0.1"

    def __init__(self, *, tls: ssl.SSLContext | None = None, demand_login: bool = False) -> None:
        self.kept: list[Kept] = []
        self._faults: deque[Fault] = deque()
        self.port = _free_port()
        self._controller = Controller(
            self, hostname=self.host, port=self.port, tls_context=tls, authenticator=_authenticate,
            auth_required=demand_login, auth_require_tls=tls is not None,
        )  # fmt: skip

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()

    def fail_next(self, fault: Fault) -> None:
        """The next mail fails so; later ones are taken again."""
        self._faults.append(fault)

    def messages(self) -> list[EmailMessage]:
        return [kept.message for kept in self.kept]

    async def handle_RCPT(  # noqa: N802 - a name the library looks for
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if self._takes("refuse recipient"):
            return "550 5.1.1 No such mailbox"
        if self._takes("come back later"):
            return "451 4.7.1 Greylisted, come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - as above
        if self._takes("refuse mail"):
            return "554 5.7.1 Looks like spam"
        self.kept.append(Kept(envelope.mail_from, tuple(envelope.rcpt_tos), envelope.original_content))
        if self._takes("drop after mail"):
            server.transport.abort()
        if self._takes("silent after mail"):
            time.sleep(1.0)  # blocks this server's own loop: nobody is answered
        return "250 OK"

    def _takes(self, fault: Fault) -> bool:
        if self._faults and self._faults[0] == fault:
            self._faults.popleft()
            return True
        return False


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=good)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
