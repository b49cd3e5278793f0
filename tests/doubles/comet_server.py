"""A Comet Server as its API definitions describe it: jobs by range of time, one job, and the version.

Jobs come in no order. A range holds what started or ended in it; both ends 0 ask for what has not ended.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from tests.doubles.http_server import Request, Response
from tests.doubles.pulled_server import PulledServer, form_of

USER, PASSWORD = "backledger", "c0met-pass-word"


class CometServer(PulledServer):
    """Holds ``jobs`` by GUID."""

    def __init__(self, *, clock: datetime) -> None:
        super().__init__(clock=clock)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.ranges: list[tuple[int, int]] = []

    def add(self, *, ended: datetime | None, started: datetime, status: int = 5000, **values: Any) -> str:
        """A job of one device and protected item; ``ended`` None while it runs (then the status is 6001)."""
        guid = str(uuid.uuid4())
        self.jobs[guid] = {
            "GUID": guid,
            "Username": "contoso",
            "Classification": 4001,
            "Status": status if ended else 6001,
            "StartTime": int(started.timestamp()),
            "EndTime": int(ended.timestamp()) if ended else 0,
            "SourceGUID": "5ad5c1c0-1d80-4f0e-9aa2-6ff0d0a5a001",
            "DestinationGUID": "9fd5c1c0-1d80-4f0e-9aa2-6ff0d0a5a002",
            "DeviceID": "d0d0d0d0",
            "SnapshotID": guid[:8],
            "ClientVersion": "24.5.0",
            "TotalDirectories": 12,
            "TotalFiles": 340,
            "TotalSize": 5_000_000_000,
            "TotalChunks": 0,
            "UploadSize": 12_000_000,
            "DownloadSize": 0,
            "TotalVmCount": 0,
            "Progress": {"Counter": 7, "SentTime": int(started.timestamp())} if not ended else {},
            **values,
        }
        return guid

    def end(self, guid: str, *, ended: datetime, status: int = 5000) -> None:
        self.jobs[guid] |= {"Status": status, "EndTime": int(ended.timestamp()), "Progress": {}}

    def answer(self, request: Request, path: str, query: dict[str, str]) -> Response:
        given = form_of(request)
        if request.method != "POST" or not path.startswith("/api/v1/admin/"):
            return Response(404, b"404 page not found")
        if (given.get("Username"), given.get("Password"), given.get("AuthType")) != (USER, PASSWORD, "Password"):
            return self.json({"Status": 403, "Message": "Invalid credentials"}, status=403)
        asked = path.removeprefix("/api/v1/admin/")
        if asked == "meta/version":
            return self.json({"Version": "24.9.3", "VersionCodename": "Voyager", "CurrentTime": 0})
        if asked == "get-jobs-for-date-range":
            return self._range(int(given["Start"]), int(given["End"]))
        if asked == "get-job-properties":
            job = self.jobs.get(given["JobID"])
            return self.json(job) if job else self.json({"Status": 404, "Message": "Not found"}, status=404)
        return Response(404, b"404 page not found")

    def _range(self, start: int, end: int) -> Response:
        self.ranges.append((start, end))
        if start == end == 0:
            return self.json([job for job in self.jobs.values() if not job["EndTime"]])
        first, last = sorted((start, end))
        found = [
            job
            for job in self.jobs.values()
            if job["EndTime"] and (first <= job["StartTime"] <= last or first <= job["EndTime"] <= last)
        ]
        return self.json(sorted(found, key=lambda job: job["GUID"]) or None)
