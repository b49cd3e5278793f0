"""The settings of the mail gateway: the server that sends, who reads, how answers come back."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from email.headerregistry import Address as MailAddress
from email.utils import parseaddr

from integrations.configuration import BadConfig, setting
from integrations.tickets.mail_systems import SYSTEMS

_DOMAIN = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
_SECURITY = (("starttls", "STARTTLS"), ("tls", "TLS from the start"), ("none", "none"))
_READERS = (("people", "people"), ("intake", "a ticket system's intake"))
_REPLIES = (("none", "no"), ("listener", "by our mail listener"), ("mailbox", "by a mailbox that is read"))
_MARKING = (("by-reader", "only mail to people"), ("always", "always"), ("never", "never"))


@dataclass(frozen=True)
class Config:
    """One mailbox or intake and the server that takes mail for it."""

    host: str = setting("SMTP server")
    sender: str = setting("From", help="Such as Backups <backups@msp.example>; use a mailbox of its own.")
    recipients: tuple[str, ...] = setting("To", kind="list", help="One or more addresses.")
    port: int = setting("Port", kind="number", default=587)
    security: str = setting("Encryption", default="starttls", choices=_SECURITY)
    username: str = setting("User name", default="")
    password: str = setting("Password", default="", secret=True)
    readers: str = setting("The mail is read by", default="people", choices=_READERS)
    auto_submitted: str = setting(
        "Mark as sent by a machine",
        default="by-reader",
        choices=_MARKING,
        help="Auto-Submitted stops holiday replies; but Redmine and Roundup discard such mail, RT does not answer it.",
    )
    message_domain: str = setting("Domain of Message-IDs", default="", help="Empty: the domain of From.")
    close_subject: str = setting(
        "Words that close: in the subject", default="", help="Added to the final mail; Roundup: [status=resolved]"
    )
    close_line: str = setting(
        "Words that close: first line", default="", help="Put before the final text; Redmine: Status: Closed"
    )
    replies: str = setting(
        "Answers come back", default="none", choices=_REPLIES, help="Every mail asks for answers to a secret address."
    )
    reply_mailbox: str = setting(
        "Mailbox of answers",
        default="",
        help="Such as backups@msp.example: one that is read, and takes plus addresses.",
    )
    reply_senders: tuple[str, ...] = setting(
        "Who may answer", kind="list", default=(), help="Addresses, or @domains. Empty: the addresses of To."
    )
    reply_commands: bool = setting(
        "Act on #ack, #snooze and #close", kind="switch", default=False, help="As the first line of a person's answer."
    )
    system: str = setting(
        "Ticket system", default="", choices=SYSTEMS, help="Whose marks are read in its mails: number, status, closing."
    )

    def __post_init__(self) -> None:
        if not _DOMAIN.fullmatch(self.host) and not _is_ip(self.host):
            raise BadConfig("host", "The SMTP server must be a host name or an IP address.")
        if not 1 <= self.port <= 65535:
            raise BadConfig("port", "The port must be between 1 and 65535.")
        parse_address(self.sender, field="sender")
        if not self.recipients:
            raise BadConfig("recipients", "At least one recipient is required.")
        check_recipients(self.recipients)
        if self.message_domain and not _DOMAIN.fullmatch(self.message_domain):
            raise BadConfig("message_domain", "The domain of Message-IDs must be a domain, such as msp.example.")
        if bool(self.username) != bool(self.password):
            raise BadConfig("password", "User name and password must be given together, or neither.")
        self._check_answers()

    def _check_answers(self) -> None:
        if self.replies == "mailbox" and "+" in parse_address(self.reply_mailbox, field="reply_mailbox").username:
            raise BadConfig("reply_mailbox", "Give the mailbox's plain address: the plus sign is added to it.")
        for sender in self.reply_senders:
            if not (sender.startswith("@") and _DOMAIN.fullmatch(sender[1:])):
                parse_address(sender, field="reply_senders")

    def may_answer(self, address: str) -> bool:
        """Whether an answer from this address is taken. A From can be forged: it is never the only proof."""
        allowed = self.reply_senders or tuple(parseaddr(recipient)[1] for recipient in self.recipients)
        known = {parseaddr(each)[1].lower() or each.lower() for each in allowed if not each.startswith("@")}
        domains = {each.lower() for each in allowed if each.startswith("@")}
        return address.lower() in known or f"@{address.lower().rpartition('@')[2]}" in domains


def check_recipients(recipients: tuple[str, ...]) -> None:
    """Raises BadConfig for the first that is no mail address."""
    for recipient in recipients:
        parse_address(recipient, field="recipients")


def parse_address(text: str, *, field: str) -> MailAddress:
    name, address = parseaddr(text)
    user, _, domain = address.rpartition("@")
    spec_is_plain = address.isascii() and address.isprintable() and not re.search(r'[\s"(),:;<>\[\]\\]', address)
    if not user or not spec_is_plain or not _DOMAIN.fullmatch(domain) or not name.isprintable():
        raise BadConfig(field, f"{text[:100]!r} is not a mail address such as desk@msp.example.")
    return MailAddress(display_name=name, username=user, domain=domain)


def _is_ip(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        return False
    return True
