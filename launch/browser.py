"""Finds the browser that drives the browser tests; as root it may install one.

Called by ``launch.test``. Wheels do not bring a browser, so a machine without one skips those tests and says so.
``NO_APT=1`` forbids installing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APT_OPTIONS = ("-o", "DPkg::Lock::Timeout=60", "-q", "-y", "--no-install-recommends")
APT_SECONDS = 600


def find_or_install_browser(variables: Mapping[str, str]) -> Path | None:
    """The browser's program, or None."""
    found = find_browser(variables)
    if found is None and may_install(variables):
        print("No browser found: installing chromium (NO_APT=1 forbids this) ...", flush=True)
        install(["chromium"])
        found = find_browser(variables)
    return found


def find_browser(variables: Mapping[str, str]) -> Path | None:
    """CHROMIUM if set, else the first browser on PATH that starts; some distributions only put a placeholder there."""
    names = [variables["CHROMIUM"]] if variables.get("CHROMIUM") else list(NAMES)
    for name in names:
        program = shutil.which(name, path=variables.get("PATH", os.defpath))
        if program and starts(program):
            return Path(program)
    return None


def starts(program: str) -> bool:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def may_install(variables: Mapping[str, str]) -> bool:
    return os.geteuid() == 0 and variables.get("NO_APT", "") in ("", "0") and shutil.which("apt-get") is not None


def install(packages: Sequence[str]) -> None:
    """Try; whoever called looks again for what it wants and says what is missing."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", *packages]):
        command = ["apt-get", *APT_OPTIONS, *arguments]
        try:
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, timeout=APT_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"{' '.join(command)} failed: {error}", flush=True)
            return
