"""What the fixtures of Windows Server Backup do not show: languages, failures, cut output, and events by number."""

from __future__ import annotations

import json

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery

HEAD = "wbadmin 1.0 - Backup command-line tool\n"


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("The backup operation successfully completed.\n", "success"),
        ("The backup operation completed with warnings.\n", "warning"),
        ("The backup operation stopped before completing.\n", "failure"),
        ("ERROR - The volume is not accessible.\n", "failure"),
        ("The backup of volume (C:) completed successfully.\n", "unknown"),
        ("Creating a backup of volume (C:), copied (40%).\n", "unknown"),
        ("Der Sicherungsvorgang ist fehlgeschlagen.\n", "failure"),
        ("L'opération de sauvegarde a échoué.\n", "failure"),
        ("La operación de copia de seguridad se completó correctamente.\n", "success"),
        ("The operation was cancelled by the user.\n", "cancelled"),
    ],
)
def test_sentences_that_end_a_run(text: str, outcome: str) -> None:
    reading = read(Delivery(stdout=(HEAD + text).encode(), command="wbadmin start backup -quiet"))
    assert (reading.format, reading.outcome) == ("windows-server-backup", outcome)


def test_an_exit_code_of_failure_outweighs_the_words() -> None:
    log = Delivery(stdout=(HEAD + "The backup operation successfully completed.\n").encode(), exit_code=-3)
    assert read(log).outcome == "failure"


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (4, "success"),
        (8, "cancelled"),
        (5, "failure"),
        (517, "failure"),
        (561, "failure"),
        (14, "unknown"),
        (999, "unknown"),
    ],
)
def test_events_by_number(number: int, outcome: str) -> None:
    row = {
        "Id": number,
        "ProviderName": "Microsoft-Windows-Backup",
        "MachineName": "dc1",
        "TimeCreated": "/Date(1767229200000)/",
    }
    run = read(Delivery(stdout=json.dumps(row).encode())).runs[0]
    assert (run.outcome, run.host) == (outcome, "dc1")
    xml = f"<Event><Provider Name='Microsoft-Windows-Backup'/><EventID>{number}</EventID><TimeCreated SystemTime='2026-01-01T01:00:00.5Z'/><Computer>dc1</Computer></Event>"  # noqa: E501
    assert read(Delivery(stdout=xml.encode())).runs[0].outcome == outcome
