"""Measurements from delivery to page: real trees, replays, two tenants, and what is wrong with an inventory in words."""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from alerts.models import Incident
from alerts.evaluating import evaluate_jobs, load_job_facts
from msp.backups.models import JobState, SelectionDefinition, SelectionMeasurement
from msp.backups.selection_sizes import measure_upload, set_definition
from msp.estate.models import Selection
from msp.estate.spans import Actor
from msp.ingest.models import InboxItem, Receipt
from msp.ingest.storing import Incoming, store
from msp.pipeline import process_waiting
from tests.world import World, make_job

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
ACTOR = Actor(name="tech@northwind.example", now=NOW)
HEADER = {
    "backledger_inventory": 1, "roots": ["/srv"], "excludes": [], "taken_at": "2026-11-20T05:00:00+00:00",
    "missing_roots": [], "listed": True, "files": 3, "links": 0, "bytes": 600, "bytes_each": 700, "unreadable": 0,
}  # fmt: skip
LINES = b"100\t1:10:2\t/srv/a\n100\t1:10:2\t/srv/b\n500\t1:11:1\t/srv/c.tmp\n"


def inventory(lines: bytes = LINES, **values: Any) -> bytes:
    return json.dumps(HEADER | values).encode() + b"\n" + lines


def attached(content: bytes, *, zipped: bool = False) -> dict[str, str]:
    name = "selection.inventory.gz" if zipped else "selection.inventory"
    content = gzip.compress(content) if zipped else content
    return {"name": name, "content_base64": base64.b64encode(content).decode()}


def deliver(world: World, number: int, *attachments: dict[str, str], job: str = "files", **values: Any) -> None:
    told = {"stdout": "", "job": job, "attachments": list(attachments)} | values
    one = Incoming(
        door="http", delivery_id=f"d{number}", content=json.dumps(told).encode(), received_at=NOW,
        server_id=world.server.pk, meta={"envelope": True},
    )  # fmt: skip
    store(world.tenant.pk, [one], now=NOW)
    process_waiting(now=lambda: NOW)


def sizes(world: World) -> list[SelectionMeasurement]:
    return list(SelectionMeasurement.objects.of(world.tenant).order_by("measured_at", "id"))


def test_an_inventory_alone_measures_the_selection_of_the_job_it_names(world: World) -> None:
    deliver(world, 1, attached(inventory(), zipped=True))
    (size,) = sizes(world)
    assert (size.selection_id, size.source, size.form) == (world.job.selection_id, "wrapper", "wrapper")
    assert (size.bytes_once, size.bytes_each, size.files, size.whole) == (600, 700, 3, True)
    assert size.measured_at == datetime(2026, 11, 20, 5, tzinfo=UTC)
    assert Receipt.objects.of(world.tenant).get().state == "done"
    assert not InboxItem.objects.of(world.tenant).exists()
