"""The logs that are posted: what ``restic backup --json`` prints, about 2 kB each, no two alike.

Jobs take turns, and each turn is later than the one before it, as logs come in. One log in twenty is of a backup that
failed, so that incidents open and close under the load.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

STATUS_LINES = 9
FAILING = 20
#: Between two runs of a job.
STEP = timedelta(minutes=10)
FAILURE = (
    '{"message_type":"exit_error","code":1,"message":"Fatal: unable to save snapshot: write data/5e/5ee7868bac270b86'
    ': no space left on device"}\n'
)


@dataclass(frozen=True)
class Log:
    """One log of one job; ``exit_code`` is that of restic."""

    job: str
    content: str
    exit_code: int

    def envelope(self) -> bytes:
        """The same as a line of a batch."""
        return orjson.dumps({"stdout": self.content, "exit_code": self.exit_code, "job": self.job})


def turns_of(number: int, *, jobs: int) -> int:
    """How often each of these jobs runs, at most, when there are so many logs."""
    return -(-number // jobs)


def make_logs(number: int, *, jobs: int, since: datetime, sender: str) -> Iterator[Log]:
    """``number`` logs of ``jobs`` jobs in turn; the first turn ended at ``since``."""
    for index in range(number):
        turn, job = divmod(index, jobs)
        yield make_log(job, ended_at=since + turn * STEP, sender=sender, failed=(job + turn) % FAILING == 0)


def make_log(job: int, *, ended_at: datetime, sender: str, failed: bool) -> Log:
    """One backup of the sender's job with this number."""
    total_bytes = 20_000_000_000 + job * 1_000_000 + ended_at.hour
    mark = hashlib.sha256(f"{sender} {job} {ended_at.isoformat()}".encode()).hexdigest()
    lines = [status_line(step, total_bytes=total_bytes, mark=mark) for step in range(STATUS_LINES)]
    lines.append(FAILURE if failed else summary_line(total_bytes, ended_at=ended_at, mark=mark))
    return Log(job_name(job), "".join(lines), 1 if failed else 0)


def job_name(job: int) -> str:
    return f"files-{job:05d}"


def status_line(step: int, *, total_bytes: int, mark: str) -> str:
    done = step / STATUS_LINES
    return (
        f'{{"message_type":"status","percent_done":{done:.16f},"total_files":48213,"files_done":{int(48213 * done)},'
        f'"total_bytes":{total_bytes},"bytes_done":{int(total_bytes * done)},"current_files":'
        f'["/srv/data/accounts/{mark[step : step + 12]}.xlsx"]}}\n'
    )


def summary_line(total_bytes: int, *, ended_at: datetime, mark: str) -> str:
    summary = {
        "message_type": "summary",
        "files_new": 12,
        "files_changed": 31,
        "files_unmodified": 48170,
        "dirs_new": 0,
        "dirs_changed": 9,
        "dirs_unmodified": 3120,
        "data_blobs": 88,
        "tree_blobs": 10,
        "data_added": 41_209_331,
        "data_added_packed": 20_118_202,
        "total_files_processed": 48213,
        "total_bytes_processed": total_bytes,
        "total_duration": 312.25,
        "backup_start": (ended_at - timedelta(seconds=312)).isoformat(),
        "backup_end": ended_at.isoformat(),
        "snapshot_id": mark,
    }
    return orjson.dumps(summary).decode() + "\n"
