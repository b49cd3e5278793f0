"""Reads a mailbox by IMAP4rev1: what is new in a folder by its UIDs, and what becomes of a mail that was stored.

Called by ``msp.channels``. Dials only checked addresses, ends at a total deadline, and believes no length that a server
claims beyond what is wanted. Everything that fails is told as ``integrations.errors`` do, without secrets. Nothing is
marked as read by reading; marking, moving and deleting are calls of their own, made after the mail is stored.
"""

from __future__ import annotations

import base64
import imaplib
import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from integrations.addresses import Address, resolve
from integrations.configuration import BadConfig, secrets_of, setting
from integrations.connecting import CutOff, tls_context, what_happened
from integrations.errors import PermanentFailure, TemporaryFailure
from integrations.http import redact

LABEL: Final = "Mailbox (IMAP)"
#: So many UIDs are asked for at first; where they lie sparse, ever more.
FIRST_WINDOW, LONGEST_WINDOW, MOST_WINDOWS = 1_000, 100_000, 300
#: Besides the mails themselves a server may say so much in one session.
TALK_BYTES = 16 * 1024 * 1024

_DOMAIN = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
_UID = re.compile(rb"\bUID (\d{1,10})\b")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d{1,12})\b")
_ARRIVED = re.compile(rb'\bINTERNALDATE "[ \d]\d-[A-Za-z]{3}-\d{4} \d\d:\d\d:\d\d [+-]\d{4}"')
_SECURITY = (("tls", "TLS from the start"), ("starttls", "STARTTLS"), ("none", "none"))
_AUTH = (("password", "password"), ("oauth2", "OAuth 2.0 (Microsoft 365, Gmail)"))
_GRANTS = (
    ("refresh_token", "a refresh token (a person agreed once)"),
    ("client_credentials", "the application's own secret (Microsoft 365)"),
)
_AFTER = (
    ("keep", "stay as they are"),
    ("seen", "be marked as read"),
    ("move", "be moved to the folder below"),
    ("delete", "be deleted"),
)


@dataclass(frozen=True)
class Config:
    """A mailbox and how to get in. With OAuth 2.0 the password is not used, without it the rest of that is not."""

    host: str = setting("IMAP server", help="Such as outlook.office365.com or imap.gmail.com.")
    username: str = setting("User name", help="Most often the mail address.")
    port: int = setting("Port", kind="number", default=993)
    security: str = setting("Encryption", default="tls", choices=_SECURITY)
    auth: str = setting("Log in by", default="password", choices=_AUTH)
    password: str = setting("Password", default="", secret=True)
    grant: str = setting("OAuth: with", default="refresh_token", choices=_GRANTS)
    token_url: str = setting(
        "OAuth: token address",
        default="",
        help="https://login.microsoftonline.com/TENANT/oauth2/v2.0/token or https://oauth2.googleapis.com/token",
    )
    client_id: str = setting("OAuth: client id", default="")
    client_secret: str = setting("OAuth: client secret", default="", secret=True)
    refresh_token: str = setting("OAuth: refresh token", default="", secret=True)
    scope: str = setting(
        "OAuth: scope",
        default="",
        help="https://outlook.office365.com/.default with an application's secret; https://mail.google.com/",
    )
    folder: str = setting("Folder", default="INBOX")
    after: str = setting("Mails that were read", default="keep", choices=_AFTER)
    move_to: str = setting("Folder to move them to", default="")

    def __post_init__(self) -> None:
        if not _DOMAIN.fullmatch(self.host) and not _is_ip(self.host):
            raise BadConfig("host", "The IMAP server must be a host name or an IP address.")
        if not 1 <= self.port <= 65535:
            raise BadConfig("port", "The port must be between 1 and 65535.")
        for name, words in (("username", "user name"), ("folder", "folder")):
            if not getattr(self, name):
                raise BadConfig(name, f"The {words} is required.")
        if self.after == "move" and self.move_to in ("", self.folder):
            raise BadConfig("move_to", "Name another folder that mails are moved to.")
        if self.auth == "password" and not self.password:
            raise BadConfig("password", "The password is required.")
        if self.auth == "oauth2":
            self._check_oauth()

    def _check_oauth(self) -> None:
        if not self.token_url.startswith("https://"):
            raise BadConfig("token_url", "The token address is required and begins with https://.")
        if not self.client_id:
            raise BadConfig("client_id", "The client id is required.")
        needed = "client_secret" if self.grant == "client_credentials" else "refresh_token"
        if not getattr(self, needed):
            raise BadConfig(needed, f"The {needed.replace('_', ' ')} is required.")


