"""Measuring against a slow plain model, and inventories: the wrapper's form, listings of others, hostile ones."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.selections.definitions import read_definition
from integrations.selections.entries import Entry
from integrations.selections.inventory import read_inventory
from integrations.selections.lists import roots_only
from integrations.selections.measuring import Measured, from_summary, measure
from integrations.selections.refusals import BadInventory
from integrations.selections.seen import Seen
from tests.wrapper.loading import load_wrapper

HEADER = {"backledger_inventory": 1, "roots": ["/srv"], "listed": True, "taken_at": "2026-11-20T03:00:00+00:00"}


def own(lines: bytes, **values: object) -> bytes:
    return json.dumps({**HEADER, **values}).encode() + b"\n" + lines


def entries(content: bytes, *, size: int = 7) -> list[Entry]:
    """Read in small pieces, so that every line is cut somewhere."""
    pieces = (content[at : at + size] for at in range(0, len(content), size))
    return list(read_inventory(pieces).entries)


def measured(content: bytes, *, text: str = "", kind: str = "paths") -> Measured:
    definition = read_definition(text.encode(), kind=kind, roots=("/srv",)) if text else roots_only(("/srv",))
    return measure(definition, read_inventory([content]))


# --- against a model ---------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c", "Temp", "x.iso"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(tuple)
SECTIONS = ["Everyday", "Weekdays", "Weekend", "Sunday", "Monday", "Saturday"]
DAYS_OF = {
    "Everyday": set(range(7)), "Weekdays": set(range(1, 6)), "Weekend": {0, 6}, "Sunday": {0}, "Monday": {1},
    "Saturday": {6},
}  # fmt: skip
RULES = st.tuples(
    st.sampled_from(SECTIONS), st.booleans(), st.lists(NAMES, max_size=3).map(tuple), st.booleans(), st.booleans()
)


def model_verdict(rules: list[tuple[str, bool, tuple[str, ...], bool, bool]], path: tuple[str, ...]) -> bool:
    """Whether a file is protected: day by day, the deepest folder that a line speaks of decides."""
    lowered = tuple(part.lower() for part in path)
    for day in range(7):
        for depth in range(len(path) - 1, -1, -1):
            speaking = [
                (selects, leaves_out)
                for section, selects, folder, deep, leaves_out in rules
                if day in DAYS_OF[section]
                and tuple(part.lower() for part in folder) == lowered[:depth]
                and (deep or not selects or depth == len(path) - 1)
            ]
            if not speaking:
                continue
            wanted = [not (leaves_out and lowered[-1].endswith(".iso")) for selects, leaves_out in speaking if selects]
            if all(selects for selects, _ in speaking) and any(wanted):
                return True
            break
    return False


def as_lines(section: str, selects: bool, folder: tuple[str, ...], deep: bool, leaves_out: bool) -> str:
    path = "C:\\" + "".join(part + "\\" for part in folder)
    excludes = " - <.*\\.iso>" if leaves_out and selects else ""
    return f"[{section}]\n{'+' if selects else '-'} {path}{' /s' if deep else ''}{excludes}"


@settings(max_examples=300, deadline=None)
@given(st.lists(RULES, min_size=1, max_size=6), st.sets(PATHS, min_size=1, max_size=25))
def test_a_selection_file_measures_what_a_plain_model_does(
    rules: list[tuple[str, bool, tuple[str, ...], bool, bool]], paths: set[tuple[str, ...]]
) -> None:
    rules = [*rules, ("Sunday", True, ("never",), True, False)]
    text = "\n".join(as_lines(*rule) for rule in rules)
    listed = sorted(paths)
    between = "\\" * 2
    lines = "".join(f"{2**at}\t-\tC:{between}{between.join(path)}\n" for at, path in enumerate(listed))
    found = measured(own(lines.encode()), text=text, kind="sel")
    expected = [2**at for at, path in enumerate(listed) if model_verdict(rules, path)]
    assert (found.bytes_each, found.files) == (sum(expected), len(expected))
    assert sum(share.bytes_each for share in found.roots) == found.bytes_each
    assert found.files + sum(share.files for share in found.left_out) + found.elsewhere == len(listed)


FILES = st.lists(st.tuples(PATHS, st.integers(0, 1000), st.integers(1, 3)), max_size=30)


@settings(max_examples=200, deadline=None)
@given(FILES)
def test_each_path_and_each_inode_counts_once(files: list[tuple[tuple[str, ...], int, int]]) -> None:
    """Sizes follow the inode, as on a disk; a path listed twice is the same file."""
    size_of = {inode: size for _, size, inode in files}
    lines = "".join(f"{size_of[inode]}\t1:{inode}:9\t/srv/{'/'.join(path)}\n" for path, _, inode in files)
    found = measured(own(lines.encode()))
    first: dict[tuple[str, ...], int] = {}
    for path, _, inode in files:
        first.setdefault(path, inode)
    assert found.files == len(first)
    assert found.repeated == len(files) - len(first)
    assert found.bytes_each == sum(size_of[inode] for inode in first.values())
    assert found.bytes_once == sum(size_of[inode] for inode in set(first.values()))


@given(st.lists(st.binary(min_size=1, max_size=12), max_size=300))
def test_what_was_seen_is_not_new(names: list[bytes]) -> None:
    seen, model = Seen(10_000), set[bytes]()
    for name in names:
        assert seen.is_new(name) == (name not in model)
        model.add(name)


def test_a_full_memory_says_so() -> None:
    seen = Seen(100)
    assert all(seen.is_new(b"%d" % at) for at in range(100))
    was_full = seen.full
    assert seen.is_new(b"another")
    assert (was_full, seen.full) == (False, True)
    assert not seen.is_new(b"7")


# --- forms -------------------------------------------------------------------------------------------------------


@given(st.binary(min_size=1, max_size=40).filter(lambda path: b"\0" not in path))
def test_every_path_that_the_wrapper_writes_is_read_back(path: bytes) -> None:
    written = load_wrapper().escaped(b"/srv/" + path)
    (entry,) = entries(own(b"5\t1:2:1\t" + written.encode() + b"\n"))
    assert entry.path.encode("utf-8", "surrogateescape") == b"/srv/" + path
    assert (entry.size, entry.key, entry.names) == (5, "1:2", 1)


def test_the_wrappers_sums() -> None:
    told = own(b"", listed=False, files=3, bytes=None, bytes_each=9, unreadable=1, missing_roots=["/a\\x09b"])
    summary = read_inventory([gzip.compress(told)]).summary
    assert summary is not None
    assert summary.taken_at == datetime(2026, 11, 20, 3, tzinfo=UTC)
    found = from_summary(summary)
    assert (found.bytes_once, found.bytes_each, found.files, found.whole) == (None, 9, 3, False)
    assert found.missing_roots == ("/a\tb",)


LISTINGS = {
    "find": b"4\t1:9:2\tf\t/srv/a\nb\x004096\t1:8:2\td\t/srv/d\x001\t1:7:1\tl\t/srv/l\x003\t1:6:1\tf\t/srv/caf\xe9\x00",
    "powershell": (
        '#TYPE Selected.System.IO.FileInfo\r\n"FullName","Length","LinkType"\r\n"/srv/a, ""b""","4",\r\n'
        '"/srv/d",,\r\n"/srv/l",,"Junction"\r\n"/srv/c","3","HardLink"\r\n'
    ).encode("utf-16"),
    "rclone": b'[\n{"Path":"srv/a","Size":4,"IsDir":false},\n{"Path":"srv/d","Size":-1,"IsDir":true},\n'
    b'{"Path":"srv/c","Size":3},\n{"Path":"srv/doc","Size":-1,"IsDir":false}\n]\n',
    "robocopy": b"\r\n\t\t\t 4\t\\\\nas\\srv\\a b\r\n\t\t\t 3\t\\\\nas\\srv\\c\r\n",
    "proxmox-backup": b'd "./root.pxar.didx"\nf "./root.pxar.didx/srv/a\\"b" 4 2026-11-20\n'
    b'l "./root.pxar.didx/srv/l"\nf "./root.pxar.didx/srv/c" 3 2026-11-20T00:00:00Z\n',
}


