"""duplicity: what its fixtures do not show. Messages are those of its sources, translations, and of runs of 0.8.22."""

from __future__ import annotations

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery

FIGURES = (
    "StartTime 1795381906.16 (Sun Nov 22 21:11:46 2026)\nEndTime 1795381907.34 (Sun Nov 22 21:11:47 2026)\n"
    "ElapsedTime 1.18 (1.18 seconds)\nSourceFiles 3\nSourceFileSize 104099 (102 KB)\nNewFiles 3\nDeletedFiles 0\n"
    "ChangedFiles 0\nRawDeltaSize 100003 (97.7 KB)\nTotalDestinationSizeChange 100441 (98.1 KB)\nErrors 0\n"
)
HEADS = {
    "german": "Letzte vollständige Sicherung: Mon Nov 23 02:50:21 2026\n---------[ Sicherungsstatistiken ]---------\n",
    "french": "Date de la dernière sauvegarde complète : Mon Nov 23 02:50:21 2026\n",
    "spanish": "Fecha del último respaldo completo: Mon Nov 23 02:50:21 2026\n",
    "italian": "Data dell'ultimo backup completo: Mon Nov 23 02:50:21 2026\n",
    "log file": "NOTICE 1\n. Last full backup date: Mon Nov 23 02:50:21 2026\n\n",
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
def test_every_language_names_the_last_full_backup(head: str) -> None:
    run = read(Delivery(stdout=(head + FIGURES).encode(), timezone="UTC")).runs[0]
    assert (run.outcome, run.protected_bytes, run.transferred_bytes) == ("success", 104099, 100441)
    assert run.last_full_at is not None
    assert run.last_full_at.isoformat() == "2026-11-23T02:50:21+00:00"


def test_statistics_that_are_cut_off_are_no_success() -> None:
    log = "Last full backup date: none\n" + FIGURES.removesuffix("Errors 0\n")
    run = read(Delivery(stdout=log.encode(), exit_code=0)).runs[0]
    assert (run.outcome, run.protected_bytes) == ("unknown", None)


def test_a_run_that_wrote_nothing_at_all_may_have_been_a_dry_one() -> None:
    log = "Last full backup date: none\n" + FIGURES.replace("Change 100441 (98.1 KB)", "Change 0 (0 bytes)")
    assert read(Delivery(stdout=log.encode())).outcome == "unknown"
    command = "duplicity --dry-run /srv/data file:///srv/dup"
    assert read(Delivery(stdout=log.encode(), command=command, exit_code=0)).outcome == "skipped"


def test_each_call_of_a_script_is_a_run() -> None:
    log = (
        "Local and Remote metadata are synchronized, no sync needed.\nLast full backup date: none\n" + FIGURES + "\n"
        "Last full backup date: Sun Nov 22 21:11:46 2026\nNo old backup sets found, nothing deleted.\n"
    )
    runs = read(Delivery(stdout=log.encode(), exit_code=0)).runs
    assert [(run.operation, run.outcome) for run in runs] == [("backup", "success"), ("prune", "success")]
    assert runs[0].chain_length == 1


def test_a_verification_that_finds_differences_is_a_failure() -> None:
    log = b"Difference found: File a is missing\nVerify complete: 4 files compared, 1 difference found.\n"
    run = read(Delivery(stdout=log, exit_code=1)).runs[0]
    assert (run.operation, run.outcome, run.checksum_ok) == ("verify", "failure", False)
