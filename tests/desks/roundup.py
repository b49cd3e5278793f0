"""A real Roundup with its "classic" template, unchanged, with Backledger's user and a technician.

Roundup does not serve as root unless it is told which user to be; root tells it to stay root, in a test.
"""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import Any

from tests.desks.running import HOST, RealDesk, Seen, asked

USER, PASSWORD = "backledger", "ru-s3cret-password"
TINA, TINAS_PASSWORD = "tina", "tinas-password"
ADMINS_PASSWORD = "admins-password"


class Roundup(RealDesk):
    """One tracker, called "desk"."""

    name = "roundup"
    wrong_credentials = {"password": "wr0ng-password"}

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/desk/"

    @property
    def stored(self) -> dict[str, object]:
        return {"url": self.url, "user": USER, "password": PASSWORD}

    def prepare(self) -> None:
        self._admin("install", "classic", "sqlite")
        self._configure(self.folder / "tracker" / "config.ini")
        (self.folder / "tracker" / "db").mkdir(exist_ok=True)
        self._admin("initialise", ADMINS_PASSWORD, answer="Y\n")
        for name, password, real_name in ((USER, PASSWORD, "Backledger"), (TINA, TINAS_PASSWORD, "Tina Tech")):
            words = {"username": name, "password": password, "realname": real_name, "roles": "User"}
            words["address"] = f"{name}@desk.example"
            self._admin("create", "user", *(f"{key}={value}" for key, value in words.items()))

    def command(self) -> list[str]:
        stay = ["-u", "root", "-g", "root"] if os.geteuid() == 0 else []
        return [str(self._program("roundup-server")), "-n", HOST, "-p", str(self.port), *stay, "desk=tracker"]

    def close_there(self, ticket_id: str) -> None:
        self._change(ticket_id, {"status": "resolved"})

    def say_there(self, ticket_id: str, text: str) -> None:
        message = self._ask("POST", "msg", {"content": text, "author": TINA})["id"]
        self._change(ticket_id, {"@op": "add", "messages": [message]})

    def assign_there(self, ticket_id: str) -> None:
        self._change(ticket_id, {"assignedto": TINA})

    def delete_there(self, ticket_id: str) -> None:
        self._ask("DELETE", f"issue/{ticket_id}", mark=self._mark(ticket_id), admin=True)

    def supersede_there(self, ticket_id: str, *, by: str) -> None:
        """What Roundup has instead of merging."""
        self._change(ticket_id, {"superseder": [by]})

    def tickets(self) -> list[Seen]:
        found = self._ask("GET", "issue?@fields=title,status&@verbose=2")["collection"]
        return [Seen(item["id"], item["title"], item["status"]["name"]) for item in found]

    def _change(self, ticket_id: str, change: dict[str, object]) -> None:
        self._ask("PATCH", f"issue/{ticket_id}", change, mark=self._mark(ticket_id))

    def _mark(self, ticket_id: str) -> str:
        return str(self._ask("GET", f"issue/{ticket_id}")["@etag"])

    def _ask(self, method: str, path: str, body: object = None, *, mark: str = "", admin: bool = False) -> Any:
        who = ("admin", ADMINS_PASSWORD) if admin else (TINA, TINAS_PASSWORD)
        headers = {
            "Authorization": f"Basic {base64.b64encode(':'.join(who).encode()).decode()}", "Origin": f"http://{HOST}:{self.port}",
            "X-Requested-With": "rest", "Content-Type": "application/json",
        } | ({"If-Match": mark} if mark else {})  # fmt: skip
        return asked(method, f"{self.url}rest/data/{path}", headers=headers, body=body)["data"]

    def _configure(self, path: Path) -> None:
        """Its address, a file instead of a mail server, and quick passwords: every request has one."""
        text = path.read_text()
        given = {
            "web": self.url, "domain": "desk.example", "host": HOST, "debug": self.folder / "mail.txt",
            "password_pbkdf2_default_rounds": 1000,
        }  # fmt: skip
        for name, value in given.items():
            line = rf"^#?{name} = (NO DEFAULT|[0-9]+)?$"
            text, changed = re.subn(line, f"{name} = {value}", text, flags=re.MULTILINE)
            assert changed == 1, name
        path.write_text(text)

    def _admin(self, *words: str, answer: str = "") -> None:
        self.run(self._program("roundup-admin"), "-i", "tracker", *words, answer=answer)

    def _program(self, name: str) -> Path:
        return self.python.with_name(name)


def start(port: int = 0) -> Roundup:
    """``with start() as desk:`` runs one; its data goes with it."""
    return Roundup(port)
