"""A real django-helpdesk on a port of its own, with a queue, Backledger's user and a technician."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.desks.running import HOST, RealDesk, Seen, asked

SITE = Path(__file__).with_name("helpdesk_site")
OURS, THEIRS = "b1" * 20, "c2" * 20
TINA = 2  # the second user that the site makes
CLOSED = 4


class DjangoHelpdesk(RealDesk):
    """``webhook`` is an address that it calls when somebody wrote on a ticket."""

    name = "django-helpdesk"
    wrong_credentials = {"token": "wr0ng-token"}

    def __init__(self, port: int = 0, *, webhook: str = "") -> None:
        super().__init__(port)
        self.webhook = webhook

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def stored(self) -> dict[str, object]:
        return {"url": self.url, "token": OURS, "queue": "1", "people": {str(TINA): "Tina Tech"}}

    def prepare(self) -> None:
        """The site makes its own tables when it is started."""

    def command(self) -> list[str]:
        return [str(self.python), str(SITE / "serve.py"), f"{HOST}:{self.port}"]

    def environment(self) -> dict[str, str]:
        ours = {"DESK_FOLDER": str(self.folder), "DESK_TOKENS": f"{OURS},{THEIRS}"}
        return super().environment() | ours | ({"HELPDESK_FOLLOWUP_WEBHOOK_URLS": self.webhook} if self.webhook else {})

    def close_there(self, ticket_id: str) -> None:
        self._ask("POST", "followups/", {"ticket": int(ticket_id), "comment": "Done.", "new_status": CLOSED})

    def say_there(self, ticket_id: str, text: str) -> None:
        self._ask("POST", "followups/", {"ticket": int(ticket_id), "comment": text})

    def assign_there(self, ticket_id: str) -> None:
        self._ask("PATCH", f"tickets/{ticket_id}/", {"assigned_to": TINA})

    def delete_there(self, ticket_id: str) -> None:
        self._ask("DELETE", f"tickets/{ticket_id}/")

    def merge_there(self, ticket_id: str, *, into: str) -> None:
        """As its page for merging does: a duplicate that points to the other."""
        self._ask("PATCH", f"tickets/{ticket_id}/", {"merged_to": int(into), "status": 5})

    def tickets(self) -> list[Seen]:
        found = self._ask("GET", "tickets/?page_size=10000")["results"]
        return [Seen(str(item["id"]), item["title"], str(item["status"])) for item in found]

    def said(self) -> dict[str, list[str]]:
        """Of every ticket what was written on it, the description first."""
        found = self._ask("GET", "tickets/?page_size=10000")["results"]
        return {
            str(item["id"]): [item["description"], *(one["comment"] or "" for one in item["followup_set"])]
            for item in found
        }

    def ticket(self, ticket_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self._ask("GET", f"tickets/{ticket_id}/")
        return found

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        return asked(method, f"{self.url}/api/{path}", headers={"Authorization": f"Token {THEIRS}"}, body=body)


def start(port: int = 0, *, webhook: str = "") -> DjangoHelpdesk:
    """``with start() as desk:`` runs one; its data goes with it."""
    return DjangoHelpdesk(port, webhook=webhook)
