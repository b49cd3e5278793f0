"""From paths on a command line to deliveries: files, folders with the files of one run, standard input.

Called by the commands ``ingest`` and ``parse``; dropped files are judged here, too. A folder that holds the files of
one run (``stdout.log``, ``stderr.log``, ``payload.json`` or ``message.eml``) is one delivery; any other folder is
walked. What cannot be read is told with its reason, and the rest goes on. Nothing here needs Django.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from integrations.logs.delivery import BadEnvelope, from_envelope, from_raw
from integrations.logs.joblog import Delivery
from integrations.logs.report import delivery_from_files

RUN_FILES = frozenset({"stdout.log", "stderr.log", "payload.json", "message.eml"})
STDIN = "-"
CONTENT_TYPES = {".eml": "message/rfc822", ".json": "application/json"}


@dataclass(frozen=True)
class Said:
    """What the command line says about every delivery; "" and None where it says nothing."""

    job: str = ""
    host: str = ""
    format: str = ""
    timezone: str = ""
    exit_code: int | None = None

    def as_meta(self) -> dict[str, Any]:
        """The same as a receipt keeps it: only what was said."""
        return {name: value for name, value in vars(self).items() if value not in ("", None)}


@dataclass(frozen=True)
class Gathered:
    """One delivery as found. ``content`` and ``meta`` are what a receipt keeps of it; ``identity`` makes it one.

    ``error`` says why it cannot be used; then there is nothing else. ``identity`` is "" for standard input.
    """

    path: str
    delivery: Delivery | None = None
    content: bytes = b""
    meta: Mapping[str, Any] = field(default_factory=dict)
    identity: str = ""
    error: str = ""


def gather(paths: Iterable[str], *, said: Said, most: int, stdin: BinaryIO) -> Iterator[Gathered]:
    """Every delivery at these paths, one at a time; ``most`` is the largest that is taken, in bytes."""
    for path in paths:
        if path == STDIN:
            yield read_stream(stdin, said=said, most=most)
        else:
            yield from gather_path(Path(path), said=said, most=most)


def gather_path(path: Path, *, said: Said, most: int) -> Iterator[Gathered]:
    try:
        if not path.is_dir():
            yield read_file(path, said=said, most=most)
        elif RUN_FILES & {entry.name for entry in os.scandir(path) if entry.is_file()}:
            yield read_folder(path, said=said, most=most)
        else:
            for entry in sorted(path.iterdir()):
                if not entry.name.startswith(".") and not (entry.is_symlink() and entry.is_dir()):
                    yield from gather_path(entry, said=said, most=most)
    except OSError as error:
        yield Gathered(str(path), error=f"cannot be read: {error.strerror or type(error).__name__}.")


def read_stream(stream: BinaryIO, *, said: Said, most: int) -> Gathered:
    content = stream.read(most + 1)
    return judge_file(STDIN, content, said=said, most=most, content_type="", identity="")


def read_file(path: Path, *, said: Said, most: int) -> Gathered:
    """Raises OSError."""
    if not path.is_file():
        raise FileNotFoundError(2, "there is no such file" if not path.exists() else "it is no file")
    with path.open("rb") as opened:
        content, status = opened.read(most + 1), os.fstat(opened.fileno())
    identity = identify(path, size=status.st_size, modified=status.st_mtime_ns)
    kind = CONTENT_TYPES.get(path.suffix.lower(), "")
    return judge_file(str(path), content, said=said, most=most, content_type=kind, identity=identity)


def judge_file(path: str, content: bytes, *, said: Said, most: int, content_type: str, identity: str) -> Gathered:
    """A log as it is, or one of our envelopes."""
    if not content:
        return Gathered(path, error="is empty.")
    if len(content) > most:
        return Gathered(path, error=too_large(most))
    if content_type == "application/json":
        try:
            delivery = with_said(from_envelope(orjson.loads(content)), said)
        except (orjson.JSONDecodeError, BadEnvelope):
            pass
        else:
            return Gathered(path, delivery, content, {**said.as_meta(), "envelope": True}, identity)
    meta = {**said.as_meta(), **({"content_type": content_type} if content_type else {})}
    return Gathered(path, from_raw(content, **meta), content, meta, identity)


def read_folder(path: Path, *, said: Said, most: int) -> Gathered:
    """The files of one run, as they stand in a folder. Raises OSError."""
    files: dict[str, bytes] = {}
    size = newest = 0
    for entry in sorted(path.iterdir()):
        if entry.is_file():
            files[entry.name] = entry.read_bytes() if size <= most else b""
            size += entry.stat().st_size
            newest = max(newest, entry.stat().st_mtime_ns)
    if size > most:
        return Gathered(str(path), error=too_large(most))
    return judge_files(str(path), files, said=said, identity=identify(path, size=size, modified=newest))


def judge_files(path: str, files: Mapping[str, bytes], *, said: Said, identity: str) -> Gathered:
    """The files of one run (name to content) as one delivery, kept as an envelope."""
    delivery = delivery_from_files(files)
    envelope = as_envelope(delivery, timezone=told_zone(files))
    try:
        from_envelope(envelope)
    except BadEnvelope as error:
        return Gathered(path, error=f"cannot be kept as one delivery: {error}")
    meta = {**said.as_meta(), "envelope": True}
    return Gathered(path, with_said(delivery, said), orjson.dumps(envelope), meta, identity)


def as_envelope(delivery: Delivery, *, timezone: str) -> dict[str, Any]:
    """The delivery as our JSON envelope; ``timezone`` as it was told, known or not."""
    told: dict[str, Any] = {**stream("stdout", delivery.stdout), **stream("stderr", delivery.stderr)}
    for name in ("command", "exit_code", "host", "job", "content_type", "format", "run_id"):
        if getattr(delivery, name) not in ("", None):
            told[name] = getattr(delivery, name)
    for name in ("started_at", "ended_at"):
        if getattr(delivery, name) is not None:
            told[name] = getattr(delivery, name).isoformat()
    if timezone:
        told["timezone"] = timezone
    if delivery.attachments:
        told["attachments"] = [
            {"name": one.name, "content_type": one.content_type, **stream("content", one.content)}
            for one in delivery.attachments
        ]
    return told


def stream(name: str, content: bytes) -> dict[str, str]:
    """Bytes as text, or in base64 where they are not UTF-8."""
    try:
        return {name: content.decode("utf-8")}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(content).decode("ascii")}


def told_zone(files: Mapping[str, bytes]) -> str:
    match = re.search(rb"^# TZ=([!-~]{1,200})", files.get("command.txt", b""), re.M)
    return match.group(1).decode("ascii") if match else ""


def with_said(delivery: Delivery, said: Said) -> Delivery:
    """The delivery, and for what it leaves out what the command line says."""
    beside = from_raw(b"", timezone=said.timezone)
    told_zone = delivery.timezone is not None or bool(delivery.problems)
    return replace(
        delivery,
        job=delivery.job or said.job,
        host=delivery.host or said.host,
        format=delivery.format or said.format,
        exit_code=said.exit_code if delivery.exit_code is None else delivery.exit_code,
        timezone=delivery.timezone if told_zone else beside.timezone,
        problems=delivery.problems if told_zone else beside.problems,
    )


def identify(path: Path, *, size: int, modified: int) -> str:
    """A file is the same delivery as long as path, size and time of change are; times are in nanoseconds."""
    told = f"{path.resolve()}\0{size}\0{modified}".encode("utf-8", "surrogateescape")
    return f"file:{hashlib.sha256(told).hexdigest()}"


def too_large(most: int) -> str:
    return f"is larger than the {most:,} bytes that are accepted."
