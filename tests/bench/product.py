"""Web server and line worker as ``make run`` starts them, and what they hold in memory at most.

Peaks are ``VmHWM`` of ``/proc``: the kernel's own high-water mark of a process, so no moment is missed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from launch.places import Places
from launch.ports import free_port
from launch.run import Address, is_healthy, programs
from launch.server import last_lines

CHECKOUT = Path(__file__).resolve().parents[2]
WANTED = ("web", "worker-line")
READY_SECONDS = 60.0
STOP_SECONDS = 20.0


@dataclass(frozen=True)
class Product:
    """The running processes by name; ``port`` is the web server's."""

    port: int
    processes: Mapping[str, subprocess.Popen[bytes]]

    def peaks(self) -> dict[str, tuple[float, ...]]:
        """Largest resident size of each process that works, in MiB: by name, one figure a process."""
        return {name: tuple(peak_mib(pid) for pid in workers_of(one.pid)) for name, one in self.processes.items()}


@contextmanager
def running_product(environment: Mapping[str, str]) -> Iterator[Product]:
    """Start both and wait until they work; raises RuntimeError with their last words when they do not."""
    address = Address("127.0.0.1", free_port())
    with tempfile.TemporaryDirectory(prefix="backledger-bench-") as folder:
        logs, processes = Path(folder), dict[str, subprocess.Popen[bytes]]()
        try:
            for _, name, command in programs(address, places=Places(logs)):
                if name in WANTED:
                    processes[name] = start(command, log=logs / f"{name}.log", environment=environment)
            wait_until_ready(address, processes=processes, logs=logs)
            yield Product(address.port, processes)
        finally:
            for process in processes.values():
                stop(process)


@contextmanager
def running_delivery(environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The delivery worker alone, with the scheduler that wakes it."""
    address = Address("127.0.0.1", free_port())
    allowed = {**environment, "BACKLEDGER_ALLOW_PRIVATE_DESTINATIONS": "true"}
    with tempfile.TemporaryDirectory(prefix="backledger-bench-") as folder:
        logs, processes = Path(folder), dict[str, subprocess.Popen[bytes]]()
        try:
            for _, name, command in programs(address, places=Places(logs)):
                if name in ("worker-delivery", "beat"):
                    processes[name] = start(command, log=logs / f"{name}.log", environment=allowed)
            yield processes["worker-delivery"]
        finally:
            for process in processes.values():
                stop(process)


def start(command: list[str], *, log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            command, cwd=CHECKOUT, env=dict(environment), stdout=output, stderr=output, start_new_session=True
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """Politely, then by force; the whole group of what was started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(STOP_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def wait_until_ready(address: Address, *, processes: Mapping[str, subprocess.Popen[bytes]], logs: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not (is_healthy(address.probe) and b" ready." in (logs / "worker-line.log").read_bytes()):
        ended = [name for name, process in processes.items() if process.poll() is not None]
        if ended or time.monotonic() > deadline:
            said = "\n".join(f"-- {name}\n{last_lines(logs / f'{name}.log')}" for name in processes)
            raise RuntimeError(f"the product did not get ready ({', '.join(ended) or 'too slow'}):\n{said}")
        time.sleep(0.1)


def workers_of(pid: int) -> tuple[int, ...]:
    """The processes that do the work: the children of a supervisor, or the process itself. Helpers are left out."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    working = tuple(int(child) for child in children if "resource_tracker" not in command_line(int(child)))
    return working or (pid,)


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)
    if found is None:
        raise RuntimeError(f"the kernel does not tell the peak of process {pid}")
    return int(found[1]) / 1024
