"""The product's source files, parsed once for all architecture tests; migrations are left out."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("alerts", "billing", "integrations", "msp", "launch")


@dataclass(frozen=True)
class Source:
    """A module; ``name`` is its path from the root, as in "msp/tasks.py"."""

    name: str
    text: str
    tree: ast.Module

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@cache
def product_sources() -> tuple[Source, ...]:
    paths = sorted(path for folder in PRODUCT for path in (ROOT / folder).rglob("*.py"))
    return tuple(read(path) for path in paths if "migrations" not in path.parts)


def read(path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    return Source(path.relative_to(ROOT).as_posix(), text, ast.parse(text))


def in_any(name: str, places: tuple[str, ...]) -> bool:
    """Whether a path is one of these files, or lies in one of these folders (which end with a slash)."""
    return any(name == place or (place.endswith("/") and name.startswith(place)) for place in places)


@cache
def repository_files() -> tuple[Path, ...]:
    """Every text file that belongs to the repository; all of the checkout's where there is no git."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, capture_output=True, check=False)
    names = [name for name in done.stdout.decode().split("\0") if name]
    paths = [ROOT / name for name in names] if names else list(ROOT.rglob("*"))
    return tuple(path for path in paths if path.is_file() and is_text(path))


def is_text(path: Path) -> bool:
    with path.open("rb") as file:
        return b"\0" not in file.read(4096)