@dataclass(frozen=True)
class Folder:
    """A folder as it was opened: UIDs are good as long as ``uid_validity`` stays; ``uid_next`` None if not told."""

    uid_validity: int
    uid_next: int | None


@dataclass(frozen=True)
class Found:
    """New UIDs in order, at most as many as wanted; ``looked_to`` is the last UID up to which that is all."""

    uids: tuple[int, ...]
    looked_to: int


@dataclass(frozen=True)
class Waiting:
    """A mail in the folder: its size in bytes and when it arrived there (None if the server does not say)."""

    uid: int
    size: int
    arrived_at: datetime | None


class Session:
    """A mailbox that is open. Its calls raise TemporaryFailure or PermanentFailure."""

    def __init__(self, connection: _Connection, config: Config, *, ask: Callable[..., Any]) -> None:
        self._connection = connection
        self._config = config
        self._ask = ask

    def open_folder(self) -> Folder:
        """Read-only where nothing is to be changed."""
        is_read_only = self._config.after == "keep"
        self._ask(f"to open the folder {self._config.folder}", "select", quoted(self._config.folder), is_read_only)
        told = {name: self._number(name) for name in ("UIDVALIDITY", "UIDNEXT")}
        if told["UIDVALIDITY"] is None:
            raise PermanentFailure(f"{self._config.host} gives its mails no lasting numbers (UIDVALIDITY).")
        return Folder(told["UIDVALIDITY"], told["UIDNEXT"])

    def look_into(self, folder: str) -> None:
        """Raises PermanentFailure when there is no such folder."""
        self._ask(f"to look into the folder {folder}", "status", quoted(folder), "(MESSAGES)")

    def find_after(self, last_uid: int, *, folder: Folder, most: int) -> Found:
        """Mails with a higher UID than this one."""
        start, window = last_uid + 1, FIRST_WINDOW
        for _ in range(MOST_WINDOWS):
            end = None if folder.uid_next is None else min(start + window, folder.uid_next) - 1
            if end is not None and end < start:
                return Found((), last_uid)
            found = [uid for uid in self._search("UID", f"{start}:{end or '*'}") if uid >= start]
            if found:
                kept = tuple(found[:most])
                return Found(kept, kept[-1])
            if end is None:
                return Found((), last_uid)
            last_uid, start, window = end, end + 1, min(window * 4, LONGEST_WINDOW)
        return Found((), last_uid)

    def last_before(self, day: date, *, folder: Folder) -> int:
        """The UID after which the mails lie that arrived on this day or later."""
        since = self._search("SINCE", f"{day.day:02}-{_MONTHS[day.month - 1]}-{day.year}")
        if since:
            return since[0] - 1
        every = [folder.uid_next - 1] if folder.uid_next is not None else self._search("ALL")
        return every[-1] if every else 0

    def describe(self, uids: Sequence[int]) -> tuple[Waiting, ...]:
        """Size and arrival of these mails; those that are gone meanwhile are absent."""
        if not uids:
            return ()
        answer = self._uid("to list mails", "FETCH", ",".join(map(str, uids)), "(UID RFC822.SIZE INTERNALDATE)")
        found = [_waiting(item[0] if isinstance(item, tuple) else item) for item in answer if item]
        known = {each.uid: each for each in found if each is not None}
        return tuple(known[uid] for uid in uids if uid in known)

    def fetch(self, uid: int, *, most: int, head_only: bool = False) -> bytes | None:
        """A mail as it is, or its head; None if it is gone meanwhile. Reading does not mark it as read."""
        self._connection.allow(most)
        what = f"(UID BODY.PEEK[HEADER]<0.{most}>)" if head_only else "(UID BODY.PEEK[])"
        for item in self._uid("to fetch a mail", "FETCH", str(uid), what):
            named = _UID.search(item[0]) if isinstance(item, tuple) else None
            if named is not None and int(named.group(1)) == uid:
                return bytes(item[1])
        return None

    def finish(self, uids: Sequence[int]) -> None:
        """Do with these mails what is wanted; to be called when they are stored."""
        after, wanted = self._config.after, ",".join(map(str, uids))
        if after == "keep" or not uids:
            return
        if after == "seen":
            self._uid("to mark mails as read", "STORE", wanted, "+FLAGS.SILENT", r"(\Seen)")
            return
        if after == "move":
            target = quoted(self._config.move_to)
            if "MOVE" in self._connection.capabilities:
                self._uid(f"to move mails to {self._config.move_to}", "MOVE", wanted, target)
                return
            self._uid(f"to copy mails to {self._config.move_to}", "COPY", wanted, target)
        self._uid("to delete mails", "STORE", wanted, "+FLAGS.SILENT", r"(\Deleted)")
        if (
            "UIDPLUS" in self._connection.capabilities
        ):  # else they stay, marked as deleted: an EXPUNGE takes others along
            self._uid("to delete mails", "EXPUNGE", wanted)

    def _uid(self, what: str, *arguments: str) -> list[Any]:
        answer: list[Any] = self._ask(what, "uid", *arguments)
        return answer

    def _search(self, *criteria: str) -> list[int]:
        answer = self._uid("to search", "SEARCH", *criteria)
        words = b" ".join(item for item in answer if isinstance(item, bytes)).split()
        return sorted({int(word) for word in words if word.isdigit() and len(word) <= 10})

    def _number(self, name: str) -> int | None:
        _, values = self._connection.response(name)
        value = values[-1] if values else None
        return int(value) if isinstance(value, bytes) and value.isdigit() and len(value) <= 10 else None


