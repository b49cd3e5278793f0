"""Logs as BorgBackup 1.4 writes them: statistics as text (rounded) or JSON (exact), check, prune, crash reports."""

from __future__ import annotations

import json
from datetime import datetime

from msp.demo.logs.told import Told, Written, hexadecimal, some_paths

RULE = "-" * 78
UNITS = ("B", "kB", "MB", "GB", "TB")


def backup_as_text(told: Told) -> Written:
    """``borg create --stats --show-rc``: everything on stderr; sizes with two decimals."""
    command = f"borg create --stats --show-rc {told.repository}::{{hostname}}-{{now}} {told.root}"
    if told.outcome == "failure":
        return _failed(told, command)
    sizes = _sizes(told)
    protected, sent, stored = (printed(size) for size in sizes)
    lines = [
        *_warnings(told),
        RULE,
        f"Repository: {told.repository}",
        f"Archive name: {_archive(told)}",
        f"Archive fingerprint: {hexadecimal(told.dice(), 64)}",
        f"Time (start): {told.local(told.started_at):%a, %Y-%m-%d %H:%M:%S}",
        f"Time (end):   {told.local(told.ended_at):%a, %Y-%m-%d %H:%M:%S}",
        f"Duration: {told.seconds // 60} minutes {told.seconds % 60}.20 seconds",
        f"Number of files: {told.files if sizes[0] else 0}",
        "Utilization of max. archive size: 0%",
        RULE,
        *_table("This archive", protected[0], printed(sizes[0] * 7 // 10)[0], sent[0]),
        _row("All archives", printed(sizes[0] * 14)[0], printed(sizes[0] * 10)[0], stored[0]),
        *_chunks(told),
        RULE,
        _ending(told),
    ]
    return _written(told, command, stderr=_text(lines), sizes=(protected[1], sent[1], stored[1]))


def backup_as_json(told: Told) -> Written:
    """``borg create --json``: the result on stdout, warnings on stderr; times local without an offset."""
    command = f"borg create --json --show-rc {told.repository}::{{hostname}}-{{now}} {told.root}"
    if told.outcome == "failure":
        return _failed(told, command)
    protected, sent, stored = _sizes(told)
    dice = told.dice()
    identity, repository_id = hexadecimal(dice, 64), hexadecimal(dice, 64)
    document = {
        "archive": {
            "command_line": ["/usr/bin/borg", *command.split()[1:]],
            "duration": told.seconds + 0.2,
            "end": _local(told, told.ended_at),
            "id": identity,
            "limits": {"max_archive_size": 2.6e-05},
            "name": _archive(told),
            "start": _local(told, told.started_at),
            "stats": {
                "compressed_size": protected * 7 // 10,
                "deduplicated_size": sent,
                "nfiles": told.files if protected else 0,
                "original_size": protected,
            },
        },
        "cache": {
            "path": f"/root/.cache/borg/{repository_id}",
            "stats": {
                "total_chunks": told.files * 19,
                "total_csize": protected * 10,
                "total_size": protected * 14,
                "total_unique_chunks": told.files * 3 // 2,
                "unique_csize": stored,
                "unique_size": stored * 10 // 7,
            },
        },
        "encryption": {"mode": "repokey-blake2"},
        "repository": {
            "id": repository_id,
            "last_modified": _local(told, told.ended_at),
            "location": told.repository,
        },
    }
    stdout = json.dumps(document, indent=4).encode() + b"\n"
    stderr = _text([*_warnings(told), _ending(told)])
    return _written(told, command, stdout=stdout, stderr=stderr, sizes=(protected, sent, stored))


def check(told: Told) -> Written:
    """``borg check -v``."""
    lines = [
        "Starting repository check",
        f"finished segment check at segment {told.stored_bytes // (500 * 10**6) + 1}",
        "Starting repository index check",
        "Index object count match.",
        "Finished full repository check, no problems found.",
        "Starting archive consistency check...",
        f"Analyzing archive {_archive(told)} (1/1)",
        "Archive consistency check complete, no problems found.",
        "terminating with success status, rc 0",
    ]
    command = f"borg check -v --show-rc {told.repository}"
    return Written(stdout=b"", stderr=_text(lines), exit_code=0, command=command, outcome="success")


def prune(told: Told) -> Written:
    """``borg prune --stats --list``."""
    stored = printed(told.stored_bytes)
    when = f"{told.local(told.started_at):%a, %Y-%m-%d %H:%M:%S} [{hexadecimal(told.dice(), 64)}]"
    gone = [f"-{printed(size)[0]}" for size in (told.protected_bytes, _compressed(told), told.sent_bytes * 3)]
    lines = [
        f"Keeping archive (rule: daily #1):       {_archive(told)}     {when}",
        RULE,
        *_table("Deleted data", *gone),
        _row("All archives", printed(told.protected_bytes * 14)[0], printed(_compressed(told) * 14)[0], stored[0]),
        *_chunks(told),
        RULE,
        "terminating with success status, rc 0",
    ]
    command = f"borg prune --stats --list --show-rc --keep-daily 14 --keep-monthly 12 {told.repository}"
    return Written(
        stdout=b"", stderr=_text(lines), exit_code=0, command=command, outcome="success", stored_bytes=stored[1]
    )


def _table(name: str, *sizes: str) -> list[str]:
    return ["                       Original size      Compressed size    Deduplicated size", _row(name, *sizes)]


def _row(name: str, original: str, compressed: str, deduplicated: str) -> str:
    return f"{name}:{original:>23}{compressed:>21}{deduplicated:>21}"


def _chunks(told: Told) -> list[str]:
    heading = "                       Unique chunks         Total chunks"
    return ["", heading, f"Chunk index:{told.files * 3 // 2:>24}{told.files * 19:>21}"]


def _compressed(told: Told) -> int:
    return told.protected_bytes * 7 // 10


def printed(size: int) -> tuple[str, int]:
    """A size as Borg prints it (two decimals from kB on), and the bytes that stand in the printed figure."""
    power = 0
    while size >= 1000 ** (power + 1) and power < len(UNITS) - 1:
        power += 1
    if power == 0:
        return f"{size} B", size
    hundredths = (size * 100 + 1000**power // 2) // 1000**power
    return f"{hundredths // 100}.{hundredths % 100:02d} {UNITS[power]}", hundredths * 1000**power // 100


def _sizes(told: Told) -> tuple[int, int, int]:
    """Protected, sent and stored."""
    if told.trouble == "nothing there":
        return 0, 0, told.stored_bytes
    return told.protected_bytes, told.sent_bytes, told.stored_bytes


def _written(told: Told, command: str, *, stderr: bytes, sizes: tuple[int, int, int], stdout: bytes = b"") -> Written:
    return Written(
        stdout=stdout,
        stderr=stderr,
        exit_code=1 if told.outcome == "warning" else 0,
        command=command,
        outcome=told.outcome,
        protected_bytes=sizes[0],
        transferred_bytes=sizes[1],
        stored_bytes=sizes[2],
    )


def _warnings(told: Told) -> list[str]:
    if told.trouble == "unreadable file":
        return [f"{path}: open: [Errno 13] Permission denied: '{_name(path)}'" for path in some_paths(told, 1)]
    if told.trouble == "vanished files":
        return [f"{path}: stat: [Errno 2] No such file or directory: '{_name(path)}'" for path in some_paths(told, 3)]
    return []


def _failed(told: Told, command: str) -> Written:
    if told.trouble == "repository locked":
        lines = [f"Failed to create/acquire the lock {told.repository}/lock.exclusive (timeout)."]
    elif told.trouble == "offline":
        lines = [
            "Remote: ssh: connect to host vault.example port 22: Connection timed out",
            "Connection closed by remote host. Is borg working on the server?",
        ]
    else:
        lines = _crash(told, command)
    stderr = _text([*lines, "terminating with error status, rc 2"])
    return Written(stdout=b"", stderr=stderr, exit_code=2, command=command, outcome="failure")


def _crash(told: Told, command: str) -> list[str]:
    """Borg has no words of its own for a full disk: it ends with Python's."""
    return [
        "Local Exception",
        "Traceback (most recent call last):",
        '  File "/usr/lib/python3/dist-packages/borg/archiver.py", line 5391, in main',
        "    exit_code = archiver.run(args)",
        '  File "/usr/lib/python3/dist-packages/borg/repository.py", line 1468, in close_segment',
        "    fd.close()",
        "OSError: [Errno 28] No space left on device",
        "",
        f"Platform: Linux {told.host} 6.1.0-28-amd64 #1 SMP PREEMPT_DYNAMIC x86_64",
        "Borg: 1.4.0  Python: CPython 3.11.2 msgpack: 1.0.3 fuse: None [pyfuse3,llfuse]",
        f"PID: {told.dice().randint(900, 32000)}  CWD: /root",
        f"sys.argv: {['/usr/bin/borg', *command.split()[1:]]!r}",
        "SSH_ORIGINAL_COMMAND: None",
        "",
    ]


def _ending(told: Told) -> str:
    return f"terminating with {'warning status, rc 1' if told.outcome == 'warning' else 'success status, rc 0'}"


def _archive(told: Told) -> str:
    return f"{told.host.split('.')[0]}-{told.local(told.started_at):%Y-%m-%dT%H:%M:%S}"


def _local(told: Told, moment: datetime) -> str:
    return f"{told.local(moment):%Y-%m-%dT%H:%M:%S}.000000"


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
