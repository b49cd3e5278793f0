"""Takes logs that are dropped as files: one folder for each backup server, looked at again and again.

Called by ``watch_folder``. Below the drop folder stand ``<tenant>/<anything><uid of the server>``; no name that a
sender chooses ever leads to another place: every step is opened below its own folder and follows no link. A file is
taken once it is the same in two looks, stored, and only then moved to ``done``; the same file is the same delivery.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath

from django.db import DataError

from integrations.logs.bytes_to_text import clean
from msp.estate.models import BackupServer
from msp.ingest.gathering import CONTENT_TYPES, RUN_FILES, Gathered, Said, judge_file, judge_files, too_large
from msp.ingest.storing import Incoming, store
from msp.tenants.models import Tenant

DOOR = "folder"
DONE, FAILED = "done", "failed"
#: What programs call a file while they write it.
UNFINISHED = (".part", ".tmp", ".filepart", ".partial", ".crdownload", ".swp", "~")
DEEPEST = 8
#: Files of one run; and how much is stored together.
MOST_FILES, TOGETHER, TOGETHER_BYTES = 200, 200, 16 * 1024 * 1024
NAME_ENDS_WITH_UID = re.compile(r"([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})\Z")

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
#: Never waits for a pipe, never follows a link.
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK

#: Of every file: its place below its top (empty for the file itself), size in bytes, time of change in nanoseconds.
Print = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class ServerFolder:
    """Where the logs of one server are dropped."""

    path: Path
    server: BackupServer


@dataclass(frozen=True)
class Seen:
    """A file, or the folder of one run, below a server's folder; ``error`` says why it will never be taken."""

    folder: ServerFolder
    place: PurePosixPath
    print: Print = ()
    is_run: bool = False
    error: str = ""

    @property
    def key(self) -> str:
        return f"{self.folder.server.pk}/{self.place}"

    @property
    def identity(self) -> str:
        """The same as long as path, sizes and times of change are; the drop folder itself may move."""
        told = repr((str(self.place), self.print)).encode("utf-8", "surrogateescape")
        return f"{self.folder.server.pk}:file:{hashlib.sha256(told).hexdigest()}"


@dataclass
class Taken:
    """What one look did: how many were stored, what was refused and why, what could not be looked at."""

    stored: int = 0
    refused: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    removed_days: int = 0


class Watch:
    """Remembers the last look, since only what did not change is taken. ``most``: largest delivery, in bytes."""

    def __init__(self, root: Path, *, most: int, keep: timedelta) -> None:
        self._root = root
        self._most = most
        self._keep = keep
        self._last: dict[str, tuple[Print, str]] = {}

    def look(self, *, now: datetime) -> Taken:
        """Take what is as it was at the last look. Raises what the database raises; the files then stay."""
        taken = Taken()
        before, self._last = self._last, {}
        for folder in server_folders(self._root, taken):
            ready: list[Seen] = []
            for one in look_into(folder, taken):
                if before.get(one.key) == (one.print, one.error):
                    ready.append(one)
                else:
                    self._last[one.key] = (one.print, one.error)
            self._take(folder, ready, taken, now=now)
            taken.removed_days += forget_done(folder, before=(now - self._keep).date().isoformat())
        return taken

    def _take(self, folder: ServerFolder, ready: Sequence[Seen], taken: Taken, *, now: datetime) -> None:
        group: list[tuple[Seen, Gathered]] = []
        size = 0
        for one in ready:
            found = read_seen(one, most=self._most)
            if found is None:
                continue  # it changed just now: the next look sees it anew
            if group and (len(group) >= TOGETHER or size + len(found.content) > TOGETHER_BYTES):
                keep_group(folder, group, taken, now=now)
                group, size = [], 0
            group.append((one, found))
            size += len(found.content)
        if group:
            keep_group(folder, group, taken, now=now)


# --- whose folder ------------------------------------------------------------------------------------------------


def folder_of(root: Path, server: BackupServer, *, tenant: Tenant) -> Path:
    """Where the logs of this server go: its name for people, its uid for us."""
    readable = re.sub(r"[^A-Za-z0-9-]+", "-", server.name).strip("-")[:60] or "server"
    return root / tenant.slug / f"{readable}.{server.uid}"


def server_folders(root: Path, taken: Taken) -> Iterator[ServerFolder]:
    """Every folder that belongs to an active server of an active tenant; others are told."""
    for tenant_name in folders_in(root, taken):
        tenant = Tenant.objects.filter(slug=tenant_name, state="active").first()
        if tenant is None:
            taken.problems.append(f"{root / tenant_name}: no active tenant has this short name")
            continue
        for name in folders_in(root / tenant_name, taken):
            match = NAME_ENDS_WITH_UID.search(name)
            server = None
            if match:
                mine = BackupServer.objects.of(tenant).filter(uid=uuid.UUID(match[1]), state="active")
                server = mine.select_related("tenant").first()
            if server is None:
                taken.problems.append(f"{root / tenant_name / name}: ends with the uid of no active server of {tenant}")
            else:
                yield ServerFolder(root / tenant_name / name, server)


