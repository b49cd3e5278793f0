"""A real Request Tracker 5 from Debian's packages, on SQLite, with a queue, Backledger's user and a technician.

``make test-gateways`` installs it. The instance is the test's own: nothing of the packages' configuration is read.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from launch.desks import ALL_DESKS, REQUEST_TRACKER
from tests.desks.running import HOST, RealDesk, Seen, asked

OURS, TINA = "backledger", "Tina Tech"
#: What our user and the technician may do in the queue.
RIGHTS = (
    "SeeQueue ShowTicket CreateTicket ReplyToTicket CommentOnTicket ModifyTicket ShowTicketComments SeeCustomField "
    "ModifyCustomField SetInitialCustomField OwnTicket DeleteTicket"
)
SEED = r"""
use strict; use lib '/usr/share/request-tracker5/lib'; use RT -init;
my $system = RT->SystemUser;
my $queue = RT::Queue->new($system); $queue->Create(Name => 'Backups');
for my $name (@ARGV) {
    my $user = RT::User->new($system);
    $user->Create(Name => $name, Privileged => 1);
    $user->PrincipalObj->GrantRight(Right => $_, Object => $queue) for qw(RIGHTS);
    my $token = RT::AuthToken->new($system);
    my ($id, $said, $plain) = $token->Create(Owner => $user->Id, Description => 'test');
    print "token $plain\n";
}
my $field = RT::CustomField->new($system);
$field->Create(Name => 'ExternalKey', Type => 'FreeformSingle', LookupType => 'RT::Queue-RT::Ticket', MaxValues => 1);
$field->AddToObject($queue);
"""


class RequestTracker(RealDesk):
    name = "request-tracker"
    wrong_credentials = {"token": "1-31-wr0ng-token"}

    def installed(self) -> Path:
        if not os.environ.get(ALL_DESKS):
            pytest.skip("make test-gateways runs the real Request Tracker")
        if not REQUEST_TRACKER.exists():
            pytest.fail("Request Tracker is not installed")
        return Path(sys.executable)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def stored(self) -> dict[str, object]:
        return {"url": self.url, "token": self.tokens[0], "queue": "Backups"}

    def prepare(self) -> None:
        for name in ("mason", "sessions", "mail"):
            (self.folder / name).mkdir()
        settings = {
            "rtname": "desk.example", "Organization": "desk.example", "WebDomain": HOST, "WebPort": self.port,
            "WebPath": "", "WebBaseURL": self.url, "DatabaseType": "SQLite", "DatabaseName": self.folder / "rt.sqlite",
            "LogToSTDERR": "warning", "MasonDataDir": self.folder / "mason", "RestrictReferrer": 0,
            "MasonSessionDir": self.folder / "sessions", "WebSessionClass": "Apache::Session::File",
            "MailCommand": "testfile",
        }  # fmt: skip
        lines = [f"Set(${name}, '{value}');" for name, value in settings.items()]
        (self.folder / "site.pm").write_text("\n".join([*lines, "Set($LogToSyslog, undef);", "1;"]))
        setup = shutil.which("rt-setup-database-5") or "/usr/sbin/rt-setup-database-5"
        self.run(setup, "--action", "init", "--skip-create", "--dba", "", "--dba-password", "")
        (self.folder / "seed.pl").write_text(SEED.replace("RIGHTS", RIGHTS))
        said = self.run("perl", "seed.pl", OURS, TINA)
        self.tokens = [line.split()[1] for line in said.splitlines() if line.startswith("token ")]

    def environment(self) -> dict[str, str]:
        ours = {"RT_SITE_CONFIG": str(self.folder / "site.pm"), "RT_SITE_CONFIG_DIR": str(self.folder / "none")}
        return super().environment() | ours

    def command(self) -> list[str]:
        """One process, which ends at once when it is killed."""
        server = REQUEST_TRACKER / "libexec" / "rt-server"
        return [str(server), "--server", "Standalone", "--host", HOST, "--port", str(self.port)]

    def close_there(self, ticket_id: str) -> None:
        self._ask("PUT", f"ticket/{ticket_id}", {"Status": "resolved"})

    def say_there(self, ticket_id: str, text: str) -> None:
        self._ask("POST", f"ticket/{ticket_id}/comment", {"Content": text, "ContentType": "text/plain"})

    def assign_there(self, ticket_id: str) -> None:
        self._ask("PUT", f"ticket/{ticket_id}", {"Owner": TINA})

    def delete_there(self, ticket_id: str) -> None:
        self._ask("DELETE", f"ticket/{ticket_id}")

    def merge_there(self, ticket_id: str, *, into: str) -> None:
        self._ask("PUT", f"ticket/{ticket_id}", {"MergeInto": int(into)})

    def tickets(self) -> list[Seen]:
        found: list[Seen] = []
        for page in range(1, 100):
            query = f"tickets?query={quote('id > 0')}&fields=Subject,Status&per_page=100&page={page}"
            items = self._ask("GET", query)["items"]
            found += [Seen(str(item["id"]), item["Subject"], item["Status"]) for item in items]
            if len(items) < 100:
                break
        return found

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Authorization": f"token {self.tokens[1]}"}
        return asked(method, f"{self.url}/REST/2.0/{path}", headers=headers, body=body)


def start(port: int = 0) -> RequestTracker:
    """``with start() as desk:`` runs one; its data goes with it."""
    return RequestTracker(port)
