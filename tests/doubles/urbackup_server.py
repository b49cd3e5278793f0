"""UrBackup's web interface as its sources describe it: salt, login and logs below ``/x?a=...``.

It lists 50 logs at most, newest first, of all clients or of the filtered ones; sessions may be ended at will.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Any

from tests.doubles.http_server import Request, Response
from tests.doubles.pulled_server import PulledServer, form_of

USER, PASSWORD, SALT, ROUNDS = "backledger", "ur-b4ckup-word", "s4lt", 20_000
RIGHTLESS = "nobody"
CLIENTS = {1: "WS-ANNA", 2: "SRV-FILES"}


class UrBackupServer(PulledServer):
    """Holds ``logs``: rows with their lines."""

    def __init__(self, *, clock: datetime) -> None:
        super().__init__(clock=clock)
        self.logs: list[dict[str, Any]] = []
        self._offered: dict[str, str] = {}
        self._open: dict[str, str] = {}

    def add(self, *, ended: datetime, client: int = 1, lines: str = "", **values: Any) -> int:
        """A log of one backup; the server's usual lines if none are given."""
        at, number = int(ended.timestamp()), len(self.logs) + 101
        usual = (
            f"0-{at - 60}-Starting scheduled incremental file backup...\n0-{at - 5}-Transferred 12.5 MB\n"
            f"0-{at}-Time taken for backing up client {CLIENTS[client]}: 1m\n0-{at}-Backup succeeded\n"
        )
        row = {
            "name": CLIENTS[client], "id": number, "time": at, "errors": 0, "warnings": 0, "image": 0,
            "incremental": 1, "resumed": 0, "restore": 0, **values,
        }  # fmt: skip
        self.logs.append({"row": row, "client": client, "data": lines or usual})
        return number

    def end_sessions(self) -> None:
        self._open.clear()

    def answer(self, request: Request, path: str, query: dict[str, str]) -> Response:
        given = form_of(request)
        if path != "/x":
            return Response(404, b"<html>not found</html>")
        action = query.get("a")
        if action == "salt":
            return self._salt(given.get("username", ""))
        if action == "login":
            return self._login(given)
        if action == "logs":
            user = self._open.get(given.get("ses", ""))
            return self.json({"error": 1}) if user in (None, RIGHTLESS) else self._logs(given)
        return self.json({"error": 1})

    def _salt(self, username: str) -> Response:
        ses, rnd = secrets.token_hex(10), secrets.token_hex(16)
        if username not in (USER, RIGHTLESS):
            return self.json({"ses": ses, "error": 0})
        self._offered[ses] = rnd
        return self.json({"ses": ses, "salt": SALT, "pbkdf2_rounds": ROUNDS, "rnd": rnd})

    def _login(self, given: dict[str, str]) -> Response:
        ses = given.get("ses", "")
        rnd = self._offered.get(ses)
        if rnd is None or given.get("password") != _proof(rnd):
            return self.json({"success": False, "error": 2})
        self._open[ses] = given["username"]
        return self.json({"success": True, "session": ses, "status": "all", "logs": "all"})

    def _logs(self, given: dict[str, str]) -> Response:
        head = {
            "clients": [{"id": number, "name": name} for number, name in CLIENTS.items()],
            "all_clients": True, "has_user": True, "filter": given.get("filter", ""),
        }  # fmt: skip
        if given.get("logid"):
            found = [log for log in self.logs if log["row"]["id"] == int(given["logid"])]
            log = {"data": found[0]["data"], "time": found[0]["row"]["time"], "clientname": found[0]["row"]["name"]}
            return self.json({**head, "log": log})
        level, wanted = int(given.get("ll") or 2), given.get("filter")
        rows = [
            log["row"]
            for log in self.logs
            if (not wanted or log["client"] == int(wanted)) and (level == 0 or log["row"]["errors"])
        ]
        newest = sorted(rows, key=lambda row: row["time"], reverse=True)[:50]
        return self.json({**head, "logs": newest, "ll": level})


def _proof(rnd: str) -> str:
    first = hashlib.md5((SALT + PASSWORD).encode()).digest()
    stretched = hashlib.pbkdf2_hmac("sha256", first, SALT.encode(), ROUNDS).hex()
    return hashlib.md5((rnd + stretched).encode()).hexdigest()
