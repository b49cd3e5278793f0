"""PostgreSQL's tools beyond their fixtures: other languages and releases, hidden exit codes."""

from __future__ import annotations

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery

PIPED = "pg_dump shop | gzip > /b/shop.gz"


@pytest.mark.parametrize(
    ("log", "command", "code", "outcome"),
    [
        ("", "pg_dump -f /b/a shop", 0, "success"),
        ("", PIPED, 0, "unknown"),
        ("", f"bash -c 'set -o pipefail; {PIPED}'", 0, "success"),
        ("", "pg_dump -f /b/a shop", None, "unknown"),
        ("pg_dump: erreur : la connexion au serveur a échoué", PIPED, 0, "failure"),
        ("pg_dump: erreur\u00a0: la connexion au serveur a échoué", PIPED, 0, "failure"),
        ("pg_dump: error: falló la conexión al servidor", PIPED, 0, "failure"),
        ("pg_dump: errore: connessione al server fallita", PIPED, 0, "failure"),
        ("pg_dump: エラー: 接続に失敗しました", PIPED, 0, "failure"),
        ('pg_dump: [archiver (db)] connection to database "shop" failed: FATAL:  no', PIPED, 0, "failure"),
        ("pg_dump: aborting because of server version mismatch", PIPED, 0, "failure"),
        ("pg_dump: Warnung: es gibt zirkuläre Fremdschlüssel-Constraints", "pg_dump -f /b/a shop", 0, "warning"),
        ("pg_dump: precaución: hay restricciones circulares", "pg_dump -f /b/a shop", 0, "warning"),
        ("pg_basebackup: base backup completed", "pg_basebackup -D /b | cat", 0, "success"),
        ("pg_basebackup: Basissicherung abgeschlossen", "pg_basebackup -D /b | cat", 0, "success"),
        ("pg_basebackup: syncing data to disk ...", "pg_basebackup -v -D /b | cat", 0, "unknown"),
    ],
)
def test_what_the_tools_tell(log: str, command: str, code: int | None, outcome: str) -> None:
    reading = read(Delivery(stdout=b"", stderr=log.encode() + b"\n", command=command, exit_code=code))
    assert (reading.format, reading.outcome) == ("pg_dump", outcome)


def test_a_plain_dump_without_its_last_line_was_cut_off() -> None:
    dump = b"--\n-- PostgreSQL database dump\n--\n\n-- Started on 2026-11-23 02:28:46 CET\nCREATE TABLE a ();\n"
    assert read(Delivery(stdout=dump, command="pg_dump -v shop")).outcome == "failure"
    whole = dump + b"-- Completed on 2026-11-23 02:28:47 CET\n\n--\n-- PostgreSQL database dump complete\n--\n"
    run = read(Delivery(stdout=whole, command="pg_dump -v shop", timezone="Europe/Berlin")).runs[0]
    assert run.outcome == "success"
    assert run.ended_at is not None
    assert run.ended_at.isoformat() == "2026-11-23T01:28:47+00:00"


def test_the_size_of_a_cluster_counts_only_when_all_of_it_was_sent() -> None:
    for percent, size in (("100", 1024 * 33133), ("99", None)):
        done = 33133 if percent == "100" else 33000
        log = f"{done}/33133 kB ({percent}%), 1/1 tablespace\npg_basebackup: base backup completed\n"
        run = read(Delivery(stdout=b"", stderr=log.encode(), command="pg_basebackup -P -D /b", exit_code=0)).runs[0]
        assert run.protected_bytes == size
