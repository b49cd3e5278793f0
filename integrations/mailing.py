"""Mails that are no tickets, with files: the settings of a sender's own mail server, and the sending.

The conversation with the server, its checks and its failures are those of the mail gateway of tickets.
"""

from __future__ import annotations

from dataclasses import dataclass

from integrations.configuration import setting
from integrations.tickets import email
from integrations.tickets.contract import Call

_SECURITY = (("starttls", "STARTTLS"), ("tls", "TLS from the start"), ("none", "none"))
#: A server that is only described, not written to: the gateway's own checks want a recipient.
_NOBODY = "nobody@example.com"


@dataclass(frozen=True)
class Config:
    """The server that takes a sender's mail, and the sender's name and address."""

    host: str = setting("SMTP server")
    sender: str = setting("From", help="Such as Northwind invoices <invoices@msp.example>.")
    port: int = setting("Port", kind="number", default=587)
    security: str = setting("Encryption", default="starttls", choices=_SECURITY)
    username: str = setting("User name", default="")
    password: str = setting("Password", default="", secret=True)

    def __post_init__(self) -> None:
        _gateway(self, (_NOBODY,))


def send(config: Config, mail: email.Mail, *, call: Call) -> str:
    """Send it to its recipients; answers the Message-ID. Raises what the mail gateway raises."""
    return email.send_mail(_gateway(config, mail.recipients), mail, call=call)


def _gateway(config: Config, recipients: tuple[str, ...]) -> email.Config:
    return email.Config(
        host=config.host,
        sender=config.sender,
        recipients=recipients,
        port=config.port,
        security=config.security,
        username=config.username,
        password=config.password,
    )
