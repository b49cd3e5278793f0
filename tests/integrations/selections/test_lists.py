"""restic's and borg's lists, against what their documentation says of each pattern; and the guess which kind it is."""

from __future__ import annotations

import pytest

from integrations.selections.definition import Definition
from integrations.selections.definitions import likely_kind, read_definition
from integrations.selections.refusals import BadDefinition

ROOTS = ("/home/ann", "/srv")


def verdict(definition: Definition, path: str) -> int:
    return definition.look(path[: path.rfind("/")] or "/")(path)


def judged(kind: str, text: str, path: str, roots: tuple[str, ...] = ROOTS) -> int:
    return verdict(read_definition(text.encode(), kind=kind, roots=roots), path)


@pytest.mark.parametrize(
    ("pattern", "path", "out"),
    [
        ("*.go", "/srv/a/b.go", True),
        ("*.go", "/srv/a/b.gox", False),
        ("foo/**/bar", "/srv/foo/x/y/bar", True),
        ("foo/**/bar", "/srv/foo/bar", True),
        ("foo/**/bar", "/srv/foo/x/barn", False),
        ("/foo/bar", "/srv/foo/bar", False),
        ("/srv/foo", "/srv/foo/x/y", True),
        ("/srv/foo", "/srv/foo2/x", False),
        ("node_modules", "/srv/a/node_modules/x/y", True),
        ("cache/*", "/srv/a/cache/x", True),
        ("cache/*", "/srv/a/cache", False),
        ("?.txt", "/srv/a.txt", True),
        ("?.txt", "/srv/ab.txt", False),
        ("[a-c].txt", "/srv/b.txt", True),
        ("[^a-c].txt", "/srv/b.txt", False),
        ("\\*.txt", "/srv/b.txt", False),
        ("\\*.txt", "/srv/*.txt", True),
        ("a**b", "/srv/axxb", True),
        ("*.TXT", "/srv/a.txt", False),
    ],
)
def test_restic_patterns(pattern: str, path: str, out: bool) -> None:
    assert judged("restic", pattern, path) == (-1 if out else 3)


def test_restic_without_regard_to_case() -> None:
    assert judged("restic-i", "*.TXT", "/srv/a.txt") == -1


def test_restic_takes_back_but_not_below_what_is_left_out() -> None:
    documented = "/home/ann/**/*\n!/home/ann/Documents\n!/home/ann/code\n"
    assert judged("restic", documented, "/home/ann/x/y") == -1
    assert judged("restic", documented, "/home/ann/Documents/a/b") == 4
    below = "/srv/a\n!/srv/a/b\n"
    assert judged("restic", below, "/srv/a/b/c") == -1
    last = "*.log\n!keep.log\nsub/keep.log\n"
    assert [judged("restic", last, f"/srv/{path}") for path in ("x.log", "keep.log", "sub/keep.log")] == [-1, 5, -3]


def test_what_lies_outside_of_the_roots_is_not_meant() -> None:
    assert judged("restic", "*.x", "/etc/passwd") == 0
    assert judged("restic", "*.x", "/srv2/a") == 0


def test_variables_of_restic() -> None:
    definition = read_definition(b"$HOME/x\n$$5\n", kind="restic", roots=ROOTS, variables={"HOME": "/home/ann"})
    assert [verdict(definition, path) for path in ("/home/ann/x/1", "/srv/$5", "/srv/x")] == [-1, -2, 4]
    with pytest.raises(BadDefinition, match=r"line 1: what \$NOPE stands for"):
        read_definition(b"${NOPE}/x", kind="restic", roots=ROOTS)


BORG = """R /home
+ sh:home/ann/keep/**
- sh:home/*/tmp
- fm:*/.cache/*
- re:\\.iso$
- pf:home/bob/one.txt
! pp:home/closed
+ pp:home/closed/not
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/home/x", 1),
        ("/home/ann/keep/tmp/a.iso", 1),
        ("/home/ann/tmp/x", -3),
        ("/home/ann/deep/tmp/x", 1),
        ("/home/a/.cache/x/y", -4),
        ("/home/a.iso", -5),
        ("/home/a.isox", 1),
        ("/home/bob/one.txt", -6),
        ("/home/bob/one.txt2", 1),
        ("/home/closed/not/x", -7),
        ("/etc/x", 0),
    ],
)
def test_borg_patterns(path: str, expected: int) -> None:
    assert judged("borg", BORG, path) == expected


def test_borgs_exclude_file_has_fm_and_p_sets_a_style() -> None:
    assert judged("borg-exclude", "/home/*/junk\n", "/home/ann/a/junk", roots=("/home",)) == -1
    assert judged("borg", "R /home\nP fm\n- home/*.o\n", "/home/a/b.o") == -3
    assert judged("borg", "R /home\n- home/*.o\n", "/home/a/b.o") == 1
    with pytest.raises(BadDefinition, match="line 2: 'xx' is no style"):
        judged("borg", "R /home\nP xx\n", "/home/a")


def test_plain_lists_of_paths() -> None:
    text = "/srv/a\n+ /srv/b\n- /srv/a/c\nC:\\data\n# x\n"
    definition = read_definition(text.encode(), kind="paths")
    assert [verdict(definition, path) for path in ("/srv/a/x", "/srv/b", "/srv/a/c/d", "C:/data/x", "/srv/x")] == [
        1, 2, -3, 4, 0,
    ]  # fmt: skip
    with pytest.raises(BadDefinition, match="line 1: 'srv' is no full path"):
        read_definition(b"srv", kind="paths")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[Everyday]\n+ C:\\a\\ /s", "sel"),
        ("+ C:\\a\\ /s", "sel"),
        ("R /srv\n- *.o", "borg"),
        ("/srv\n/home\n- /srv/x", "paths"),
        ("*.tmp\n!x\n/srv/a", "restic"),
    ],
)
def test_the_kind_is_guessed(text: str, kind: str) -> None:
    assert likely_kind(text.encode()) == kind


def test_too_many_and_too_large_expressions_are_refused() -> None:
    with pytest.raises(BadDefinition, match="more than 2000 expressions"):
        read_definition(b"a*b\n" * 2001, kind="restic", roots=ROOTS)
    with pytest.raises(BadDefinition, match="too large together"):
        read_definition(b"- re:(\\pL{20}){20}\n" * 1500, kind="borg", roots=ROOTS)