@pytest.mark.parametrize("form", LISTINGS)
@pytest.mark.parametrize("zipped", [False, True])
def test_listings_that_people_make(form: str, zipped: bool) -> None:
    content = gzip.compress(LISTINGS[form]) if zipped else LISTINGS[form]
    assert read_inventory([content]).form == form
    files = [entry for entry in entries(content) if entry.kind == "file"]
    assert [entry.size for entry in files][:2] == [4, 3]
    found = measure(roots_only(("/srv", "//nas/srv")), read_inventory([content]))
    assert (found.files, found.bytes_each) == (2, 7)
    assert found.bytes_once == (7 if form == "find" else None)
    assert found.links == (1 if form in ("find", "powershell", "proxmox-backup") else 0)
    assert found.unreadable == (1 if form == "rclone" else 0)


def test_what_lies_below_a_link_is_not_counted_a_second_time() -> None:
    told = b"0\t1:1:1\tl\t/srv/link\x005\t1:2:1\tf\t/srv/link/a\x005\t1:2:1\tf\t/srv/real/a\x00"
    found = measured(told)
    assert (found.files, found.bytes_each, found.links, found.elsewhere) == (1, 5, 1, 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hello\n", "line 1: is of no form"),
        (own(b"", backledger_inventory=2), "a newer wrapper"),
        (own(b"1\t1:1:1\t/srv/a\n", listed=False), "line 2: lines of files"),
        (own(b"", files=-1, listed=False), "files must be a whole number"),
        (own(b"", bytes_each=2**63, listed=False), "bytes_each must be a whole number"),
        (own(b"", roots="x"), "roots must be a list"),
        (own(b"-1\t1:1:1\t/srv/a\n"), "line 2: '-1' is no whole number"),
        (own(b"1e3\t1:1:1\t/srv/a\n"), "is no whole number"),
        (own(b"1\t1:1\t/srv/a\n"), "must be three whole numbers"),
        (own(b"1\t1:1:1\t\n"), "has no path"),
        (own(b"1\t1:1:1\t/srv/\\q\n"), "an escape in the path"),
        (own(b"1\t1:1:1\t/" + b"a" * 40_000 + b"\n"), "a path of more than"),
        (own(b"1" * 200_000), "longer than 160 KiB"),
        (b"[\n{]\n", "not one object of JSON"),
        (b'"FullName","Length"\n"/srv/a","x"\n', "line 2: 'x' is no whole number"),
        (gzip.compress(own(b""))[:-9], "cut off"),
        (b"\x1f\x8bnonsense", "broken"),
        (b"{" * 9000, "no form"),
        (b'{"backledger_inventory": ' + b"[" * 9000 + b"\n", "is not the JSON"),
    ],
)
def test_what_is_no_inventory_is_refused_in_words(content: bytes, words: str) -> None:
    with pytest.raises(BadInventory, match=words.replace("[", "\\[")):
        measured(content)


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=300), st.sampled_from([b"", own(b""), b"1\t1:1:1\tf\t/a\x00", b'"FullName","Length"\n', b"[\n"])
)
def test_any_bytes_are_measured_or_refused(tail: bytes, start: bytes) -> None:
    try:
        found = measured(start + tail)
    except BadInventory:
        return
    assert found.bytes_each >= 0


def test_millions_of_hostile_lines_stay_within_bounds() -> None:
    """Every file in a folder of its own, every inode with several names: nothing may be kept for each."""

    def flood(number: int) -> Iterator[bytes]:
        yield own(b"")
        for start in range(0, number, 500):
            yield b"".join(b"1\t1:%d:2\t/srv/%d/x\n" % (at, at) for at in range(start, start + 500))

    tracemalloc.start()
    try:
        found = measure(roots_only(("/srv",)), read_inventory(flood(60_000)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.files == 60_000
    assert peak < 16 * 2**20
    with pytest.raises(BadInventory, match="more than 1,000 files"):
        measure(roots_only(("/srv",)), read_inventory(flood(2000)), most_files=1000)


def test_a_small_archive_does_not_become_a_flood() -> None:
    bomb = gzip.compress(own(b"") + b"\n" * 20_000_000)
    tracemalloc.start()
    try:
        assert measured(bomb).files == 0
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 2**20
