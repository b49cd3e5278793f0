"""``.SEL`` files: sections, folders, files, expressions, forms of paths, and what is refused with its line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.selections.paths import plain
from integrations.selections.refusals import BadDefinition
from integrations.selections.sel import read_sel
from tests.growth import assert_grows_linearly

EXAMPLE = r"""
# what Acme wants
[Everyday]
+ C:\Users\ /s
+ "\\?\C:\Shares\" /s - <.*\\Temp\\.*> - <.*\.iso>
- C:\Users\All Users\
[Weekend]
+ D:\SQL\erp.mdf
"""


def verdict(text: str, path: str, **options: object) -> int:
    given = plain(path)
    return read_sel(text.encode(), **options).look(given[: given.rfind("/")])(given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("C:\\Users\\ann\\a.txt", 4),
        ("c:\\USERS\\ANN\\A.TXT", 4),
        ("C:\\Users\\file", 4),
        ("C:\\Users2\\file", 0),
        ("C:\\Users\\All Users\\x\\y", -6),
        ("C:\\Shares\\a\\b.doc", 5),
        ("C:\\Shares\\temp\\b.doc", -5),
        ("C:\\Shares\\TEMPLE\\b.doc", 5),
        ("C:\\Shares\\a.ISO", -5),
        ("\\\\?\\C:\\Shares\\a.txt", 5),
        ("D:\\SQL\\erp.mdf", 8),
        ("D:\\SQL\\erp.mdf2", 0),
        ("D:\\SQL\\erp.mdf\\x", 0),
    ],
)
def test_the_example_of_the_product(path: str, expected: int) -> None:
    assert verdict(EXAMPLE, path) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_any_unicode_is_read(encoding: str) -> None:
    text = "[Everyday]\r\n+ C:\\Überblick\\ /s\r\n"
    look = read_sel(text.encode(encoding)).look
    assert look("C:/Überblick/a")("C:/Überblick/a/b") == 2


def test_without_s_only_the_folder_itself_and_excludes_then_get_a_note() -> None:
    text = "[Everyday]\n+ C:\\a\\ - <.*\\.tmp>\n"
    assert [verdict(text, f"C:\\a\\{name}") for name in ("x", "x.tmp", "b\\x")] == [2, -2, 0]
    assert read_sel(text.encode()).notes[0].startswith("Line 2 has no /s")


def test_the_deepest_line_decides_and_a_deselection_wins_at_the_same_depth() -> None:
    text = "[Everyday]\n+ C:\\a\\ /s\n- C:\\a\\b\\\n+ C:\\a\\b\\c\\ /s\n+ C:\\d\\ /s\n- C:\\d\\\n- C:\\a\\one.txt\n"
    told = [verdict(text, f"C:\\{path}") for path in ("a\\x", "a\\b\\x", "a\\b\\c\\x", "d\\x", "a\\one.txt")]
    assert told == [2, -3, 4, -6, -7]


def test_what_is_protected_is_the_union_of_the_days() -> None:
    text = "[Weekdays]\n+ C:\\a\\ /s\n[Weekend]\n- C:\\a\\\n[Saturday]\n+ C:\\b\\ /s\n[Everyday]\n- C:\\b\\c\\\n"
    assert verdict(text, "C:\\a\\x") == 2
    assert verdict(text, "C:\\b\\x") == 6
    assert verdict(text, "C:\\b\\c\\x") == -8


def test_shares_and_variables() -> None:
    text = "[Everyday]\n+ \\\\nas\\data\\ /s\n+ \\\\?\\UNC\\nas2\\data\\ /s\n+ %USERS%\\ann\\ /s\n+ %Work%\\ /s\n"
    variables = {"work": "E:\\Work"}
    paths = ["\\\\nas\\data\\x", "\\\\?\\UNC\\NAS\\data\\x", "\\\\nas2\\data\\y", "C:\\Users\\ann\\x", "E:\\work\\x"]
    assert [verdict(text, path, variables=variables) for path in paths] == [2, 2, 3, 4, 5]


def test_a_number_sign_within_a_path_is_no_comment() -> None:
    assert verdict("[Tuesday]\n+ \\\\?\\E:\\test#123\\judy2.rtf\n", "E:\\test#123\\judy2.rtf") == 2


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[Noday]\n+ C:\\a\\", 1, "is no section"),
        ("[Everyday]\n\nC:\\a", 3, "a line begins with"),
        ("[Everyday]\n+ %NOPE%\\a\\ /s", 2, "%NOPE% stands for is not known"),
        ("[Everyday]\n+ a\\b\\", 2, "is no full path"),
        ('[Everyday]\n+ "C:\\a\\', 2, "not closed"),
        ("[Everyday]\n+ C:\\*.doc", 2, "leave out by expressions"),
        ("[Everyday]\n+ C:\\a\\ /s - <(>", 2, "cannot be used"),
        ("[Everyday]\n+ C:\\a\\ /s - <(a)\\1>", 2, "back references are not known"),
        ("[Everyday]\n+ C:\\a\\ /s - <(?=a)b>", 2, "look-around"),
        ("[Everyday]\n+ C:\\a\\ /s - <.*", 2, "does not end with"),
        ("[Everyday]\n- C:\\a\\", 0, "selects nothing"),
        ("[Everyday]\n+ C:\\a\\ /s - <(((a{100}){100}){100}){100}>", 2, "cannot be used"),
    ],
)
def test_what_cannot_be_used_names_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(BadDefinition, match=words.replace("(", "\\(")) as refused:
        read_sel(text.encode())
    assert refused.value.line == line


def test_expressions_that_others_choke_on_take_linear_time() -> None:
    """Ten times the path takes about ten times as long, where a backtracking engine would take ages."""
    text = b"[Everyday]\n+ C:\\ /s - <(a+)+$> - <(a|aa)*b> - <.*.*.*.*.*x>\n"
    judge = read_sel(text).look("C:")
    assert judge("C:/" + "a" * 50) == 2

    def work(length: int) -> None:
        path = "C:/" + "a" * length
        for _ in range(20):
            judge(path)

    assert_grows_linearly(work, small=3_000, large=30_000)


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=400)
    | st.text(max_size=200).map(lambda text: ("[Everyday]\n+ C:\\" + text).encode("utf-8", "replace"))
)
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        roots = read_sel(content).roots
    except BadDefinition:
        return
    assert roots