@contextmanager
def open_mailbox(
    config: Config, *, access_token: str = "", allow_private: bool, deadline_seconds: float
) -> Iterator[Session]:
    """A session that is logged in, until the block ends or the deadline has passed."""
    cut_off = CutOff(time.monotonic() + deadline_seconds)
    secrets = (*secrets_of(config), access_token) if access_token else secrets_of(config)
    addresses = resolve(config.host, config.port, allow_private=allow_private, deadline_seconds=deadline_seconds)

    def ask(what: str, command: str, *arguments: Any) -> Any:
        try:
            kind, answer = getattr(connection, command)(*arguments)
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:
            raise PermanentFailure(redact(f"{config.host} refused {what}: {_told(str(error))}", secrets)) from None
        if kind != "OK":
            raise PermanentFailure(redact(f"{config.host} refused {what}: {_told(answer)}", secrets))
        return answer

    try:
        connection = _Connection(config, addresses, cut_off)
        try:
            _log_in(connection, config, ask=ask, access_token=access_token)
            connection.learn_capabilities()
            yield Session(connection, config, ask=ask)
            with suppress(OSError, imaplib.IMAP4.error):
                connection.logout()
        finally:
            with suppress(OSError):  # closed already
                connection.shutdown()
    except imaplib.IMAP4.abort as error:
        raise TemporaryFailure(redact(f"{config.host} broke off: {_told(str(error))}", secrets)) from None
    except imaplib.IMAP4.error as error:
        raise TemporaryFailure(redact(f"{config.host} answered oddly: {_told(str(error))}", secrets)) from None
    except OSError as error:
        raise TemporaryFailure(f"{config.host} {what_happened(error, cut_off)}.") from None
    finally:
        cut_off.stop()


def check(config: Config, *, access_token: str = "", allow_private: bool, deadline_seconds: float) -> tuple[str, ...]:
    """Log in, open the folder, look for the one that mails are moved to. Answers what is wrong; changes nothing."""
    problems = []
    if config.security == "none" and not allow_private:
        problems.append("Without encryption the password would travel openly. Choose TLS or STARTTLS.")
    with open_mailbox(
        config, access_token=access_token, allow_private=allow_private, deadline_seconds=deadline_seconds
    ) as session:
        session.open_folder()
        if config.after == "move":
            session.look_into(config.move_to)
    return tuple(problems)


