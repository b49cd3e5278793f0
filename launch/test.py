"""``make test`` and its kin (bench, fuzz, simulate): on throw-away servers, with a browser if there is one.

Passes pytest's exit code through. The servers end with it, whatever happens. Without a browser the browser tests are
skipped and the last line says so; where ``CI`` is set, a missing browser is an error, because nobody reads that line.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from launch.bootstrap import CHECKOUT
from launch.browser import find_or_install_browser
from launch.desks import ALL_DESKS, find_or_install_desks, find_or_install_packaged_desks
from launch.failure import LaunchError
from launch.temporary import temporary_servers
from launch.tools import find_or_install_tools

PROCESSES = "2"
#: A process that has nothing left to do takes tests of another, as some tests last for minutes.
SHARED = ("--dist", "worksteal")
HOW_TO_GET_ONE = "Install chromium, or set CHROMIUM to the program of a Chromium or Chrome."


def test() -> int:
    """Run pytest with the arguments of ARGS; returns its exit code."""
    signal.signal(signal.SIGTERM, interrupt)
    browser = find_or_install_browser(os.environ)
    if browser is None and os.environ.get("CI"):
        raise LaunchError(f"CI is set and no browser was found. {HOW_TO_GET_ONE}")
    missing = find_or_install_tools(os.environ)
    desks = find_or_install_desks()
    command = [sys.executable, "-m", "pytest", "-n", PROCESSES, *SHARED, *shlex.split(os.environ.get("ARGS", ""))]
    with temporary_servers(os.environ) as environment:
        code = run_command(command, environment=with_browser(environment, browser=browser))
    if browser is None:
        print(f"Browser tests were SKIPPED: no browser was found. {HOW_TO_GET_ONE}", flush=True)
    if missing:
        print(f"Real backups were not tried: install {', '.join(missing)}.", flush=True)
    if desks:
        print(f"Real ticket systems were not run, for they could not be installed: {', '.join(desks)}.", flush=True)
    return code


def test_gateways() -> int:
    """Run the tests of ticket gateways against every real ticket system that can be installed here."""
    find_or_install_packaged_desks()
    os.environ[ALL_DESKS] = "1"
    os.environ["ARGS"] = f"tests/desks tests/contracts/test_native_gateways.py {os.environ.get('ARGS', '')}"
    return test()


def bench() -> int:
    """Run the measurements of ``tests/bench`` with the arguments of ARGS, on private servers that write to the disk."""
    signal.signal(signal.SIGTERM, interrupt)
    command = [sys.executable, "-m", "tests.bench", *shlex.split(os.environ.get("ARGS", ""))]
    variables = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    with temporary_servers(variables, durable=True) as environment:
        return run_command(command, environment=environment)


def simulate() -> int:
    """Play and score the simulated year of ``tests/simulation`` with the arguments of ARGS, on private servers."""
    signal.signal(signal.SIGTERM, interrupt)
    command = [sys.executable, "-m", "tests.simulation", *shlex.split(os.environ.get("ARGS", ""))]
    variables = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    with temporary_servers(variables, durable=False) as environment:
        return run_command(command, environment=environment)


def fuzz() -> int:
    """Read changed logs with every format, with the arguments of ARGS; needs no server."""
    signal.signal(signal.SIGTERM, interrupt)
    command = [sys.executable, "-m", "tests.fuzz", *shlex.split(os.environ.get("ARGS", ""))]
    return run_command(command, environment=os.environ)


def with_browser(environment: Mapping[str, str], *, browser: Path | None) -> dict[str, str]:
    """CHROMIUM names the browser; where there is none it is absent, by which browser tests skip themselves."""
    without = {name: value for name, value in environment.items() if name != "CHROMIUM"}
    return {**without, "CHROMIUM": str(browser)} if browser else without


def run_command(command: list[str], *, environment: Mapping[str, str]) -> int:
    """Run in our own process group, so that Ctrl-C reaches it too; wait for its end in any case."""
    process = subprocess.Popen(command, cwd=CHECKOUT, env=dict(environment))
    try:
        return process.wait()
    except KeyboardInterrupt:
        end(process)
        raise


def end(process: subprocess.Popen[bytes]) -> None:
    """Let an interrupted pytest finish its report; kill it when it does not end."""
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
