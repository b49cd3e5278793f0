"""mysqldump beyond its fixtures: MySQL's own words, hidden exit codes, dumps that were cut off."""

from __future__ import annotations

import pytest

from integrations.logs import read
from integrations.logs.joblog import Delivery

PIPED = "mysqldump shop | gzip > /b/shop.sql.gz"


@pytest.mark.parametrize(
    ("log", "command", "code", "outcome", "code_told"),
    [
        ("", "mysqldump shop > /b/a.sql", 0, "success", None),
        ("", PIPED, 0, "unknown", None),
        ("", f"set -o pipefail; {PIPED}", 0, "success", None),
        ("", f"bash -c 'set -o pipefail; {PIPED}'", 0, "success", None),
        ("", PIPED, None, "unknown", None),
        ("", "mysqldump shop > /b/a.sql", 2, "failure", None),
        ("mysqldump: [Warning] Using a password can be insecure.", "mysqldump shop > a", 0, "success", None),
        ("mysqldump: Got error: 2002: Can't connect when trying to connect", PIPED, 0, "failure", "2002"),
        ("mysqldump: Error 2013: Lost connection when dumping table `orders` at row: 12", PIPED, 0, "failure", "2013"),
        ("mysqldump: Couldn't execute 'SHOW EVENTS': Access denied (1044)", PIPED, 0, "failure", "1044"),
        (
            "mysqldump: Error: 'Access denied; you need (at least one of) the PROCESS privilege(s) for this operation'"
            " when trying to dump tablespaces",
            "mysqldump shop > a", 0, "warning", None,
        ),
        ("sh: 1: mysqldump: not found", PIPED, 0, "failure", None),
    ],
)  # fmt: skip
def test_what_a_dump_tells(log: str, command: str, code: int | None, outcome: str, code_told: str | None) -> None:
    reading = read(Delivery(stdout=b"", stderr=log.encode() + b"\n", command=command, exit_code=code))
    assert (reading.format, reading.outcome) == ("mysqldump", outcome)
    if code_told:
        assert reading.runs[0].errors[0].code == code_told


def test_a_dump_without_its_last_line_was_cut_off() -> None:
    dump = b"-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)\n-- Host: a    Database: shop\nINSERT INTO `a`\n"
    cut = read(Delivery(stdout=dump, command="mysqldump shop", exit_code=None)).runs[0]
    assert (cut.outcome, cut.complete) == ("failure", False)
    whole = dump + b"-- Dump completed on 2026-11-22  3:04:05\n"
    run = read(Delivery(stdout=whole, command="mysqldump shop", timezone="Europe/Berlin")).runs[0]
    assert (run.outcome, run.product_version) == ("success", "8.0.36")
    assert run.ended_at is not None
    assert run.ended_at.isoformat() == "2026-11-22T02:04:05+00:00"


@pytest.mark.parametrize(
    ("listing", "size"),
    [
        ("-rw-r--r-- 1 root root 14123 Nov 22 21:18 /b/shop.sql.gz", 14123),
        ("-rw-r-----. 1 backup backup 14123 22. Nov 21:18 /b/shop.sql.gz", 14123),
        ("-rw-r----- 1 backup backup 14123 2026-11-22 21:18 /b/shop.sql.gz", 14123),
        ("-rw-r--r-- 1 root root 14K Nov 22 21:18 /b/shop.sql.gz", None),
        ("-rw-r--r-- 1 root root 14123 Nov 22 21:18 /b/yesterday.sql.gz", None),
    ],
)
def test_only_the_file_that_the_run_wrote_is_its_size(listing: str, size: int | None) -> None:
    command = f"set -o pipefail; {PIPED} && ls -l /b/"
    assert read(Delivery(stdout=listing.encode() + b"\n", command=command, exit_code=0)).runs[0].stored_bytes == size


def test_a_dump_that_another_tool_takes_is_that_tool_s() -> None:
    assert read(Delivery(stdout=b"", command="mysqldump shop | restic backup --stdin", exit_code=0)).format == "restic"
