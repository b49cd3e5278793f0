"""Proxmox Backup Server's API as its sources describe it: version, the list of tasks, and a task's log.

The list holds running tasks first, then ended ones, the latest end first; ``start`` and ``limit`` page it, ``since``
leaves out what began before.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from tests.doubles.http_server import Request, Response
from tests.doubles.pulled_server import PulledServer

TOKEN, SECRET = "backledger@pbs!pull", "1c6b1f9a-5f5e-4e31-9d5e-6b1d5f0a7c11"


class PbsServer(PulledServer):
    """Holds ``tasks`` by UPID, and their lines."""

    def __init__(self, *, clock: datetime) -> None:
        super().__init__(clock=clock)
        self.tasks: dict[str, dict[str, Any]] = {}
        self.lines: dict[str, list[str]] = {}
        self.starts: list[int] = []

    def add(
        self, *, started: datetime, ended: datetime | None, worker: str = "backup", status: str = "OK", guest: str = ""
    ) -> str:
        """A task; ``ended`` None while it runs."""
        number = len(self.tasks) + 1
        named = guest or f"vm/{100 + number % 7}"
        escaped = f"store1\\x3a{named.replace('/', '-')}"
        begun = int(started.timestamp())
        upid = f"UPID:pbs1:{number:08X}:0001F0F0:{number:08X}:{begun:08X}:{worker}:{escaped}:backup@pbs!pve:"
        self.tasks[upid] = {
            "upid": upid, "node": "pbs1", "pid": number, "pstart": 127_216, "starttime": begun,
            "worker_type": worker, "worker_id": f"store1:{named}", "user": "backup@pbs!pve",
        }  # fmt: skip
        if ended:
            self.end(upid, ended=ended, status=status)
        return upid

    def end(self, upid: str, *, ended: datetime, status: str = "OK") -> None:
        task = self.tasks[upid]
        task |= {"endtime": int(ended.timestamp()), "status": status}
        named = task["worker_id"].partition(":")[2]
        begun = datetime.fromtimestamp(task["starttime"], UTC)
        snapshot = f"{named}/{begun:%Y-%m-%dT%H:%M:%SZ}"
        self.lines[upid] = [
            f"{begun:%Y-%m-%dT%H:%M:%S}+00:00: starting new backup on datastore 'store1' from ::ffff:10.0.0.5: "
            f'"{snapshot}"',
            f"{begun:%Y-%m-%dT%H:%M:%S}+00:00: Upload statistics for 'drive-scsi0.img.fidx'",
            f"{begun:%Y-%m-%dT%H:%M:%S}+00:00: Size: 34359738368",
            f"{begun:%Y-%m-%dT%H:%M:%S}+00:00: Upload size: 1073741824 (3%)",
            f"{ended:%Y-%m-%dT%H:%M:%S}+00:00: successfully finished backup",
            f"{ended:%Y-%m-%dT%H:%M:%S}+00:00: TASK {status}",
        ]

    def answer(self, request: Request, path: str, query: dict[str, str]) -> Response:
        if request.headers.get("authorization") != f"PBSAPIToken={TOKEN}:{SECRET}":
            return Response(401, b"authentication failed - invalid credentials", {"Content-Type": "text/plain"})
        parts = [unquote(part) for part in path.removeprefix("/api2/json/").split("/")]
        if parts == ["version"]:
            return self.json({"data": {"version": "3.4.1", "release": "1", "repoid": "abc"}})
        if parts == ["nodes", "localhost", "tasks"]:
            return self._list(query)
        if parts[:3] == ["nodes", "localhost", "tasks"] and parts[-1] == "log":
            return self._log(parts[3], query)
        return Response(404, b"Path not found.")

    def _list(self, query: dict[str, str]) -> Response:
        start, limit, since = (int(query.get(name, usual)) for name, usual in
                               (("start", "0"), ("limit", "50"), ("since", "0")))  # fmt: skip
        self.starts.append(start)
        running = [task for task in self.tasks.values() if "endtime" not in task]
        ended = sorted(
            (task for task in self.tasks.values() if "endtime" in task), key=lambda task: task["endtime"], reverse=True
        )
        shown = [task for task in (*running, *ended) if task["starttime"] >= since]
        return self.json({"data": shown[start : start + limit], "total": len(shown)})

    def _log(self, upid: str, query: dict[str, str]) -> Response:
        lines = self.lines.get(upid)
        if lines is None:
            return Response(400, b"unable to open file - no such file or directory")
        start, limit = int(query.get("start", "0")), int(query.get("limit", "50"))
        numbered = [{"n": number, "t": line} for number, line in enumerate(lines, 1) if number >= start]
        return self.json({"data": numbered[:limit], "total": len(lines), "success": 1})