def folders_in(path: Path, taken: Taken) -> list[str]:
    try:
        with os.scandir(path) as entries:
            found = [each.name for each in entries if each.is_dir(follow_symlinks=False) and each.name[0] != "."]
    except OSError as error:
        taken.problems.append(f"{path}: {error.strerror}")
        return []
    return sorted(found)


# --- what lies there ---------------------------------------------------------------------------------------------


def look_into(folder: ServerFolder, taken: Taken) -> Iterator[Seen]:
    try:
        top = os.open(folder.path, FOLDER_FLAGS)
    except OSError as error:
        taken.problems.append(f"{folder.path}: {error.strerror}")
        return
    try:
        yield from look_below(top, folder, PurePosixPath(), taken)
    finally:
        os.close(top)


def look_below(handle: int, folder: ServerFolder, place: PurePosixPath, taken: Taken) -> Iterator[Seen]:
    """Everything in an open folder, by name; links and special files with the reason why they are not taken."""
    for name in sorted(os.listdir(handle)):
        here = place / name
        if is_unfinished(name) or (not place.parts and name in (DONE, FAILED)):
            continue
        try:
            status = os.stat(name, dir_fd=handle, follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                yield Seen(folder, here, (("", status.st_size, status.st_mtime_ns),))
            elif stat.S_ISDIR(status.st_mode):
                yield from look_at_folder(handle, folder, here, taken)
            else:
                yield Seen(folder, here, error=f"is {special_kind(status.st_mode)}: only files and folders are taken.")
        except FileNotFoundError:
            continue  # its sender took it away
        except OSError as error:
            taken.problems.append(f"{folder.path / here}: {error.strerror}")


def look_at_folder(handle: int, folder: ServerFolder, here: PurePosixPath, taken: Taken) -> Iterator[Seen]:
    """The folder of one run as one, any other by what is in it."""
    if len(here.parts) > DEEPEST:
        yield Seen(folder, here, error=f"lies deeper than {DEEPEST} folders.")
        return
    below = os.open(here.name, FOLDER_FLAGS, dir_fd=handle)
    try:
        if RUN_FILES & set(os.listdir(below)):
            yield from see_run(below, folder, here)
        else:
            yield from look_below(below, folder, here, taken)
    finally:
        os.close(below)


def see_run(handle: int, folder: ServerFolder, here: PurePosixPath) -> Iterator[Seen]:
    """The folder as one delivery; nothing while a file in it is being written."""
    told: list[tuple[str, int, int]] = []
    for name in sorted(os.listdir(handle)):
        status = os.stat(name, dir_fd=handle, follow_symlinks=False)
        if is_unfinished(name):
            return
        if not stat.S_ISREG(status.st_mode):
            kind = special_kind(status.st_mode)
            yield Seen(folder, here, error=f"holds {clean(name, 100)}, which is {kind}.", is_run=True)
            return
        told.append((name, status.st_size, status.st_mtime_ns))
    error = f"holds more than {MOST_FILES} files." if len(told) > MOST_FILES else ""
    yield Seen(folder, here, tuple(told), is_run=True, error=error)


def is_unfinished(name: str) -> bool:
    return name.startswith(".") or name.lower().endswith(UNFINISHED)


def special_kind(mode: int) -> str:
    kinds = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


# --- reading -----------------------------------------------------------------------------------------------------


def read_seen(one: Seen, *, most: int) -> Gathered | None:
    """What was seen as a delivery, with an error where it cannot be one; None if it is no longer what was seen."""
    path = str(one.place)
    if one.error:
        return Gathered(path, error=one.error)
    if sum(size for _, size, _ in one.print) > most:
        return Gathered(path, error=too_large(most))
    try:
        with open_beneath(one.folder.path, one.place.parent) as handle:
            if not one.is_run:
                content = read_unchanged(handle, one.place.name, one.print[0])
                kind = CONTENT_TYPES.get(one.place.suffix.lower(), "")
                return content if content is None else judge_file(
                    path, content, said=Said(), most=most, content_type=kind, identity=one.identity
                )  # fmt: skip
            with open_folder(one.place.name, handle) as run:
                files = {row[0]: read_unchanged(run, row[0], row) for row in one.print}
    except FileNotFoundError:
        return None
    except OSError as error:
        return Gathered(path, error=f"cannot be read: {error.strerror}.")
    whole = {name: content for name, content in files.items() if content is not None}
    return judge_files(path, whole, said=Said(), identity=one.identity) if len(whole) == len(files) else None


def read_unchanged(handle: int, name: str, row: tuple[str, int, int]) -> bytes | None:
    """The content of a file in an open folder, None if it is not what it was. Raises OSError."""
    with open(os.open(name, FILE_FLAGS, dir_fd=handle), "rb") as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode) or (status.st_size, status.st_mtime_ns) != row[1:]:
            return None
        content = opened.read(row[1] + 1)
    return content if len(content) == row[1] else None


