"""Measures the way in: logs posted one by one and in batches, until the last is an incident or nothing to report.

The worker reads while the door still takes logs, as in production, so both share the cores. The limit beside it is
PostgreSQL's own COPY of exactly the rows that came of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from django.db import connection, transaction

from msp import pipeline
from msp.ingest.storing import Incoming, store
from tests.bench.estate import JOBS_EACH, Sender
from tests.bench.load import CONNECTIONS, Posted, make_request, post_all
from tests.bench.logs import Log, make_logs

LINES = 500
BATCH_CONNECTIONS = 4
EMPTY_SECONDS = 180.0


@dataclass(frozen=True)
class Flow:
    """``logs`` went in; ``posted`` tells how the door answered; after ``seconds`` in all the last one was processed."""

    logs: int
    posted: Posted
    seconds: float

    @property
    def accepted_per_second(self) -> float:
        return self.logs / self.posted.seconds

    @property
    def processed_per_second(self) -> float:
        return self.logs / self.seconds


def warm_up(senders: Sequence[Sender], *, port: int) -> None:
    """One log of every job, so that the jobs are known and every process has done its work once; not measured."""
    requests = single_requests(senders, number=JOBS_EACH * len(senders), series="first")
    run_flow(requests, logs=len(requests), port=port, seconds=EMPTY_SECONDS, connections=CONNECTIONS)


def measure_single(senders: Sequence[Sender], *, number: int, port: int, seconds: float) -> Flow:
    requests = single_requests(senders, number=number, series="single")
    return run_flow(requests, logs=number, port=port, seconds=seconds, connections=CONNECTIONS)


def measure_batches(senders: Sequence[Sender], *, number: int, port: int, seconds: float) -> Flow:
    requests = batch_requests(senders, number=number, series="batch")
    return run_flow(requests, logs=number, port=port, seconds=seconds, connections=BATCH_CONNECTIONS)


def logs_of(senders: Sequence[Sender], *, number: int, series: str) -> list[tuple[Sender, Log]]:
    """``number`` logs, the senders in turn; each job's last run ended a short while ago."""
    each = -(-number // len(senders))
    first_end = datetime.now(UTC) - timedelta(hours=each // JOBS_EACH + 1)
    by_sender = [make_logs(each, jobs=JOBS_EACH, first_end=first_end, series=f"{series} {one.key}") for one in senders]
    in_turn = (
        (sender, log) for turn in zip(*by_sender, strict=True) for sender, log in zip(senders, turn, strict=True)
    )
    return list(islice(in_turn, number))


def single_requests(senders: Sequence[Sender], *, number: int, series: str) -> list[bytes]:
    return [
        make_request(f"/api/v1/logs?job={log.job}&exit_code={log.exit_code}", key=sender.key, body=log.content.encode())
        for sender, log in logs_of(senders, number=number, series=series)
    ]


def batch_requests(senders: Sequence[Sender], *, number: int, series: str) -> list[bytes]:
    """Requests of ``LINES`` envelopes, each of one sender."""
    lines: dict[Sender, list[bytes]] = {}
    for sender, log in logs_of(senders, number=number, series=series):
        lines.setdefault(sender, []).append(log.envelope())
    return [
        make_request("/api/v1/logs/batch", key=sender.key, body=b"\n".join(part), content_type="application/x-ndjson")
        for sender, own in lines.items()
        for part in (own[at : at + LINES] for at in range(0, len(own), LINES))
    ]


def run_flow(requests: Sequence[bytes], *, logs: int, port: int, seconds: float, connections: int) -> Flow:
    """Post, then wait until nothing is left to process. Raises RuntimeError when logs were refused or stay."""
    already = count_receipts()
    begin = time.perf_counter()
    posted = post_all(requests, port=port, seconds=seconds, connections=connections)
    wait_until_processed()
    taken = time.perf_counter() - begin
    stored = count_receipts() - already
    expected = logs * posted.number // len(requests)
    if set(posted.statuses) != {202} or stored != expected:
        raise RuntimeError(f"answers {dict(posted.statuses)}, {stored:,} of {expected:,} logs stored")
    return Flow(stored, posted, taken)


def wait_until_processed() -> None:
    deadline = time.monotonic() + EMPTY_SECONDS
    while ask("SELECT EXISTS (SELECT FROM ingest_receiptqueue)"):
        if time.monotonic() > deadline:
            raise RuntimeError(
                f"after {EMPTY_SECONDS:g} s {ask('SELECT count(*) FROM ingest_receiptqueue'):,} logs wait"
            )
        time.sleep(0.05)


def count_receipts() -> int:
    return int(ask("SELECT count(*) FROM ingest_receipt"))


def ask(question: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]


# --- the limit ---------------------------------------------------------------------------------------------------


def copy_rate() -> float:
    """Receipts a second when PostgreSQL itself copies all stored rows of Receipt, with their bodies, once more.

    Into tables of the same columns and indexes, from bytes that lie ready, one COPY each, one commit.
    """
    rows = {table: read_out(table) for table in ("ingest_body", "ingest_receipt")}
    number = count_receipts()
    with transaction.atomic(), connection.cursor() as cursor:
        for table in rows:
            cursor.execute(f"CREATE TABLE again_{table} (LIKE {table} INCLUDING DEFAULTS INCLUDING INDEXES)")
    begin = time.perf_counter()
    with transaction.atomic(), connection.cursor() as cursor:
        for table, content in rows.items():
            with cursor.copy(f"COPY again_{table} FROM STDIN (FORMAT BINARY)") as copy:
                copy.write(content)
    seconds = time.perf_counter() - begin
    with connection.cursor() as cursor:
        for table in rows:
            cursor.execute(f"DROP TABLE again_{table}")
    return number / seconds


def read_out(table: str) -> bytes:
    with connection.cursor() as cursor, cursor.copy(f"COPY (SELECT * FROM {table}) TO STDOUT (FORMAT BINARY)") as copy:
        return b"".join(bytes(block) for block in copy)


# --- statements --------------------------------------------------------------------------------------------------


def statements_for(sender: Sender, *, number: int) -> int:
    """How many statements carry a batch of ``number`` receipts from the queue to incidents; their jobs are known."""
    now, series = datetime.now(UTC), f"counted {number}"
    logs = make_logs(number, jobs=JOBS_EACH, first_end=now - timedelta(hours=number // JOBS_EACH + 1), series=series)
    incoming = [
        Incoming("batch", f"{series} {place}", log.envelope(), now, sender.server_id, {"envelope": True})
        for place, log in enumerate(logs)
    ]
    store(sender.tenant_id, incoming, now=now)
    counted = 0

    def count(execute: Callable[..., Any], statement: Any, values: Any, many: bool, context: Any) -> Any:
        nonlocal counted
        counted += 1
        return execute(statement, values, many, context)

    with connection.execute_wrapper(count):
        processed = pipeline.process_batch(now=datetime.now(UTC))
    if processed != number:
        raise RuntimeError(f"the batch held {processed} of {number} receipts")
    return counted
