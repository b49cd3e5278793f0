"""A real Redmine 5 from Debian's packages, on SQLite, with a private project, Backledger's user and a technician.

``make test-gateways`` installs it. What it writes, logs and temporary files too, is in the test's own folder.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from launch.desks import ALL_DESKS, REDMINE, bundler
from tests.desks.running import HOST, RealDesk, Seen, asked

SITE = Path(__file__).with_name("redmine_site")
PROJECT, REFERENCE_FIELD, BUGS_ONLY, TINA = "backups", "1", "2", 6
CLOSED, SUPPORT = 5, "3"


class Redmine(RealDesk):
    name = "redmine"
    wrong_credentials = {"api_key": "wr0ng-key"}

    def installed(self) -> Path:
        """Its Ruby."""
        if not os.environ.get(ALL_DESKS):
            pytest.skip("make test-gateways runs the real Redmine")
        ruby = shutil.which("ruby")
        if not REDMINE.exists() or ruby is None:
            pytest.fail("Redmine is not installed")
        return Path(ruby)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def stored(self) -> dict[str, object]:
        return {
            "url": self.url, "api_key": self.keys[0], "project": PROJECT, "reference_field": REFERENCE_FIELD,
            "tracker": SUPPORT,
        }  # fmt: skip

    def prepare(self) -> None:
        for name in ("config", "log", "tmp", "files"):
            (self.folder / name).mkdir()
        database = {
            "adapter": "sqlite3",
            "database": str(self.folder / "redmine.sqlite"),
            "timeout": 20_000,
            "pool": 20,
        }
        (self.folder / "config" / "database.yml").write_text(json.dumps({"production": database}))
        (self.folder / "config" / "secret_key.txt").write_text("0123456789abcdef" * 4)
        said = self.run(self.python, SITE / "seed.rb")
        self.keys = [line.split()[1] for line in said.splitlines() if line.startswith("key ")]

    def environment(self) -> dict[str, str]:
        return super().environment() | bundler() | {"RAILS_ENV": "production", "DESK_FOLDER": str(self.folder)}

    def command(self) -> list[str]:
        return [str(self.python), str(SITE / "serve.rb"), HOST, str(self.port)]

    def close_there(self, ticket_id: str) -> None:
        self._ask("PUT", f"issues/{ticket_id}.json", {"issue": {"status_id": CLOSED}})

    def say_there(self, ticket_id: str, text: str) -> None:
        self._ask("PUT", f"issues/{ticket_id}.json", {"issue": {"notes": text}})

    def assign_there(self, ticket_id: str) -> None:
        self._ask("PUT", f"issues/{ticket_id}.json", {"issue": {"assigned_to_id": TINA}})

    def delete_there(self, ticket_id: str) -> None:
        self._ask("DELETE", f"issues/{ticket_id}.json")

    def tickets(self) -> list[Seen]:
        found: list[Seen] = []
        for offset in range(0, 10_000, 100):
            items = self._ask("GET", f"issues.json?status_id=*&sort=id&limit=100&offset={offset}")["issues"]
            found += [Seen(str(item["id"]), item["subject"], item["status"]["name"]) for item in items]
            if len(items) < 100:
                break
        return found

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        return asked(method, f"{self.url}/{path}", headers={"X-Redmine-API-Key": self.keys[1]}, body=body)


def start(port: int = 0) -> Redmine:
    """``with start() as desk:`` runs one; its data goes with it."""
    return Redmine(port)
