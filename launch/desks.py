"""Installs the ticket systems that the tests run against, each in a virtual environment of its own below ``.desks``.

Called by ``launch.test``. What cannot be installed is told, and its tests skip themselves; where ``CI`` is set they
fail. The packages of a desk are pinned in ``requirements-<desk>.txt``. One that has no wheel is built by what stands in
``requirements-<desk>-build.txt``, which is installed first.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from launch.bootstrap import (
    CHECKOUT,
    digest,
    environment_is_here,
    installer_environment,
    make_environment,
    one_at_a_time,
    pip_command,
    read_stamp,
    write_stamp,
)
from launch.failure import LaunchError

DESKS = ("django-helpdesk", "roundup")
FOLDER = CHECKOUT / ".desks"
LOCKS = CHECKOUT / "tests" / "desks"
#: Set where the tests shall run against Request Tracker and Redmine, too, which Debian's packages install for the whole
#: machine.
ALL_DESKS = "TEST_ALL_DESKS"
REQUEST_TRACKER = Path("/usr/share/request-tracker5")
REDMINE = Path("/usr/share/redmine")
PACKAGES = {
    REQUEST_TRACKER: ("request-tracker5", "rt5-db-sqlite", "rt5-standalone"),
    REDMINE: ("redmine", "redmine-sqlite", "ruby-webrick"),
}
#: The tests make databases of their own: the package need not make one.
ANSWERS = "redmine redmine/instances/default/dbconfig-install boolean false\n"
RETRIES = "1"  # without a network pip gives up after seconds instead of a minute


def find_or_install_desks() -> list[str]:
    """The desks that are still missing."""
    with one_at_a_time(CHECKOUT):
        return [name for name in DESKS if python_of(name) is None and not install_desk(name)]


def python_of(name: str) -> Path | None:
    """The Python of a desk's environment; None unless everything of its lock files is installed there."""
    environment = FOLDER / name
    python = environment / "bin" / "python"
    wanted = {lock.name: digest(lock) for lock in locks_of(name)}
    usable = python.exists() and environment_is_here(environment)
    return python if usable and read_stamp(environment) == wanted else None


def locks_of(name: str) -> list[Path]:
    """The lock files of a desk in the order in which they are installed."""
    build = LOCKS / f"requirements-{name}-build.txt"
    return [*([build] if build.exists() else []), LOCKS / f"requirements-{name}.txt"]


def install_desk(name: str) -> bool:
    """Make the environment and install into it; False, with pip's own words on the terminal, where that fails."""
    environment, locks = FOLDER / name, locks_of(name)
    python = make_environment(environment)
    print(f"Installing {name} for the tests (once; needs the network) ...", flush=True)
    for lock in locks:
        if not run_pip([*pip_command(python, lock, from_source=lock != locks[0]), "--retries", RETRIES]):
            return False
    write_stamp(environment, {lock.name: digest(lock) for lock in locks})
    return True


def find_or_install_packaged_desks() -> None:
    """By the machine's own packages, which only root may add. Raises LaunchError with what to do."""
    missing = [package for place, packages in PACKAGES.items() if not place.exists() for package in packages]
    if not missing:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise LaunchError(f"as root on Debian or Ubuntu install {' '.join(missing)} first; or use make test.")
    print(f"Installing {', '.join(missing)} (once; needs the network) ...", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if not REDMINE.exists() and shutil.which("debconf-set-selections"):
        subprocess.run(["debconf-set-selections"], input=ANSWERS.encode(), env=environment, check=False)
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
        if subprocess.run(["apt-get", *command], env=environment | bundler(), check=False).returncode:
            raise LaunchError(f"apt-get could not install {' '.join(missing)}.")


def bundler() -> dict[str, str]:
    """The variable that chooses Debian's Bundler: Ruby's own may be newer, and does not find Debian's packages."""
    if shutil.which("apt-cache") is None:
        return {}
    command = ["apt-cache", "show", "--no-all-versions", "ruby-bundler"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    version = re.search(r"^Version: (?:[0-9]+:)?([0-9.]+)", told, re.MULTILINE)
    return {"BUNDLER_VERSION": version[1]} if version else {}


def run_pip(command: list[str]) -> bool:
    return subprocess.run(command, env=installer_environment(os.environ), check=False).returncode == 0
