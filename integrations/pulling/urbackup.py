"""UrBackup: the log of every backup and restore of all clients, by the API of the server's web interface.

The server lists the newest 50 logs, of all clients or of one: where 50 do not reach back to what was fetched before,
each client is asked for its own. Each log is a delivery as the format ``urbackup`` reads it. A login is a salted,
stretched hash; the session it opens may end at any time and is then opened once more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from integrations.configuration import setting
from integrations.errors import PermanentFailure, TemporaryFailure
from integrations.pulling.addressing import FINGERPRINT_HELP, check_fingerprint, check_url, joined
from integrations.pulling.contract import Fetched, Pulled
from integrations.pulling.progress import MOST, Ended, Progress, as_json, moment, progress_of, whole
from integrations.pulling.session import LoginRefused, Reply, Session

LABEL: Final = "UrBackup"
FORMATS: Final = ("urbackup",)
LISTED = 50  # logs of one answer
ALL_LEVELS = 0
MOST_ROUNDS = 10_000_000
#: With less time left no further log is asked for: what is fetched must still be stored.
SPARE_SECONDS = 5.0


@dataclass(frozen=True)
class Config:
    """A user of the web interface; without a name the server must take anybody."""

    url: str = setting("Address of the web interface", help="Such as https://urbackup.example.com/x")
    username: str = setting("User", default="", help="With the right to see the logs. Empty: there are no users.")
    password: str = setting("Password", default="", secret=True)
    fingerprint: str = setting("Fingerprint of the certificate", default="", help=FINGERPRINT_HELP)

    def __post_init__(self) -> None:
        check_url(self.url)
        check_fingerprint(self.fingerprint)


class Server:
    """A server that is logged in to."""

    def __init__(self, config: Config, session: Session) -> None:
        self._config, self._session = config, session
        self._ses = self._log_in()

    def logs(self, **values: object) -> Reply:
        """An answer about logs; opens the session once more where it has ended."""
        reply = self._ask("logs", {**values, "ses": self._ses})
        if _is_refused(reply):
            self._ses = self._log_in()
            reply = self._ask("logs", {**values, "ses": self._ses})
        if _is_refused(reply):
            raise PermanentFailure("The login works, but this user has no right to see the logs.")
        return reply

    def _log_in(self) -> str:
        """The session's name. Raises LoginRefused."""
        config = self._config
        if not config.username:
            return self._ses_of(self._ask("login", {}), "The login was refused: this server wants a user's name.")
        salt = self._ask("salt", {"username": config.username}).document
        if not isinstance(salt, dict) or not all(isinstance(salt.get(key), str) for key in ("ses", "salt", "rnd")):
            raise LoginRefused(f"The login was refused: there is no user {config.username[:100]}.")
        given = {"username": config.username, "password": answer_to(salt, config.password), "ses": salt["ses"]}
        self._session.add_secret(salt["ses"])
        reply = self._ask("login", given)
        return self._ses_of(reply, "The login was refused: the password is wrong.", ses=salt["ses"])

    def _ses_of(self, reply: Reply, refused: str, *, ses: str = "") -> str:
        told = reply.document if isinstance(reply.document, dict) else {}
        if told.get("success") is not True:
            raise LoginRefused(refused)
        opened = str(told.get("session") or ses)
        self._session.add_secret(opened)
        return opened

    def _ask(self, action: str, values: Mapping[str, object]) -> Reply:
        """Older servers read what is asked from the address, newer ones from the form; secrets go by the form."""
        shown = {key: value for key, value in values.items() if key in ("ll", "filter", "logid")}
        url = f"{joined(self._config.url, '')}?{urlencode({'a': action, **shown})}"
        reply = self._session.ask("POST", url, form=dict(values))
        if not isinstance(reply.document, dict):
            raise TemporaryFailure("The answer is no object: is this the address of UrBackup's web interface, with /x?")
        return reply


def _is_refused(reply: Reply) -> bool:
    return "logs" not in reply.document and "log" not in reply.document


def answer_to(salt: Mapping[str, Any], password: str) -> str:
    """What proves the password: its salted MD5, stretched if the server says so, hashed with the server's number."""
    first = hashlib.md5((salt["salt"] + password).encode(), usedforsecurity=False).digest()
    rounds = whole(salt.get("pbkdf2_rounds")) or 0
    if rounds > MOST_ROUNDS:
        raise TemporaryFailure("The server asks for more rounds of hashing than make sense.")
    stretched = hashlib.pbkdf2_hmac("sha256", first, salt["salt"].encode(), rounds) if rounds > 0 else first
    return hashlib.md5((salt["rnd"] + stretched.hex()).encode(), usedforsecurity=False).hexdigest()


def check(config: Config, session: Session) -> str:
    """Whether the logs can be seen, and of how many clients."""
    reply = Server(config, session).logs(ll=ALL_LEVELS)
    return f"UrBackup answers; it shows logs of {len(reply.rows('clients'))} clients."


def fetch(config: Config, session: Session, *, cursor: Mapping[str, Any], now: datetime) -> Pulled:
    """The logs that are new, oldest first."""
    server = Server(config, session)
    reply = server.logs(ll=ALL_LEVELS)
    progress = progress_of(cursor, clock=reply.sent_at or now)
    rows = reply.rows("logs")
    hidden: list[str] = []
    if not _reaches(rows, progress):
        rows = [*rows, *_of_each_client(server, reply, progress, hidden=hidden)]
    fresh = progress.news(_ended(rows))
    taken: list[Ended] = []
    deliveries: list[Fetched] = []
    for one in fresh[:MOST]:
        if taken and session.seconds_left() < SPARE_SECONDS:
            break
        deliveries.append(_fetched(server, one))
        taken.append(one)
    remark = f"More than {LISTED} logs of {', '.join(hidden[:5])}: the oldest are shown nowhere." if hidden else ""
    return Pulled(tuple(deliveries), progress.after(taken), more=len(taken) < len(fresh), remark=remark)


def _reaches(rows: list[dict[str, Any]], progress: Progress) -> bool:
    """Whether this is all since what was fetched before."""
    return len(rows) < LISTED or any((whole(row.get("time")) or 0) < progress.since for row in rows)


def _of_each_client(server: Server, reply: Reply, progress: Progress, *, hidden: list[str]) -> Iterator[dict[str, Any]]:
    for client in reply.rows("clients"):
        number = whole(client.get("id"))
        if number is None:
            continue
        rows = server.logs(ll=ALL_LEVELS, filter=number).rows("logs")
        if progress.seen and not _reaches(rows, progress):
            hidden.append(str(client.get("name", number))[:60])
        yield from rows


def _ended(rows: list[dict[str, Any]]) -> Iterator[Ended]:
    for row in rows:
        number, at = whole(row.get("id")), whole(row.get("time"))
        if number is not None and at is not None:
            yield Ended(str(number), at, row)


def _fetched(server: Server, one: Ended) -> Fetched:
    """The log's row with its lines, as the two answers of the API hold them."""
    told = server.logs(logid=one.key).document.get("log")
    log = {key: told[key] for key in ("data", "time", "clientname") if key in told} if isinstance(told, dict) else {}
    content = as_json({"logs": [one.row], "log": {"data": "", **log}})
    host = one.row.get("name")
    return Fetched(f"log-{one.key}", content, "urbackup", host if isinstance(host, str) else "", moment(one.at))
