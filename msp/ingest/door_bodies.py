"""Takes a request's body in: decompressed as it comes, never more than the limit, never more in all than the budget.

Called by the door. A compressed bomb is noticed while it unfolds; a body that ends early, or whose compression is
broken or unknown, is a ``Refusal``. ``Budget`` bounds what all requests of the process hold together, stored or not.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any, Protocol

import zstandard

from integrations.logs.bytes_to_text import clean
from msp.ingest.door_requests import Refusal, Request

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

#: Largest window of zstd that is accepted, in bytes; what its ordinary levels use is far below.
WINDOW = 2**25


class BudgetSpent(Exception):
    """All requests together hold as much as this process may: the sender must come back later."""


class Budget:
    """Bytes that requests in hand may hold together."""

    def __init__(self, most: int) -> None:
        self._left = most

    def take(self, size: int) -> None:
        """Raises BudgetSpent."""
        if size > self._left:
            raise BudgetSpent
        self._left -= size

    def give_back(self, size: int) -> None:
        self._left += size


class Unfolding(Protocol):
    """Decompresses a body. ``step`` is how many bytes one ``feed`` may be given: never more than unfold to 16 MiB."""

    step: int

    def feed(self, piece: bytes) -> bytes: ...

    def end(self) -> None: ...


class Plain:
    """A body that is not compressed."""

    step = 2**30

    def feed(self, piece: bytes) -> bytes:
        return piece

    def end(self) -> None:
        return


class Inflating:
    """gzip (of one or more members), zlib, and deflate without a head."""

    step = 16 * 1024

    def __init__(self) -> None:
        self._wbits = zlib.MAX_WBITS | 32
        self._state = zlib.decompressobj(self._wbits)
        self._begun = False

    def feed(self, piece: bytes) -> bytes:
        out = b""
        while piece:
            if self._state.eof:
                self._state = zlib.decompressobj(self._wbits)
            try:
                out += self._state.decompress(piece)
            except zlib.error as error:
                if self._begun or self._wbits < 0:
                    raise broken(str(error)) from error
                self._wbits = -zlib.MAX_WBITS
                self._state = zlib.decompressobj(self._wbits)
                continue
            self._begun = True
            piece = self._state.unused_data
        return out

    def end(self) -> None:
        if not self._state.eof:
            raise broken("it ends too early")


class Unpacking:
    """zstd, of one or more frames. A block of four bytes may unfold to 128 KiB."""

    step = 512

    def __init__(self) -> None:
        self._packer = zstandard.ZstdDecompressor(max_window_size=WINDOW)
        self._state = self._packer.decompressobj()

    def feed(self, piece: bytes) -> bytes:
        out = b""
        while piece:
            if self._state.eof:
                self._state = self._packer.decompressobj()
            try:
                out += self._state.decompress(piece)
            except zstandard.ZstdError as error:
                raise broken(str(error)) from error
            piece = self._state.unused_data if self._state.eof else b""
        return out

    def end(self) -> None:
        if not self._state.eof:
            raise broken("it ends too early")


def unfolding_of(encoding: str) -> Unfolding:
    """How to decompress. Raises Refusal for an encoding that is not known."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return Plain()
    if name in ("gzip", "x-gzip", "deflate"):
        return Inflating()
    if name == "zstd":
        return Unpacking()
    raise Refusal(415, f"Content-Encoding {clean(name, 80)} is not known: send gzip, deflate, zstd or none.")


async def read_body(request: Request, receive: Receive, *, most: int, hold: Callable[[int], None]) -> bytes:
    """The whole body, decompressed; ``hold`` is told the bytes kept as they come. Raises Refusal, BudgetSpent."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise too_large(most)
    unfolding = unfolding_of(request.headers.get("content-encoding", ""))
    pieces: list[bytes] = []
    raw = total = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "The connection ended before the body did.")
        chunk = message.get("body", b"")
        raw += len(chunk)
        if raw > most:
            raise too_large(most)
        for piece in unfold(unfolding, chunk, left=most - total, most=most):
            total += len(piece)
            hold(len(piece))
            pieces.append(piece)
        if not message.get("more_body"):
            if raw:
                unfolding.end()
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def unfold(unfolding: Unfolding, chunk: bytes, *, left: int, most: int) -> Iterator[bytes]:
    """The chunk step by step; raises Refusal as soon as there is more than ``left``; it names ``most``."""
    total = 0
    for start in range(0, len(chunk), unfolding.step):
        piece = unfolding.feed(chunk[start : start + unfolding.step] if len(chunk) > unfolding.step else chunk)
        total += len(piece)
        if total > left:
            raise too_large(most)
        yield piece


def too_large(most: int) -> Refusal:
    return Refusal(
        413,
        f"The log is larger than the {most:,} bytes that are accepted, counted after decompression.",
        name="too-large",
        headers={"connection": "close"},
    )


def broken(why: str) -> Refusal:
    return Refusal(400, f"The compressed body cannot be read: {clean(why, 200)}.")
