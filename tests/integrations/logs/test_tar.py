"""What the samples of tar do not show: silence, pipes, other languages, cut-off logs."""

from __future__ import annotations

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog


def run_of(stderr: str, *, command: str, code: int | None, stdout: str = "") -> JobLog:
    reading = read(Delivery(stdout=stdout.encode(), stderr=stderr.encode(), command=command, exit_code=code))
    assert reading.format == "tar", reading.error
    return reading.runs[0]


@pytest.mark.parametrize(
    ("command", "code", "outcome", "operation"),
    [
        ("tar -czf /b/x.tgz /srv", 0, "success", "backup"),
        ("tar czf /b/x.tgz /srv", 0, "success", "backup"),
        ("busybox tar -cf /b/x.tar /srv", 0, "success", "backup"),
        ("tar -cf - /srv | ssh nas 'cat > x.tar'", 0, "unknown", "backup"),
        ("set -o pipefail; tar -cf - /srv | ssh nas 'cat > x.tar'", 0, "success", "backup"),
        ("tar -czf /b/x.tgz /srv", None, "unknown", "backup"),
        ("tar -czf /b/x.tgz /srv", 137, "failure", "backup"),
        ("tar --extract --file=/b/x.tgz -C /out", 0, "success", "restore"),
        ("tar -tf /b/x.tgz", 0, "success", "inventory"),
    ],
)
def test_silence_counts_only_with_an_exit_code_of_its_own(
    command: str, code: int, outcome: str, operation: str
) -> None:
    run = run_of("", command=command, code=code)
    assert (run.outcome, run.operation, run.protected_bytes) == (outcome, operation, None)


@pytest.mark.parametrize(
    ("line", "path", "kind"),
    [
        ("tar: /srv/a: Funktion open fehlgeschlagen: Keine Berechtigung", "/srv/a", "unreadable"),
        ("tar: /srv/a : stat impossible: Aucun fichier ou dossier de ce type", "/srv/a", "vanished"),
        ("tar: /srv/a: No se puede efectuar open: Permiso denegado", "/srv/a", "unreadable"),
    ],
)
def test_complaints_in_other_languages(line: str, path: str, kind: str) -> None:
    run = run_of(line, command="tar -cf /b/x.tar /srv", code=2)
    assert (run.outcome, run.errors[0].path, run.errors[0].kind) == ("failure", path, kind)


@pytest.mark.parametrize(
    "line",
    [
        "tar: /srv/a: Datei hat sich beim Lesen geändert.",
        "tar: /srv/a : fichier modifié pendant sa lecture",
        "tar: /srv/a: el fichero cambió mientras se estaba leyendo",
        "tar: /srv/a: File removed before we read it",
    ],
)
def test_a_file_that_changed_is_a_warning(line: str) -> None:
    assert run_of(line, command="tar -cf /b/x.tar /srv", code=1).outcome == "warning"


def test_totals_without_an_exit_code_prove_no_end() -> None:
    log = "tar: Removing leading `/' from member names\nTotal bytes written: 5242880 (5.0MiB, ?/s)\n"
    run = run_of(log, command="tar --totals -cf /b/x.tar /srv", code=None)
    assert (run.outcome, run.protected_bytes, run.stored_bytes) == ("unknown", None, 5242880)


def test_only_a_full_archive_measures_the_selection() -> None:
    log = "Gesamtzahl geschriebener Bytes: 20480 (20KiB, 5,4MiB/s)\n"
    full = run_of(log, command="tar --totals -cf /b/x.tar /srv", code=0)
    part = run_of(log, command="tar --totals -g /b/snar -cf /b/x.tar /srv", code=0)
    assert (full.protected_bytes, full.basis) == (20480, "derived")
    assert (part.protected_bytes, part.basis, part.stored_bytes) == (None, None, 20480)
