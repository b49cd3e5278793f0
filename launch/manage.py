"""``make manage ARGS="..."``: the product's commands on the data of a running ``make run``.

``make run`` leaves the settings of its processes in the data folder (mode 0600, it holds keys); this hands them to
``manage.py``. With DATABASE_URL and REDIS_URL of your own, call ``manage.py`` with your settings instead.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from launch.bootstrap import CHECKOUT
from launch.failure import LaunchError
from launch.places import Places, choose_data_folder


def keep_environment(places: Places, *, environment: Mapping[str, str], names: Sequence[str]) -> None:
    """Store these settings for later commands, readable by their owner alone."""
    fresh = places.environment.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({name: environment[name] for name in names if name in environment}, file, indent=1)
    fresh.replace(places.environment)


def manage(arguments: Sequence[str]) -> int:
    """Run one command of ``manage.py``; its exit status. Raises LaunchError when nothing was ever started here."""
    if not arguments:
        raise LaunchError('say which command, such as make manage ARGS="census".')
    places = Places(choose_data_folder(os.environ, checkout=CHECKOUT, is_root=os.geteuid() == 0))
    try:
        kept = json.loads(places.environment.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LaunchError(f"there are no settings in {places.data} ({error}): start make run first.") from error
    command = [sys.executable, str(CHECKOUT / "manage.py"), *arguments]
    return subprocess.run(command, env={**os.environ, **kept}, check=False).returncode
