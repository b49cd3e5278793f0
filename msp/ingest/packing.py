"""Bodies as they are kept: compressed with zstd and, while they are small, with words that backup logs share.

Most logs are a few kilobytes, too short to find their own repetitions in: a dictionary of such words halves what they
take. Which one a body was packed with stands in its ``codec``; a dictionary in use is never changed, a better one is a
further file and a further codec.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import zstandard

LEVEL = 3
PLAIN, WORDS = "zstd", "zstd-1"
#: Codecs with a dictionary, and the file that holds it.
DICTIONARIES = {WORDS: "log_words_1.zdict"}
#: Larger bodies find their own words.
MOST_WITH_WORDS = 64 * 1024


@cache
def dictionary(codec: str) -> zstandard.ZstdCompressionDict:
    """The words of a codec, made ready for packing once a process."""
    words = zstandard.ZstdCompressionDict((Path(__file__).parent / DICTIONARIES[codec]).read_bytes())
    words.precompute_compress(level=LEVEL)
    return words


class Packer:
    """Packs bodies one after another; for one thread at a time."""

    def __init__(self) -> None:
        self._plain = zstandard.ZstdCompressor(level=LEVEL)
        self._words = zstandard.ZstdCompressor(level=LEVEL, dict_data=dictionary(WORDS))

    def pack(self, content: bytes) -> tuple[str, bytes]:
        """The codec, and the body in it."""
        if len(content) > MOST_WITH_WORDS:
            return PLAIN, self._plain.compress(content)
        return WORDS, self._words.compress(content)


def unpack(codec: str, size: int, content: bytes) -> bytes:
    """The body as it came, of ``size`` bytes. Raises zstandard.ZstdError where it is damaged."""
    words = dictionary(codec) if codec in DICTIONARIES else None
    return zstandard.ZstdDecompressor(dict_data=words).decompress(content, max_output_size=size)
