"""The protected size of a selection: a definition over an inventory, in one pass, with bounded memory.

Each path counts once whichever lines and days ask for it, each inode once (``bytes_each`` counts every name), links
count nothing and what lies below one is not counted a second time. What is left out is told by the line that did it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from integrations.selections.definition import Definition, Judge
from integrations.selections.entries import Entry, Inventory, Summary
from integrations.selections.paths import PathTree, plain
from integrations.selections.refusals import BadInventory
from integrations.selections.seen import Seen

#: Files in one inventory; paths and inodes of several names that are remembered; folders whose judges are kept.
MAX_FILES, MAX_PATHS, MAX_INODES, MAX_FOLDERS, MAX_LINKS = 20_000_000, 4_000_000, 2_000_000, 20_000, 50_000


@dataclass(frozen=True)
class Share:
    """What one line selected or left out. Sizes are bytes, hard links each time."""

    line: int
    text: str
    files: int
    bytes_each: int


@dataclass(frozen=True)
class Measured:
    """The size of a selection in bytes. ``bytes_once`` is None where hard links could not be told apart.

    ``unreadable`` counts what has no size; ``elsewhere`` files that no line speaks of; ``links`` links among what is
    selected. ``whole`` is true when every root was there and all of it could be read.
    """

    bytes_once: int | None
    bytes_each: int
    files: int
    links: int = 0
    unreadable: int = 0
    elsewhere: int = 0
    repeated: int = 0
    roots: tuple[Share, ...] = ()
    left_out: tuple[Share, ...] = ()
    missing_roots: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        return not self.unreadable and not self.missing_roots


def from_summary(summary: Summary) -> Measured:
    """What the wrapper has counted itself, where it sent no list."""
    return Measured(
        bytes_once=summary.bytes_once,
        bytes_each=summary.bytes_each,
        files=summary.files,
        links=summary.links,
        unreadable=summary.unreadable,
        missing_roots=summary.missing_roots,
    )


def measure(definition: Definition, inventory: Inventory, *, most_files: int = MAX_FILES) -> Measured:
    """Read the inventory to its end and measure the definition by it. Raises BadInventory, also for too many files."""
    counting = _Counting(definition, most_files=most_files)
    for entry in inventory.entries:
        counting.take(entry)
    return counting.result(inventory.summary)


@dataclass
class _Sum:
    files: int = 0
    bytes_each: int = 0


@dataclass
class _Counting:
    """The sums so far."""

    definition: Definition
    most_files: int
    bytes_once: int = 0
    links: int = 0
    unreadable: int = 0
    elsewhere: int = 0
    repeated: int = 0
    number: int = 0
    inodes_unknown: bool = False
    sums: dict[int, _Sum] = field(default_factory=dict)
    judges: dict[str, Judge] = field(default_factory=dict)
    paths: Seen = field(default_factory=lambda: Seen(MAX_PATHS))
    inodes: Seen = field(default_factory=lambda: Seen(MAX_INODES))
    link_tree: PathTree[bool] = field(default_factory=PathTree)
    link_folders: int = 0

    def take(self, entry: Entry) -> None:
        kind = entry.kind
        if kind == "folder" or kind == "other":
            return
        self.number += 1
        if self.number > self.most_files:
            raise BadInventory(entry.line, f"more than {self.most_files:,} files.")
        path = plain(entry.path)
        cut = path.rfind("/")
        verdict = self._judge(path[: cut if cut > 0 else cut + 1])(path)
        if verdict == 0:
            self.elsewhere += 1
        elif not self.paths.is_new(path.encode("utf-8", "surrogatepass")):
            self.repeated += 1
        elif kind == "link":
            self._take_link(path, verdict)
        else:
            self._take_file(entry, verdict)

    def _judge(self, folder: str) -> Judge:
        judge = self.judges.get(folder)
        if judge is None:
            if len(self.judges) >= MAX_FOLDERS:
                self.judges.clear()
            judge = self.judges[folder] = (
                self._below_link if self._is_below_link(folder) else self.definition.look(folder)
            )
        return judge

    def _is_below_link(self, folder: str) -> bool:
        return bool(self.link_folders) and any(True for _ in self.link_tree.along(folder))

    @staticmethod
    def _below_link(_path: str) -> int:
        return 0

    def _take_link(self, path: str, verdict: int) -> None:
        if verdict > 0:
            self.links += 1
        if self.link_folders < MAX_LINKS:
            self.link_folders += 1
            self.link_tree.add(path, True)
            self.judges.clear()

    def _take_file(self, entry: Entry, verdict: int) -> None:
        if entry.size is None:
            self.unreadable += verdict > 0
            return
        into = self.sums.get(verdict)
        if into is None:
            into = self.sums[verdict] = _Sum()
        into.files += 1
        into.bytes_each += entry.size
        if verdict > 0:
            if not entry.key:
                self.inodes_unknown = True
                self.bytes_once += entry.size
            elif entry.names < 2 or self.inodes.is_new(entry.key.encode()):
                self.bytes_once += entry.size

    def result(self, summary: Summary | None) -> Measured:
        selected = {line: share for line, share in self.sums.items() if line > 0}
        lines = self.definition.lines
        return Measured(
            bytes_once=None if self.inodes_unknown or self.inodes.full else self.bytes_once,
            bytes_each=sum(share.bytes_each for share in selected.values()),
            files=sum(share.files for share in selected.values()),
            links=self.links,
            unreadable=self.unreadable + (summary.unreadable if summary else 0),
            elsewhere=self.elsewhere,
            repeated=self.repeated,
            roots=tuple(_share(line, self.sums, lines) for line in sorted({*self.definition.roots, *selected})),
            left_out=tuple(_share(line, self.sums, lines) for line in sorted(self.sums, reverse=True) if line < 0),
            missing_roots=summary.missing_roots if summary else (),
            notes=(*self.definition.notes, *self._notes()),
        )

    def _notes(self) -> list[str]:
        told = []
        if self.paths.full:
            told.append(f"More than {MAX_PATHS:,} files: whether a path is listed twice was not looked at to the end.")
        if self.inodes.full:
            told.append(f"More than {MAX_INODES:,} files with several names: they are counted each time.")
        return told


def _share(line: int, sums: Mapping[int, _Sum], lines: Mapping[int, str]) -> Share:
    found = sums.get(line) or _Sum()
    return Share(line=abs(line), text=lines.get(abs(line), ""), files=found.files, bytes_each=found.bytes_each)
