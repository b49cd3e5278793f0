"""Cards of incidents for the tests of letters and templates."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from alerts.words.cards import Card

BASE = "https://backledger.msp.example"

PLAIN = Card(
    kind="errors",
    severity="critical",
    is_open=True,
    summary="The backup failed 3 times in a row.",
    since=datetime(2026, 3, 3, 21, 0, tzinfo=UTC),
    lines=("ERROR: disk full", "exit code 1"),
    close_reason="",
    client="Acme Dental",
    server="srv1",
    job="nightly",
    machine="DC01",
    last_good_at=datetime(2026, 3, 1, 21, 0, tzinfo=UTC),
    uid="5f0c8a52-0000-4000-8000-000000000001",
    zone="Europe/Berlin",
    product="veeam",
)


def card(**values: Any) -> Card:
    return replace(PLAIN, **values)