class _Connection(imaplib.IMAP4):
    """An IMAP client that dials checked addresses alone and reads no more than was allowed."""

    def __init__(self, config: Config, addresses: tuple[Address, ...], cut_off: CutOff) -> None:
        self._config = config
        self._addresses = addresses
        self._cut_off = cut_off
        self._left = TALK_BYTES
        super().__init__(config.host, config.port, timeout=cut_off.remaining())

    def learn_capabilities(self) -> None:
        """Many servers tell all they can only to who is logged in."""
        kind, answer = self.capability()
        if kind == "OK" and isinstance(answer[-1], bytes):
            self.capabilities = tuple(answer[-1].decode("ascii", "replace").upper().split())

    def allow(self, size: int) -> None:
        """That many bytes may come in addition: a mail that is asked for."""
        self._left = TALK_BYTES + size

    def read(self, size: int) -> bytes:
        self._take(size)
        return super().read(size)

    def readline(self) -> bytes:
        line = super().readline()
        self._take(len(line))
        return line

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise self.abort("it sends more than was asked for")

    def log_in_plainly(self, user: str, password: str) -> tuple[str, list[Any]]:
        """LOGIN with both in quotation marks: the library's own leaves the user name as it is."""
        kind, answer = self._simple_command("LOGIN", _marked(user), _marked(password))
        if kind == "OK":
            self.state = "AUTH"
        return kind, answer

    def _create_socket(self, timeout: float | None) -> socket.socket:
        dialled = self._dial()
        if self._config.security != "tls":
            return dialled
        return tls_context().wrap_socket(dialled, server_hostname=self._config.host)

    def _dial(self) -> socket.socket:
        error: OSError = TimeoutError()
        for index, address in enumerate(self._addresses):
            try:
                return self._cut_off.dial(address, seconds=self._cut_off.remaining() / (len(self._addresses) - index))
            except OSError as refused:
                error = refused
        raise error


def _log_in(connection: _Connection, config: Config, *, ask: Callable[..., Any], access_token: str) -> None:
    if config.security == "starttls":
        if "STARTTLS" not in connection.capabilities:
            raise PermanentFailure(f"{config.host} does not offer STARTTLS; choose another encryption or port.")
        ask("STARTTLS", "starttls", tls_context())
    if config.auth == "oauth2":
        words = f"user={config.username}\x01auth=Bearer {access_token}\x01\x01".encode()
        ask("the access token", "authenticate", "XOAUTH2", _once(words))
    elif "AUTH=PLAIN" in connection.capabilities:
        words = f"\0{config.username}\0{config.password}".encode()
        ask("the user name or password", "authenticate", "PLAIN", _once(words))
    elif config.username.isascii() and config.password.isascii():
        ask("the user name or password", "log_in_plainly", config.username, config.password)
    else:
        raise PermanentFailure(f"{config.host} takes user names and passwords of ASCII characters only.")


def _once(words: bytes) -> Callable[[bytes], bytes]:
    """Answers the first challenge with these words, a further one (it tells of an error) with nothing."""
    said: list[bytes] = [words]
    return lambda challenge: said.pop() if said else b""


def quoted(name: str) -> str:
    """A folder's name as IMAP wants it: modified UTF-7 (RFC 3501 section 5.1.3), in quotation marks."""
    encoded = "".join(_encoded(run) for run in re.findall(r"[ -~]+|[^ -~]+", name))
    return _marked(encoded)


def _marked(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _encoded(run: str) -> str:
    if " " <= run[0] <= "~":
        return run.replace("&", "&-")
    packed = base64.b64encode(run.encode("utf-16-be", "replace")).decode().rstrip("=")
    return f"&{packed.replace('/', ',')}-"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _waiting(told: Any) -> Waiting | None:
    if not isinstance(told, bytes):
        return None
    uid, size, arrived = _UID.search(told), _SIZE.search(told), _ARRIVED.search(told)
    if uid is None or size is None:
        return None
    return Waiting(int(uid.group(1)), int(size.group(1)), _moment(arrived.group()) if arrived else None)


def _moment(told: bytes) -> datetime | None:
    day, _, rest = told.decode("ascii").partition('"')[2].rstrip('"').strip().partition("-")
    month, year, clock = rest[:3].capitalize(), rest[4:8], rest[9:]
    try:
        number = _MONTHS.index(month) + 1
        return datetime.strptime(f"{year}-{number:02}-{int(day):02} {clock}", "%Y-%m-%d %H:%M:%S %z").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _told(answer: Any) -> str:
    """What a server said, as one short line of printable characters."""
    last = answer[-1] if isinstance(answer, list) and answer else answer
    text = last.decode("utf-8", "replace") if isinstance(last, bytes) else str(last or "no reason")
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())[:200]


def _is_ip(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        return False
    return True
