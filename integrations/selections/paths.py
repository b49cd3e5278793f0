"""Paths of any system in one form: parts between "/", long-path prefixes gone, so that rules and files compare.

``plain`` leaves a Unix path as it is, whatever signs are in it: there a backslash is part of a name. ``PathTree`` finds
all rules about a path and the folders above it in one walk over its parts, however many rules there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

#: Signs of a path and parts of it: Windows' own limit, and far more folders than any system makes.
MAX_PATH, MAX_PARTS = 32_767, 255


def plain(path: str) -> str:
    """A path with "/" between its parts: a Windows path (drive, share or long form) turned, any other as it is."""
    if path[:1] == "\\" or path[1:3] == ":\\" or path[1:] == ":":
        path = path.replace("\\", "/")
    if path[:2] == "//":
        if path[:8].upper() == "//?/UNC/":
            return "//" + path[8:]
        if path[:4] in ("//?/", "//./"):
            return path[4:]
    return path


def parts_of(path: str) -> list[str]:
    """The parts of a plain path; none of the root itself."""
    return [part for part in path.split("/") if part and part != "."]


class PathTree(Generic[T]):
    """Values at paths, found along the way down to a path."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, path: str, value: T) -> None:
        """Put a value at a plain path."""
        node = self._root
        for part in parts_of(path):
            node = node.below.setdefault(part, _Node())
        node.values.append(value)

    def along(self, path: str) -> Iterator[tuple[bool, list[T]]]:
        """The values at each folder on the way to a plain path, outermost first, and whether it is the path itself."""
        node, parts = self._root, parts_of(path)
        for at in range(len(parts) + 1):
            if node.values:
                yield at == len(parts), node.values
            if at < len(parts):
                found = node.below.get(parts[at])
                if found is None:
                    return
                node = found


class _Node(Generic[T]):
    __slots__ = ("below", "values")

    def __init__(self) -> None:
        self.below: dict[str, _Node[T]] = {}
        self.values: list[T] = []
