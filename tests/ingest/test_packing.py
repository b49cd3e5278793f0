"""How bodies are kept: small ones with shared words, at most a quarter of their raw size on the sample logs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import zstandard

from msp.ingest import packing
from msp.ingest.packing import DICTIONARIES, MOST_WITH_WORDS, PLAIN, WORDS, Packer, unpack

FIXTURES = Path(__file__).parents[1] / "fixtures" / "logs"
NOT_SENT = ("expected.json", "SOURCE.md", "command.txt")


@pytest.mark.parametrize(
    ("content", "codec"),
    [(b"", WORDS), (b"\x00\xff", WORDS), (b"x" * MOST_WITH_WORDS, WORDS), (b"x" * (MOST_WITH_WORDS + 1), PLAIN)],
)
def test_a_body_comes_out_as_it_went_in(content: bytes, codec: str) -> None:
    packed = Packer().pack(content)
    assert packed[0] == codec
    assert unpack(codec, len(content), packed[1]) == content


def test_bodies_that_were_kept_without_words_are_still_read() -> None:
    assert unpack("zstd", 5, zstandard.compress(b"a log")) == b"a log"


def test_a_dictionary_in_use_is_never_changed() -> None:
    """Another file means another name: what was packed with this one could not be read any more."""
    words = (Path(packing.__file__).parent / DICTIONARIES[WORDS]).read_bytes()
    assert hashlib.sha256(words).hexdigest() == "5fb2dd7b23a7d03d13ef7205c528862921ba5571b557beeb33c285222c457265"


def test_the_sample_logs_take_at_most_a_quarter_of_their_size() -> None:
    logs = [
        path.read_bytes()
        for folder in sorted(path.parent for path in FIXTURES.glob("*/*/expected.json"))
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name not in NOT_SENT
    ]
    packer = Packer()
    assert len(logs) > 100
    assert sum(len(packer.pack(log)[1]) for log in logs) <= sum(map(len, logs)) / 4
