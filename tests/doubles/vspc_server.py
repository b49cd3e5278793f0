"""Veeam Service Provider Console's REST API v3 as its schema describes it: a token, and collections in pages.

A page is ``data`` with ``meta.pagingInfo``; a refusal is a list of ``errors``. Tokens may be ended at will.
"""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime, timedelta
from typing import Any

from tests.doubles.http_server import Request, Response
from tests.doubles.pulled_server import PulledServer, form_of

USER, PASSWORD, API_KEY = r"VSPC\backledger", "vspc-pass-word", "eyJhbGciOiJIUzI1NiJ9.key"
COMPANY, SERVER, AGENT = (
    "d3a0c1f2-0000-4000-8000-000000000001", "d3a0c1f2-0000-4000-8000-000000000002",
    "d3a0c1f2-0000-4000-8000-000000000003",
)  # fmt: skip


class VspcServer(PulledServer):
    """Holds ``jobs`` of the one backup server and of the one agent, by UID."""

    def __init__(self, *, clock: datetime) -> None:
        super().__init__(clock=clock)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.agent_jobs: dict[str, dict[str, Any]] = {}
        self.logins = 0
        self._tokens: set[str] = set()

    def add(self, *, started: datetime, ended: datetime | None, status: str = "Success", **values: Any) -> str:
        """A job with its last session; ``ended`` None while that goes on."""
        uid = str(uuid.uuid4())
        self.jobs[uid] = {
            "instanceUid": uid, "name": f"Servers to cloud {len(self.jobs) + 1}", "backupServerUid": SERVER,
            "organizationUid": COMPANY, "mappedOrganizationUid": None, "type": "BackupVm", "lastRun": told(started),
            "lastEndTime": None, "lastDuration": None, "processingRate": 17.0, "avgDuration": 328,
            "transferredData": 1_102_053_376, "backupChainSize": 40_000_000_000, "bottleneck": "Source",
            "isEnabled": True, "scheduleType": "Periodically", "failureMessage": None, "destination": "Cloud 1",
            "status": "Running",
            "lastSessionTasks": [{"instanceUid": uid[::-1], "objectName": "dc01", "transferredDataSize": 1_102_053_376,
                                  "status": "Success", "failureMessages": []}],
            **values,
        }  # fmt: skip
        if ended:
            self.end(uid, ended=ended, status=status)
        return uid

    def end(self, uid: str, *, ended: datetime, status: str = "Success") -> None:
        self.jobs[uid] |= {"lastEndTime": told(ended), "status": status}

    def add_agent_job(self, *, ended: datetime, **values: Any) -> str:
        uid = str(uuid.uuid4())
        self.agent_jobs[uid] = {
            "instanceUid": uid, "backupAgentUid": AGENT, "organizationUid": COMPANY, "name": "Daily workstation",
            "systemType": "Windows", "status": "Success", "lastRun": told(ended - timedelta(minutes=9)),
            "lastEndTime": told(ended), "lastDuration": 540, "nextRun": None, "isEnabled": True, **values,
        }  # fmt: skip
        return uid

    def end_sessions(self) -> None:
        self._tokens.clear()

    def answer(self, request: Request, path: str, query: dict[str, str]) -> Response:
        if path == "/api/v3/token":
            return self._token(form_of(request))
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if given != API_KEY and given not in self._tokens:
            return self.json({"errors": [{"message": "Unauthorized", "type": "unauthorized", "code": 401}]}, status=401)
        rows = {
            "/api/v3/infrastructure/backupServers/jobs": list(self.jobs.values()),
            "/api/v3/infrastructure/backupAgents/jobs": list(self.agent_jobs.values()),
            "/api/v3/infrastructure/backupServers": [{"instanceUid": SERVER, "name": "vbr01.contoso.local"}],
            "/api/v3/infrastructure/backupAgents": [{"instanceUid": AGENT, "name": "WS-ANNA"}],
            "/api/v3/organizations": [{"instanceUid": COMPANY, "name": "Contoso", "type": "Company"}],
        }.get(path)
        if rows is None:
            return self.json({"errors": [{"message": "Not found", "type": "notFound", "code": 404}]}, status=404)
        limit, offset = min(500, int(query.get("limit", "100"))), int(query.get("offset", "0"))
        page = rows[offset : offset + limit]
        paging = {"total": len(rows), "count": len(page), "offset": offset}
        return self.json({"meta": {"pagingInfo": paging}, "data": page})

    def _token(self, form: dict[str, str]) -> Response:
        self.logins += 1
        if (form.get("grant_type"), form.get("username"), form.get("password")) != ("password", USER, PASSWORD):
            return self.json({"error": "invalid_grant", "error_description": "Wrong name or password"}, status=400)
        token = f"at.{secrets.token_hex(20)}"
        self._tokens.add(token)
        return self.json({"access_token": token, "token_type": "bearer", "expires_in": 3600, "refresh_token": "rt"})


def told(at: datetime) -> str:
    """A time as the console prints it: seven decimals and an offset."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.0000000+00:00"
