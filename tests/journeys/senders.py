"""Clients with a backup server each, whose many restic jobs fail and succeed as the chaos journey says.

Batches are sent until the door has taken them, so that an answer that is lost brings the same logs twice.
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path

import requests

from tests.journeys.running_product import RunningProduct
from tests.world import World, make_client, make_server

RESTIC = Path(__file__).parents[1] / "fixtures" / "logs" / "restic" / "backup-disk-full-json"
STDOUT, STDERR = (RESTIC / "stdout.log").read_text(), (RESTIC / "stderr.log").read_text()
PATIENCE = 120.0

#: Numbers of client and job.
Job = tuple[int, int]


class Senders:
    """Jobs make themselves when their first log comes; their names and those of clients end with their numbers."""

    def __init__(self, world: World, product: RunningProduct, *, clients: int) -> None:
        self.product = product
        self.clients = [make_client(world.tenant, f"Client {number:02}") for number in range(clients)]
        self.keys = [
            make_server(world.tenant, f"server-{number:02}", client=client)[1]
            for number, client in enumerate(self.clients)
        ]

    def send(self, round_: int, jobs: set[Job], *, good: bool, ended_at: datetime) -> None:
        """One run of each of these jobs; one batch for each server."""
        for client, key in enumerate(self.keys):
            mine = sorted(job for owner, job in jobs if owner == client)
            lines = [json.dumps(envelope(job, round_, good=good, ended_at=ended_at)) for job in mine]
            if lines:
                self._insist("\n".join(lines).encode(), key=key)

    def _insist(self, body: bytes, *, key: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._is_taken(body, key=key):
            assert time.monotonic() < deadline, "the door took no logs for minutes"
            time.sleep(0.2)

    def _is_taken(self, body: bytes, *, key: str) -> bool:
        try:
            answer = self.product.post(body, key=key, path="/api/v1/logs/batch")
        except requests.RequestException:
            return False
        assert answer.status_code in (202, 429, 503), answer.text
        return answer.status_code == 202


def envelope(job: int, round_: int, *, good: bool, ended_at: datetime) -> dict[str, object]:
    summary = {
        "message_type": "summary", "files_new": 0, "files_changed": 1, "files_unmodified": 125, "dirs_new": 0,
        "dirs_changed": 1, "dirs_unmodified": 9, "data_blobs": 1, "tree_blobs": 2, "data_added": 5000,
        "total_files_processed": 126, "total_bytes_processed": 26343567, "total_duration": 1.5,
        "snapshot_id": f"{round_:02x}{job:06x}",
    }  # fmt: skip
    words = {"stdout": json.dumps(summary) + "\n"} if good else {"stdout": STDOUT, "stderr": STDERR}
    return {
        **words, "exit_code": 0 if good else 1, "job": f"job {job:02}", "run_id": f"{job}-{round_}",
        "ended_at": ended_at.isoformat(),
    }  # fmt: skip