@contextlib.contextmanager
def open_folder(name: str | Path, handle: int | None = None) -> Iterator[int]:
    opened = os.open(name, FOLDER_FLAGS, dir_fd=handle)
    try:
        yield opened
    finally:
        os.close(opened)


@contextlib.contextmanager
def open_beneath(top: Path, place: PurePosixPath) -> Iterator[int]:
    """A folder below ``top``, opened step by step, so that no link on the way can lead elsewhere. Raises OSError."""
    with contextlib.ExitStack() as stack:
        handle = stack.enter_context(open_folder(top))
        for part in place.parts:
            handle = stack.enter_context(open_folder(part, handle))
        yield handle


# --- storing and moving ------------------------------------------------------------------------------------------


def keep_group(folder: ServerFolder, group: Sequence[tuple[Seen, Gathered]], taken: Taken, *, now: datetime) -> None:
    """Store what can be used, then move it all: to ``done`` of today, or to ``failed`` with the reason beside it."""
    good = [(one, found) for one, found in group if not found.error]
    try:
        store(folder.server.tenant_id, [as_incoming(one, found, now=now) for one, found in good], now=now)
    except DataError as error:
        keep_apart(folder, group, taken, now=now, error=error)
        return
    taken.stored += len(good)
    for one, found in group:
        into = (FAILED,) if found.error else (DONE, now.date().isoformat())
        try:
            name = move(one, into=into)
            if found.error:
                taken.refused.append(f"{folder.path / one.place}: {found.error}")
                write_reason(one, name=name, reason=found.error)
        except OSError as error:
            taken.problems.append(f"{folder.path / one.place} cannot be moved to {into[0]}: {error.strerror}")


def keep_apart(
    folder: ServerFolder,
    group: Sequence[tuple[Seen, Gathered]],
    taken: Taken,
    *,
    now: datetime,
    error: DataError,
) -> None:
    """The database refuses the data of one of them: halve the group until that one stands alone, and fails."""
    if len(group) == 1:
        refused = Gathered(group[0][1].path, error=f"cannot be stored: {clean(str(error), 200)}")
        keep_group(folder, [(group[0][0], refused)], taken, now=now)
        return
    middle = len(group) // 2
    keep_group(folder, group[:middle], taken, now=now)
    keep_group(folder, group[middle:], taken, now=now)


def as_incoming(one: Seen, found: Gathered, *, now: datetime) -> Incoming:
    meta = {**found.meta, "file": clean(str(one.place))}
    return Incoming(DOOR, found.identity, found.content, now, one.folder.server.pk, meta)


def move(one: Seen, *, into: tuple[str, ...]) -> str:
    """Rename within the server's folder; its new name, with a number if the old one is taken. Raises OSError."""
    with open_beneath(one.folder.path, one.place.parent) as source, make_beneath(one.folder.path, into) as target:
        name = free_name("_".join(one.place.parts), target)
        os.rename(one.place.name, name, src_dir_fd=source, dst_dir_fd=target)
        return name


@contextlib.contextmanager
def make_beneath(top: Path, parts: tuple[str, ...]) -> Iterator[int]:
    with contextlib.ExitStack() as stack:
        handle = stack.enter_context(open_folder(top))
        for part in parts:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o770, dir_fd=handle)
            handle = stack.enter_context(open_folder(part, handle))
        yield handle


def free_name(wanted: str, handle: int) -> str:
    """A name that nobody has in this open folder, at most 200 bytes of the wanted one."""
    base = os.fsdecode(os.fsencode(wanted)[-200:])
    taken = set(os.listdir(handle))
    number, name = 1, base
    while name in taken or f"{name}.reason" in taken:
        number += 1
        stem, dot, ending = base.rpartition(".")
        name = f"{stem}~{number}.{ending}" if dot and stem else f"{base}~{number}"
    return name


def write_reason(one: Seen, *, name: str, reason: str) -> None:
    with make_beneath(one.folder.path, (FAILED,)) as handle:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(f"{name}.reason", flags, 0o660, dir_fd=handle), "w", encoding="utf-8") as opened:
            opened.write(f"{clean(str(one.place))} {reason}\n")


def forget_done(folder: ServerFolder, *, before: str) -> int:
    """Remove the days of ``done`` before this one (YYYY-MM-DD); how many. What failed stays until somebody looks."""
    removed = 0
    try:
        with open_beneath(folder.path, PurePosixPath(DONE)) as handle:
            for day in os.listdir(handle):
                if re.fullmatch(r"\d{4}-\d\d-\d\d", day) and day < before:
                    shutil.rmtree(day, dir_fd=handle)
                    removed += 1
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ELOOP):
            raise
    return removed
