"""Measures the way in: logs posted one by one and in batches, until the last is an incident or nothing to report.

The worker reads while the door still takes logs, as in production, so both share the cores. The limit beside it is
PostgreSQL's own COPY of exactly the rows that came of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.db import connection, transaction

from msp import pipeline
from msp.ingest.storing import Incoming, store
from tests.bench.estate import JOBS_EACH, Sender
from tests.bench.load import CONNECTIONS, Posted, make_request, post_all
from tests.bench.logs import STEP, Log, make_logs, turns_of

LINES = 500
BATCH_CONNECTIONS = 4
EMPTY_SECONDS = 180.0
ENVELOPE = {"envelope": True}


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


class Ingesting:
    """The measurements share the senders, and the hour of the next log: each job's runs follow each other in time."""

    def __init__(self, senders: Sequence[Sender], *, most_logs: int) -> None:
        self.senders = senders
        self.jobs = JOBS_EACH * len(senders)
        self._since = datetime.now(UTC) - (turns_of(most_logs, jobs=self.jobs) + 25) * STEP

    def warm_up(self, *, port: int) -> None:
        """One log of every job, so that the jobs are known and every process has done its work once; not measured."""
        requests = single_requests(self.next_logs(self.jobs))
        run_flow(requests, logs=self.jobs, port=port, seconds=EMPTY_SECONDS, connections=CONNECTIONS)

    def measure_single(self, number: int, *, port: int, seconds: float) -> Flow:
        requests = single_requests(self.next_logs(number))
        return run_flow(requests, logs=number, port=port, seconds=seconds, connections=CONNECTIONS)

    def measure_batches(self, number: int, *, port: int, seconds: float) -> Flow:
        requests = batch_requests(self.next_logs(number))
        return run_flow(requests, logs=number, port=port, seconds=seconds, connections=BATCH_CONNECTIONS)

    def count_statements(self, number: int) -> int:
        """How many statements carry a batch of ``number`` receipts of one tenant through the line."""
        own = [(one, log) for one, log in self.next_logs(number * len(self.senders)) if one is self.senders[0]]
        return statements_for(own)

    def next_logs(self, number: int) -> list[tuple[Sender, Log]]:
        """The senders in turn, the jobs of each in turn."""
        each = turns_of(number, jobs=len(self.senders))
        since, self._since = self._since, self._since + turns_of(each, jobs=JOBS_EACH) * STEP
        by_sender = [make_logs(each, jobs=JOBS_EACH, since=since, sender=one.key) for one in self.senders]
        turns = zip(*by_sender, strict=True)
        return list(islice(((one, log) for turn in turns for one, log in zip(self.senders, turn, strict=True)), number))


def single_requests(logs: Sequence[tuple[Sender, Log]]) -> list[bytes]:
    return [
        make_request(f"/api/v1/logs?job={log.job}&exit_code={log.exit_code}", key=sender.key, body=log.content.encode())
        for sender, log in logs
    ]


def batch_requests(logs: Sequence[tuple[Sender, Log]]) -> list[bytes]:
    """Requests of ``LINES`` envelopes, each of one sender."""
    lines: dict[Sender, list[bytes]] = {}
    for sender, log in logs:
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
            waiting = ask("SELECT count(*) FROM ingest_receiptqueue")
            raise RuntimeError(f"after {EMPTY_SECONDS:g} s {waiting:,} logs still wait")
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

    From bytes that lie ready, one COPY each, one commit.
    """
    number = count_receipts()
    return number / copy_seconds(("ingest_body", "ingest_receipt"))


def copy_seconds(tables: Sequence[str]) -> float:
    """How long PostgreSQL takes to copy all rows of these tables into others of the same columns and indexes."""
    rows = {table: read_out(table) for table in tables}
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
    return seconds


def read_out(table: str) -> bytes:
    with connection.cursor() as cursor, cursor.copy(f"COPY (SELECT * FROM {table}) TO STDOUT (FORMAT BINARY)") as copy:
        return b"".join(bytes(block) for block in copy)


# --- statements --------------------------------------------------------------------------------------------------


def statements_for(logs: Sequence[tuple[Sender, Log]]) -> int:
    """Store these logs of one tenant, process them in this process, and count. Raises RuntimeError."""
    now, sender = datetime.now(UTC), logs[0][0]
    incoming = [
        Incoming("batch", f"counted {log.job} {place} of {len(logs)}", log.envelope(), now, one.server_id, ENVELOPE)
        for place, (one, log) in enumerate(logs)
    ]
    store(sender.tenant_id, incoming, now=now)
    counted = 0

    def count(execute: Callable[..., Any], statement: Any, values: Any, many: bool, context: Any) -> Any:
        nonlocal counted
        counted += 1
        return execute(statement, values, many, context)

    with connection.execute_wrapper(count):
        processed = pipeline.process_batch(now=datetime.now(UTC))
    if processed != len(logs):
        raise RuntimeError(f"the batch held {processed} of {len(logs)} receipts")
    return counted
