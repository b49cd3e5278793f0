"""Where this checkout keeps what it makes: servers' data, generated keys, logs, notes on running processes.

An ordinary user's data lies in ``.data`` of the checkout. Root's lies outside it, because PostgreSQL refuses to run as
root, is started as ``nobody``, and could not enter a checkout under a home directory of mode 0700.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from launch.failure import LaunchError

DATA_DIR_SETTING = "BACKLEDGER_DATA_DIR"
PRIVATE = 0o700
PASSABLE = 0o711  # others may pass through to a folder they know, not look around


@dataclass(frozen=True)
class Places:
    """The folders below one data folder."""

    data: Path

    @property
    def postgres(self) -> Path:
        return self.data / "postgres"

    @property
    def programs(self) -> Path:
        return self.data / "programs"

    @property
    def redis(self) -> Path:
        return self.data / "redis"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def processes(self) -> Path:
        return self.data / "processes"

    @property
    def keys(self) -> Path:
        return self.data / "keys.json"

    @property
    def environment(self) -> Path:
        return self.data / "environment.json"

    @property
    def lock(self) -> Path:
        return self.data / "lock"


def choose_data_folder(variables: Mapping[str, str], *, checkout: Path, is_root: bool) -> Path:
    """The setting if there is one, else a place of this checkout's own that stays the same between runs."""
    if variables.get(DATA_DIR_SETTING):
        return Path(variables[DATA_DIR_SETTING]).expanduser().absolute()
    if is_root:
        return Path("/var/lib") / f"backledger-{hashlib.sha256(os.fsencode(checkout)).hexdigest()[:12]}"
    return checkout / ".data"


def make_places(data: Path, *, is_root: bool) -> Places:
    """Create the folders; raises LaunchError when that is impossible or root's servers could not get in."""
    places = Places(data)
    if is_root:
        refuse_closed_parents(data)
    try:
        data.mkdir(parents=True, exist_ok=True)
        data.chmod(PASSABLE if is_root else PRIVATE)
        for folder in (places.redis, places.logs, places.processes):
            folder.mkdir(exist_ok=True)
            folder.chmod(PRIVATE)
    except OSError as error:
        raise LaunchError(f"cannot use the data folder {data}: {error}. Set {DATA_DIR_SETTING} to another.") from error
    return places


def refuse_closed_parents(data: Path) -> None:
    for folder in data.resolve().parents:
        if folder.exists() and not folder.stat().st_mode & 0o001:
            raise LaunchError(
                f"{data} lies under {folder}, which other users may not enter; PostgreSQL does not run as root "
                f"and could not reach its data. Set {DATA_DIR_SETTING} to one outside, such as /var/lib/backledger."
            )


def claim(places: Places) -> int | None:
    """Take the folder's lock for the life of this process: its descriptor, or None when another process holds it."""
    descriptor = os.open(places.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def sign(descriptor: int, *, text: str) -> None:
    """Leave a word in the lock file (process, address) for whoever finds it taken."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def read_signature(places: Places) -> str:
    try:
        return places.lock.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
