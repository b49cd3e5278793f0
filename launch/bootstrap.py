"""Makes ``.venv`` and puts the locked requirements into it, when and only when something changed.

Called first by every command. Uses uv when it is on PATH, else the pip wheel that lies beside this file, so that
neither ensurepip nor a system package is needed, as root or not. A second start finds its stamp and needs no network.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from launch.failure import LaunchError

CHECKOUT = Path(__file__).resolve().parent.parent
VENV = CHECKOUT / ".venv"
RUN_LOCK = "requirements.txt"
DEVELOPMENT_LOCK = "requirements-dev.txt"
PIP_WHEEL = Path(__file__).with_name("pip-26.3-py3-none-any.whl")
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
SUPPORTED = ("3.11", "3.12", "3.13")


def prepare_environment(*, development: bool, checkout: Path = CHECKOUT, environment: Path = VENV) -> Path:
    """Return the Python of the virtual environment, with everything of the wanted lock file installed."""
    lock = DEVELOPMENT_LOCK if development else RUN_LOCK
    with one_at_a_time(checkout):
        python = make_environment(environment)
        wanted = digest(checkout / lock)
        stamp = read_stamp(environment)
        if stamp.get(lock) != wanted:
            install(python, checkout / lock)
            written = {RUN_LOCK: digest(checkout / RUN_LOCK), lock: wanted}  # the larger lock contains the smaller
            write_stamp(environment, {**stamp, **written})
    return python


@contextmanager
def one_at_a_time(checkout: Path) -> Iterator[None]:
    """Hold the checkout's lock, so that two commands started together do not install into each other."""
    descriptor = os.open(checkout / "launch", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def runs_inside(python: Path) -> bool:
    return Path(sys.prefix).resolve() == python.parent.parent.resolve()


def make_environment(environment: Path) -> Path:
    """Create the virtual environment unless a usable one is there; a broken or foreign one is made anew."""
    python = environment / "bin" / "python"
    if python_version(python) in SUPPORTED and environment_is_here(environment):
        return python
    print(f"Making the virtual environment {environment} ...", flush=True)
    try:
        venv.create(environment, with_pip=False, clear=True, symlinks=True)
    except OSError as error:
        raise LaunchError(
            f"cannot make the virtual environment {environment}: {error}. Check the folder's owner."
        ) from error
    return python


def python_version(python: Path) -> str | None:
    """The version ("3.11") that ``python`` says of itself, None when it does not run."""
    command = [str(python), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def environment_is_here(environment: Path) -> bool:
    """False after the checkout was moved or copied: the scripts inside then name another place."""
    activate = environment / "bin" / "activate"
    try:
        text = activate.read_text(encoding="utf-8")
    except OSError:
        return False
    return str(environment) in text or shlex.quote(str(environment)) in text


def install(python: Path, lock: Path) -> None:
    """Install the lock file by uv or pip, wheels and known hashes only; raises LaunchError with what to do."""
    print(f"Installing {lock.name} (once; needs the network) ...", flush=True)
    commands = [uv_command(python, lock)] if shutil.which("uv") else []
    commands.append(pip_command(python, lock))
    for command in commands:
        if subprocess.run(command, env=installer_environment(os.environ), check=False).returncode == 0:
            return
    raise LaunchError(
        f"the packages of {lock.name} could not be installed; the lines above say why. Backledger needs Linux "
        "with glibc 2.28 or newer and a reachable package index (PIP_INDEX_URL or pip.conf can name your own mirror)."
    )


def uv_command(python: Path, lock: Path) -> list[str]:
    options = ["--require-hashes", "--no-build", "--quiet"]
    return ["uv", "pip", "install", "--python", str(python), *options, "-r", str(lock)]


def pip_command(python: Path, lock: Path, *, from_source: bool = False) -> list[str]:
    """pip straight out of its wheel, which Python can run as it is; refuses a wheel that was changed.

    ``from_source``: what has no wheel may be built, by nothing but the packages that the environment holds already.
    """
    if digest(PIP_WHEEL) != PIP_SHA256:
        raise LaunchError(f"{PIP_WHEEL.name} differs from the released file: restore it with git checkout launch.")
    allowed = ["--no-build-isolation"] if from_source else ["--only-binary", ":all:"]
    options = ["--require-hashes", *allowed, "--quiet", "--no-input", "--disable-pip-version-check"]
    return [str(python), str(PIP_WHEEL / "pip"), "install", *options, "-r", str(lock)]


def installer_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would send packages elsewhere than into ``.venv``."""
    astray = {
        "PIP_USER",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_REQUIRE_VIRTUALENV",
        "PYTHONHOME",
        "PYTHONPATH",
        "UV_SYSTEM_PYTHON",
    }
    return {name: value for name, value in variables.items() if name not in astray}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def stamp_path(environment: Path) -> Path:
    return environment / "backledger-installed.json"


def read_stamp(environment: Path) -> dict[str, str]:
    """Which lock files (name to SHA-256) are installed; empty when unknown."""
    try:
        stamp = json.loads(stamp_path(environment).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_stamp(environment: Path, stamp: Mapping[str, str]) -> None:
    stamp_path(environment).write_text(json.dumps(stamp, indent=1), encoding="utf-8")


def lock_requirements(*, checkout: Path = CHECKOUT) -> int:
    """Pin requirements*.txt anew from requirements*.in, for every supported Python at once; needs uv."""
    if not shutil.which("uv"):
        raise LaunchError("make lock needs uv: install it (python3 -m pip install uv) and try again.")
    compile_lock(checkout, source="requirements.in", lock=RUN_LOCK)
    compile_lock(checkout, source="requirements-dev.in", lock=DEVELOPMENT_LOCK, constraints=["-c", RUN_LOCK])
    for path in sorted((checkout / "tests" / "desks").glob("requirements-*.in")):
        source = path.relative_to(checkout)
        compile_lock(checkout, source=str(source), lock=str(source.with_suffix(".txt")))
    return 0


def compile_lock(checkout: Path, *, source: str, lock: str, constraints: list[str] | None = None) -> None:
    options = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--quiet"]
    plain = ["--no-annotate", "--no-header", *(constraints or [])]
    command = ["uv", "pip", "compile", *options, *plain, source, "-o", lock]
    if subprocess.run(command, cwd=checkout, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        raise LaunchError(f"{source} could not be resolved; the lines above say why.")
    path = checkout / lock
    path.write_text(
        f"# Made from {source} by make lock; do not edit.\n{path.read_text(encoding='utf-8')}", encoding="utf-8"
    )
