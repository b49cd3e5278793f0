"""A file of usage is read or refused with a sentence and a line, whatever bytes it is made of."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.refusals import Refused
from billing.usage_files import LARGEST, MOST_BYTES, read_usage_file

HEAD = "client,selection,day,metric,bytes\n"
LINE = "Acme Dental,files,2026-10-31,protected,500\n"


def read(text: str, encoding: str = "utf-8") -> tuple[object, list[str]]:
    rows, refused = read_usage_file(text.encode(encoding))
    return rows, [f"{each.line}: {each.sentence}" for each in refused]


def test_a_plain_file() -> None:
    (row,), refused = read_usage_file((HEAD + LINE).encode())
    assert refused == ()
    assert (row.line, row.client, row.selection, row.machine) == (2, "Acme Dental", "files", "")
    assert (row.day, row.metric, row.quantity, row.basis) == (date(2026, 10, 31), "protected", 500, "agreed")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("parted", [",", ";", "\t"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_what_spreadsheets_write(encoding: str, parted: str, ends: str) -> None:
    text = f"{HEAD}Zahnärzte Böhm,files,2026-10-31,protected,{LARGEST}\n\n".replace(",", parted).replace("\n", ends)
    (row,), refused = read_usage_file(text.encode(encoding))
    assert (row.client, row.quantity, refused) == ("Zahnärzte Böhm", LARGEST, ())


def test_quotes_may_hold_lines_and_the_number_stays_right() -> None:
    head = "client,selection,day,metric,bytes,note\n"
    text = head + '"A",b,2026-10-01,protected,1,"two\nlines"\nA,c,2026-10-01,protected,x,\n'
    rows, refused = read_usage_file(text.encode())
    assert (rows[0].line, rows[0].note) == (2, "two\nlines")
    assert [each.line for each in refused] == [4]


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"", "Line 1: a file has the columns client, selection or machine, day"),
        (HEAD.encode(), "a heading and no line"),
        (b"x" * (MOST_BYTES + 1), "10,000,001 bytes; at most 10,000,000"),
        ((HEAD + LINE + "B\u00f6hm,f\n").encode("latin-1"), 'Line 3 is not UTF-8: save the file as "CSV UTF-8"'),
        ((HEAD + "A\x00,f\n").encode(), r"Line 2 holds a character that no text has \(U\+0000\)"),
        (b"\xff\xfeA", "Line 1 is not UTF-8"),
        (b"PK\x03\x04" + b"\xde\xad" * 40, "Line 1 holds a character that no text has"),
        ((HEAD + '"A,f,2026-10-31,protected,1\n').encode(), "this is no CSV"),
        ((HEAD + '"A"x,f,2026-10-31,protected,1\n').encode(), "Line 2: this is no CSV"),
        (b"client,selection,day,metric,bytes,client\n", "the column client is there twice"),
        (b"client,selection,day,metric,size\n", "there is no column 'size'"),
        (b"client,day,metric,bytes\n", "selection or machine"),
        ((HEAD + f"{'x' * 140_000},f,2026-10-31,protected,1\n").encode(), "this is no CSV"),
    ],
)  # fmt: skip
def test_no_such_file_is_read(content: bytes, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        read_usage_file(content)


@pytest.mark.parametrize(
    "line, sentence",
    [
        ("A,f,2026-10-31,protected", "The line has 4 cells where the heading has 5."),
        (",f,2026-10-31,protected,1", "The client is missing: write its name or its code."),
        ("A,,2026-10-31,protected,1", "Write the selection, or the machine that it lies on."),
        ("A,f,31.10.2026,protected,1", "'31.10.2026' is no day: write it as 2026-10-31."),
        ("A,f,2027-02-29,protected,1", "There is no day 2027-02-29."),
        ("A,f,2026-10-31,size,1", "There is no metric 'size'"),
        ("A,f,2026-10-31,protected_largest,1", "The largest protected size is reckoned from the protected size"),
        ("A,f,2026-10-31,machines,1", "Machines go into the column count, not bytes."),
        ("A,f,2026-10-31,protected,-1", "'-1' is no whole number of bytes"),
        ("A,f,2026-10-31,protected,1.5", "'1.5' is no whole number of bytes"),
        ("A,f,2026-10-31,protected,1e9", "'1e9' is no whole number of bytes"),
        ("A,f,2026-10-31,protected,٣", "'٣' is no whole number of bytes"),
        ("A,f,2026-10-31,protected,9223372036854775808", "'9223372036854775808' is no whole number of bytes"),
        ("A,f,2026-10-31,protected,=1+1", "'=1+1' is no whole number of bytes"),
        ("A,f,2026-10-31,protected,", "'' is no whole number of bytes"),
    ],
)  # fmt: skip
def test_a_bad_line_is_refused_with_its_number_and_a_sentence(line: str, sentence: str) -> None:
    rows, refused = read(f"{HEAD}{LINE}{line}\n")
    (said,) = refused
    assert said.startswith(f"3: {sentence}")
    assert len(rows) == 1  # type: ignore[arg-type]


def test_a_leap_day_is_a_day() -> None:
    (row,), _ = read_usage_file(f"{HEAD}A,f,2028-02-29,protected,1\n".encode())
    assert row.day == date(2028, 2, 29)


def test_a_day_that_is_there_twice_is_refused() -> None:
    _, refused = read(HEAD + LINE + LINE)
    assert refused == ["3: The line says the same day of the same thing again as line 2."]


@pytest.mark.parametrize(
    "count, names, sentence",
    [
        ("2", "a|b", ""),
        ("2", "a | b |", ""),
        ("2", "", ""),
        ("3", "a|b", "3 are counted, but 2 different names are given."),
        ("2", "a|a", "2 are counted, but 1 different names are given."),
        ("withdrawn", "a", "None are counted"),
    ],
)
def test_names_are_as_many_as_are_counted(count: str, names: str, sentence: str) -> None:
    text = f"client,machine,day,metric,count,names\nA,srv,2026-10-31,components,{count},{names}\n"
    rows, refused = read_usage_file(text.encode())
    if sentence:
        assert refused[0].sentence.startswith(sentence)
    else:
        assert rows[0].names == tuple(name.strip() for name in names.split("|") if name.strip())


def outcome_of(content: bytes) -> list[str]:
    """The sentences that a file is answered with, as a whole or by its lines."""
    try:
        _, refused = read_usage_file(content)
    except Refused as refusal:
        return [refusal.reason]
    return [each.sentence for each in refused]


@given(st.binary(max_size=600))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    assert all(sentence.endswith(".") for sentence in outcome_of(content))


@given(st.text(max_size=300))
def test_any_text_below_the_heading_is_read_or_refused(text: str) -> None:
    sentences = outcome_of((HEAD + text).encode("utf-8", "surrogatepass"))
    assert all(sentence.endswith(".") for sentence in sentences)
