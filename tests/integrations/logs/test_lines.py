"""Lines of hostile bodies: numbered as in the log, cheap where they are blank, limited in number."""

from __future__ import annotations

import pytest

from integrations.logs import read
from integrations.logs.bytes_to_text import MAX_LINES, raw_lines
from integrations.logs.joblog import Delivery, UnreadableLog


def test_of_blank_lines_only_the_first_comes_and_numbers_stay() -> None:
    assert list(raw_lines(b"a\n\n\r\n\nb\n\nc")) == [(1, b"a"), (2, b""), (5, b"b"), (6, b""), (7, b"c")]


def test_what_a_carriage_return_overwrote_has_the_number_of_its_line() -> None:
    assert list(raw_lines(b"10%\r20%\r\r\ndone\r\n")) == [(1, b"10%"), (1, b"20%"), (2, b"done")]


def test_a_body_of_line_ends_is_read_to_its_end() -> None:
    assert list(raw_lines(b"\n" * (MAX_LINES + 10) + b"end")) == [(1, b""), (MAX_LINES + 11, b"end")]


def test_more_lines_than_any_log_has_are_refused_with_their_number() -> None:
    body = b"a\n" * (MAX_LINES + 1)
    with pytest.raises(UnreadableLog, match="more than 2,000,000 lines"):
        list(raw_lines(body))
    reading = read(Delivery(stdout=body, format="rsync", exit_code=0))
    assert (reading.error, reading.line) == ("this log has more than 2,000,000 lines", MAX_LINES + 1)
