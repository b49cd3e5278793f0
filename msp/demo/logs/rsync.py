"""Logs as rsync 3.2 writes them with ``--stats``: figures with separators of thousands, errors on stderr, no times."""

from __future__ import annotations

from msp.demo.logs.told import Told, Written, share_of, some_paths

VERSION = "3.2.7"


def backup(told: Told) -> Written:
    """``rsync -a --delete --stats ROOT/ REPOSITORY/``."""
    command = f"rsync -a --delete --stats {told.root}/ {told.repository}/"
    if told.outcome == "failure":
        stderr, code = _failure(told)
        return Written(stdout=b"", stderr=stderr, exit_code=code, command=command, outcome="failure")
    nothing = told.trouble == "nothing there"
    protected, sent = (0, 0) if nothing else (told.protected_bytes, told.sent_bytes)
    stderr, code = _warnings(told)
    return Written(
        stdout=_stats(told, files=0 if nothing else told.files, protected=protected, sent=sent),
        stderr=stderr,
        exit_code=code,
        command=command,
        outcome=told.outcome,
        protected_bytes=protected,
        transferred_bytes=sent,
    )


def _stats(told: Told, *, files: int, protected: int, sent: int) -> bytes:
    new, changed = share_of(files, told.dice())
    folders = files // 11 + 1
    literal = sent * 97 // 100
    received = 35 * (new + changed) + 412
    speed = (sent + received) / max(told.seconds, 1)
    return (
        f"\nNumber of files: {files + folders:,} (reg: {files:,}, dir: {folders:,})\n"
        f"Number of created files: {new:,} (reg: {new:,})\n"
        f"Number of deleted files: {new // 5:,} (reg: {new // 5:,})\n"
        f"Number of regular files transferred: {new + changed:,}\n"
        f"Total file size: {protected:,} bytes\n"
        f"Total transferred file size: {literal:,} bytes\n"
        f"Literal data: {literal:,} bytes\n"
        "Matched data: 0 bytes\n"
        f"File list size: {files * 19:,}\n"
        "File list generation time: 0.412 seconds\n"
        "File list transfer time: 0.000 seconds\n"
        f"Total bytes sent: {sent:,}\n"
        f"Total bytes received: {received:,}\n"
        f"\nsent {sent:,} bytes  received {received:,} bytes  {speed:,.2f} bytes/sec\n"
        f"total size is {protected:,}  speedup is {protected / max(sent + received, 1):,.2f}\n"
    ).encode()


def _warnings(told: Told) -> tuple[bytes, int]:
    if told.trouble == "vanished files":
        lines = [f'file has vanished: "{path}"' for path in some_paths(told, 4)]
        return _text([*lines, _last("rsync warning: some files vanished before they could be transferred", 24)]), 24
    if told.trouble == "unreadable file":
        (path,) = some_paths(told, 1)
        denied = f'rsync: [sender] send_files failed to open "{path}": Permission denied (13)'
        last = _last("rsync error: some files/attrs were not transferred (see previous errors)", 23)
        return _text([denied, last]), 23
    return b"", 0


def _failure(told: Told) -> tuple[bytes, int]:
    if told.trouble == "offline":
        lines = [
            "ssh: connect to host vault.example port 22: Connection timed out",
            "rsync: connection unexpectedly closed (0 bytes received so far) [sender]",
            "rsync error: unexplained error (code 255) at io.c(231) [sender=3.2.7]",
        ]
        return _text(lines), 255
    if told.trouble == "repository locked":
        lines = [
            f'rsync: [Receiver] mkdir "{told.repository}" failed: Read-only file system (30)',
            "rsync error: error in file IO (code 11) at main.c(791) [Receiver=3.2.7]",
        ]
        return _text(lines), 11
    path = some_paths(told, 1)[0].replace(told.root, told.repository)
    lines = [
        f'rsync: [receiver] write failed on "{path}": No space left on device (28)',
        "rsync error: error in file IO (code 11) at receiver.c(378) [receiver=3.2.7]",
        "rsync: [sender] write error: Broken pipe (32)",
    ]
    return _text(lines), 11


def _last(words: str, code: int) -> str:
    return f"{words} (code {code}) at main.c(1338) [sender={VERSION}]"


def _text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
