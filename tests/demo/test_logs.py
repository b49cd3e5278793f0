"""Every log that the demonstration writes is read by the product's own parsers with the figures it was made of."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args

import pytest

from integrations.logs import Reading, read
from integrations.logs.delivery import from_envelope, from_raw
from msp.demo.logs import WRITERS, write_log
from msp.demo.logs.told import FAILURES, WARNINGS, Told, Trouble, envelope_of

NIGHT = Told(
    operation="backup",
    job="Fileserver nightly",
    host="fs01.acme.example",
    root="/srv/data",
    repository="/srv/backup/acme",
    zone="Europe/Berlin",
    seed="2026-10-24/acme/files",
    started_at=datetime(2026, 10, 24, 20, 0, 5, tzinfo=UTC),
    ended_at=datetime(2026, 10, 24, 20, 17, 41, tzinfo=UTC),
    protected_bytes=214_370_113_902,
    sent_bytes=1_903_221_771,
    stored_bytes=398_004_551_020,
    files=184_220,
)
CASES = [(product, operation) for product, writers in WRITERS.items() for operation in writers]
TROUBLES: tuple[Trouble, ...] = get_args(Trouble)


def read_written(product: str, told: Told) -> Reading:
    """As it would arrive: in the wrapper's envelope, or as the bytes alone. Duplicati runs on Windows."""
    if product == "duplicati":
        told = replace(told, root="D:\\Data")
    written = write_log(product, told)
    if written.wrapped:
        return read(from_envelope(json.loads(json.dumps(envelope_of(written, told)))))
    return read(from_raw(written.stdout))


@pytest.mark.parametrize("product,operation", CASES)
def test_a_good_run_is_read_as_it_was_meant(product: str, operation: str) -> None:
    told = replace(NIGHT, operation=operation)  # type: ignore[arg-type]
    written, reading = write_log(product, told), read_written(product, told)
    assert reading.error is None
    (run,) = reading.runs
    assert (run.operation, run.outcome, run.problems, run.errors) == (operation, "success", (), ())
    assert run.restored_bytes == written.restored_bytes
    if operation == "backup":
        assert (run.protected_bytes, run.transferred_bytes, run.stored_bytes) == (
            written.protected_bytes,
            written.transferred_bytes,
            written.stored_bytes,
        )
        assert run.complete is True
        assert run.protected_bytes == pytest.approx(NIGHT.protected_bytes, rel=1e-4)


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("product", WRITERS)
def test_every_trouble_is_read_as_what_it_is(product: str, trouble: Trouble) -> None:
    told = replace(NIGHT, trouble=trouble)
    written, reading = write_log(product, told), read_written(product, told)
    (run,) = reading.runs
    assert run.outcome == told.outcome == written.outcome
    assert bool(run.errors) is (trouble in FAILURES | WARNINGS)
    if trouble in FAILURES:
        assert run.protected_bytes in (None, 0)
        assert run.complete is not True
    else:
        assert run.protected_bytes == written.protected_bytes
        assert run.transferred_bytes == written.transferred_bytes
    if trouble == "nothing there":
        assert (run.protected_bytes, run.transferred_bytes) == (0, 0)


@pytest.mark.parametrize("product", ["restic", "borg", "borg-json", "rsync"])
def test_the_telling_lines_say_what_happened(product: str) -> None:
    words = {
        "disk full": "no space left",
        "unreadable file": "permission denied",
        "repository locked": "lock" if product != "rsync" else "read-only",
    }
    for trouble, expected in words.items():
        (run,) = read_written(product, replace(NIGHT, trouble=trouble)).runs  # type: ignore[arg-type]
        assert expected in " ".join(error.message for error in run.errors).lower()


@pytest.mark.parametrize("product", ["restic", "borg", "borg-json", "duplicati", "rsync"])
def test_vanished_files_are_known_as_such(product: str) -> None:
    """Duplicati sees files of others as locked: its systems do not let them vanish."""
    (run,) = read_written(product, replace(NIGHT, trouble="vanished files")).runs
    kinds = {error.kind for error in run.errors if error.path}
    assert kinds == ({"locked"} if product == "duplicati" else {"vanished"})


@pytest.mark.parametrize("product", ["restic", "borg", "borg-json", "duplicati", "own"])
def test_times_are_told_exactly(product: str) -> None:
    (run,) = read_written(product, NIGHT).runs
    assert (run.started_at, run.ended_at) == (NIGHT.started_at, NIGHT.ended_at)


@pytest.mark.parametrize("product", WRITERS)
def test_the_same_run_gives_the_same_bytes_and_another_seed_gives_others(product: str) -> None:
    assert write_log(product, NIGHT) == write_log(product, NIGHT)
    other = replace(NIGHT, seed="2026-10-25/acme/files")
    assert write_log(product, other) != write_log(product, NIGHT)
