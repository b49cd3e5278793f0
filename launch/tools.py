"""Finds the backup programs that a journey drives; as root it may install them, as it does the browser.

Called by ``launch.test``. Where they are missing and nobody may install them, the journey skips itself and says so;
where ``CI`` is set it fails.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from launch.browser import install, may_install

#: Program and its Debian package.
TOOLS = {"restic": "restic", "borg": "borgbackup", "rsync": "rsync"}


def find_or_install_tools(variables: Mapping[str, str]) -> list[str]:
    """The programs that are still missing."""
    missing = missing_tools(variables)
    if missing and may_install(variables):
        print(f"Installing {', '.join(missing)} for the tests (NO_APT=1 forbids this) ...", flush=True)
        install([TOOLS[name] for name in missing])
    return missing_tools(variables)


def missing_tools(variables: Mapping[str, str]) -> list[str]:
    path = variables.get("PATH", os.defpath)
    return [name for name in TOOLS if shutil.which(name, path=path) is None]
