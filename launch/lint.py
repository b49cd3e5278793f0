"""``make lint``: style, types, import rules and missing migrations. Every check runs, also after one has failed.

The product's settings need an environment and Django asks the database about migrations, hence the throw-away servers.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from launch.bootstrap import CHECKOUT
from launch.temporary import temporary_servers


def lint() -> int:
    """Run all checks; 1 when any failed."""
    with temporary_servers(os.environ) as environment:
        failed = [name for name, command in checks() if not passes(name, command=command, environment=environment)]
    print(f"Lint failed: {', '.join(failed)}" if failed else "Lint passed.", flush=True)
    return 1 if failed else 0


def checks() -> list[tuple[str, list[str]]]:
    """(name, command), the quick ones first."""
    programs = Path(sys.executable).parent
    return [
        ("ruff check", [str(programs / "ruff"), "check", "."]),
        ("ruff format", [str(programs / "ruff"), "format", "--check", "."]),
        ("lint-imports", [str(programs / "lint-imports"), "--no-logo"]),
        ("django check", [sys.executable, "manage.py", "check"]),
        ("makemigrations", [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"]),
        ("mypy", [str(programs / "mypy")]),
    ]


def passes(name: str, *, command: list[str], environment: Mapping[str, str]) -> bool:
    print(f"-- {name}", flush=True)
    return subprocess.run(command, cwd=CHECKOUT, env=dict(environment), check=False).returncode == 0
