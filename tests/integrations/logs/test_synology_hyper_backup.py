"""What the fixtures of Hyper Backup do not show: other languages and outcomes, odd orders of lines, the API's list."""

from __future__ import annotations

import json

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog
from integrations.logs.synology_mail import printed_seconds, told_moment
from tests.growth import assert_grows_linearly

LABELS = {
    "en": "Backup Task: Daily\nStart Time: Thu, 20 Nov 2025 03:00:00\nDuration: 1 Minute\n",
    "de": "Datensicherungsaufgabe: Daily\nStart: Do, 20 Nov 2025 03:00:00\nDauer: 1 Minute\n",
    "fr": "Tâche de sauvegarde : Daily\nHeure de début : jeu., 20 nov. 2025 03:00:00\nDurée : 1 Minute\n",
    "es": "Tarea de copia de seguridad: Daily\nHora de inicio: jue, 20 Nov 2025 03:00:00\nDuración: 1 Minute\n",
}


def mail_run(lead: str, language: str) -> JobLog:
    body = f"{lead}\n\nHyper Backup\n\n{LABELS[language]}\nFrom nas01\n"
    reading = read(Delivery(stdout=body.encode(), timezone="UTC"))
    assert reading.format == "synology-hyper-backup"
    return reading.runs[0]


@pytest.mark.parametrize(
    ("language", "lead", "outcome"),
    [
        ("en", "Your data backup task on nas01 has finished successfully.", "success"),
        ("en", "Your data backup task on nas01 has been partially completed.", "warning"),
        ("en", "Your data backup task on nas01 has failed.", "failure"),
        ("en", "Your data backup task on nas01 could not be completed.", "failure"),
        ("en", "Your data backup task on nas01 has been cancelled.", "cancelled"),
        ("en", "Your data backup task on nas01 has started.", "running"),
        ("en", "Something happened to nas01.", "unknown"),
        ("de", "Die Datensicherung auf nas01 wurde erfolgreich abgeschlossen.", "success"),
        ("de", "Die Datensicherung auf nas01 wurde teilweise abgeschlossen.", "warning"),
        ("de", "Die Datensicherung auf nas01 konnte nicht abgeschlossen werden.", "failure"),
        ("de", "Die Datensicherung auf nas01 wurde abgebrochen.", "cancelled"),
        ("fr", "La sauvegarde des données sur nas01 est terminée.", "success"),
        ("fr", "La sauvegarde des données sur nas01 a échoué.", "failure"),
        ("fr", "La sauvegarde des données sur nas01 n\u2019a pas pu être effectuée.", "failure"),
        ("es", "La copia de seguridad de datos en nas01 se ha completado correctamente.", "success"),
        ("es", "Se ha producido un error en la copia de seguridad de datos en nas01.", "failure"),
    ],
)
def test_a_mail_is_read_by_the_words_of_its_sentence(language: str, lead: str, outcome: str) -> None:
    run = mail_run(lead, language)
    assert (run.outcome, run.source_job, run.host, run.duration_seconds) == (outcome, "Daily", "nas01", 60)
    assert run.started_at is not None
    assert run.started_at.isoformat() == "2025-11-20T03:00:00+00:00"


def test_a_mail_of_an_integrity_check_is_a_verification() -> None:
    run = mail_run("The backup integrity check on nas01 has finished successfully.", "en")
    assert (run.operation, run.checksum_ok, run.complete) == ("verify", True, None)


def log_runs(*lines: str) -> tuple[JobLog, ...]:
    return read(Delivery(stdout="\n".join(lines).encode(), timezone="Europe/Berlin")).runs


STARTED = "info\t2025/11/20 03:00:01\tSYSTEM:\t[Local][A] Backup task started."
FINISHED = "info\t2025/11/20 03:10:01\tSYSTEM:\t[Local][A] Backup task finished successfully."


@pytest.mark.parametrize(
    ("lines", "outcomes"),
    [
        ([STARTED], ["running"]),
        ([STARTED, FINISHED], ["success"]),
        ([STARTED, STARTED, FINISHED], ["unknown", "success"]),
        ([FINISHED], ["success"]),
        ([STARTED, "warning\t2025/11/20 03:05:01\tSYSTEM:\t[Local][A] Skipped a file.", FINISHED], ["warning"]),
        ([STARTED, "info\t2025/11/20 03:05:01\tadmin:\t[Local][A] Backup task was cancelled."], ["cancelled"]),
        (
            [STARTED, "warning\t2025/11/20 03:05:01\tSYSTEM:\t[Local][A] Backup task was partially completed."],
            ["warning"],
        ),
        (["err\t2025/11/20 03:05:01\tSYSTEM:\t[Local][A] Backup target is found broken."], ["failure"]),
    ],
)
def test_runs_of_a_log_end_as_their_last_line_says(lines: list[str], outcomes: list[str]) -> None:
    assert [run.outcome for run in log_runs(*lines)] == outcomes


def test_tasks_side_by_side_have_no_lines_of_their_own_and_others_do() -> None:
    other = STARTED.replace("[A]", "[B]")
    assert [run.lines for run in log_runs(STARTED, other, FINISHED)] == [None, None]
    assert [run.lines for run in log_runs(STARTED, FINISHED, other)] == [(1, 2), (3, 3)]


def test_the_api_list_comes_newest_first() -> None:
    rows = [
        {"event": "[Local][A] Backup task finished successfully.", "level": "info", "time": "2025/11/20 03:10:01"},
        {"event": "[Local][A] Backup task started.", "level": "info", "time": "2025/11/20 03:00:01"},
    ]
    for document in ({"log_list": rows}, {"data": {"log_list": rows}, "success": True}):
        reading = read(Delivery(stdout=json.dumps(document).encode(), timezone="UTC"))
        assert (reading.format, [run.outcome for run in reading.runs]) == ("synology-hyper-backup", ["success"])
        assert reading.runs[0].duration_seconds == 600


def test_a_log_without_runs_is_refused() -> None:
    body = b"info\t2025/11/20 09:00:00\tadmin:\tSetting of backup task [Offsite] was modified\n"
    assert read(Delivery(stdout=body)).error == "no line of this log tells of a run of a backup task"


@pytest.mark.parametrize(
    ("printed", "seconds"),
    [("2 Hour 15 Minute 21 Second", 8121), ("3 Stunden 1 Sekunde", 10801), ("1 Tag", 86400), ("5 x", None), ("", None)],
)
def test_durations(printed: str, seconds: float | None) -> None:
    assert printed_seconds(printed) == seconds


@pytest.mark.parametrize(
    "printed", ["", "Do, 31 Feb 2025 03:00:00", "99 Foo 2025 03:00:00", "Thu, 20 Nov 2025 25:00:00"]
)
def test_what_is_no_date_is_none(printed: str) -> None:
    assert told_moment(printed, None) is None


def test_a_log_of_many_runs_costs_no_more_than_its_length() -> None:
    one = "info\t2025/11/20 03:00:01\tSYSTEM:\t[Local][A{}] Backup task started.\n"

    def work(runs: int) -> None:
        body = "".join(one.format(at) for at in range(runs)).encode()
        assert len(read(Delivery(stdout=body)).runs) == runs

    assert_grows_linearly(work, small=500, large=10_000)


def test_a_mail_of_active_backup_is_another_products() -> None:
    body = "Active Backup for Business\nThe task has failed.\n\nBackup Task: T\nhttps://sy.to/nasbackup\n"
    assert read(Delivery(stdout=body.encode())).format == "synology-active-backup"
