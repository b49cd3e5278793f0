"""From the chunks of a listing to its lines: unzipped, in UTF-8, each of bounded length, never all at once in memory.

Every byte that comes out of an archive is counted as it comes, so that a small archive cannot become a flood.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterable, Iterator

from integrations.selections.refusals import BadInventory

#: Bytes of one line; of a whole listing, as it comes and unzipped.
MAX_LINE, MAX_BYTES = 160 * 1024, 4 * 1024**3
_PIECE = 64 * 1024
_UTF16 = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def opened(chunks: Iterable[bytes], *, most: int = MAX_BYTES) -> Iterator[bytes]:
    """The listing's bytes as UTF-8, whether it came zipped (gzip, of any number of members) or in UTF-16."""
    first, rest = _first(chunks)
    if first.startswith(b"\x1f\x8b"):
        first, rest = _first(_unzipped(_chain(first, rest)))
    out = 0
    for piece in _as_utf8(first, rest):
        out += len(piece)
        if out > most:
            raise BadInventory(0, f"the listing is larger than {most // 2**20} MiB.")
        yield piece


def _first(chunks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Enough of the beginning to know what it is, and what follows."""
    rest, start = iter(chunks), b""
    for chunk in rest:
        start += chunk
        if len(start) >= 4:
            break
    return start, rest


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _unzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    inflater = zlib.decompressobj(wbits=31)
    begun = True
    for chunk in chunks:
        waiting = chunk
        while waiting:
            if inflater.eof:
                if not waiting.strip(b"\0"):
                    break
                inflater = zlib.decompressobj(wbits=31)
            try:
                piece = inflater.decompress(waiting, _PIECE)
            except zlib.error as error:
                raise BadInventory(0, "the archive is broken.") from error
            waiting = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            begun = not inflater.eof
            if piece:
                yield piece
    if begun:
        raise BadInventory(0, "the archive is cut off.")


def _as_utf8(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    for mark, encoding in _UTF16:
        if first.startswith(mark):
            decoder = codecs.getincrementaldecoder(encoding)("replace")
            yield decoder.decode(first[len(mark) :]).encode("utf-8", "replace")
            for chunk in rest:
                yield decoder.decode(chunk).encode("utf-8", "replace")
            return
    yield first.removeprefix(codecs.BOM_UTF8)
    yield from rest


def lines_of(pieces: Iterable[bytes], *, end: bytes = b"\n") -> Iterator[bytes]:
    """The lines without their ends; the last may have none. Raises BadInventory for one that does not end."""
    number, left = 0, b""
    for piece in pieces:
        lines = (left + piece).split(end)
        left = lines.pop()
        for line in lines:
            if len(line) > MAX_LINE:
                break
            number += 1
            yield line
        if len(left) > MAX_LINE or (lines and len(lines[-1]) > MAX_LINE):
            raise BadInventory(number + 1, f"longer than {MAX_LINE // 1024} KiB: this is no listing of files.")
    if left:
        yield left
