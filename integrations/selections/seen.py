"""Remembers which files were met, in eight bytes each and a bounded number of them.

An open table of 64-bit digests, grown by doubling: a million names take 16 MiB. Two names that fall together are less
likely than a broken disk, and nobody can make them up. ``full`` says that the bound was reached; from then on a name
that was not met yet counts as new, and whoever measures says so.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b

_FIRST = 1 << 12


class Seen:
    """A set of names that only grows; ``most`` of them are remembered."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._table = array("Q", bytes(8 * _FIRST))
        self._mask = _FIRST - 1
        self._number = 0
        self.full = False

    def is_new(self, name: bytes) -> bool:
        """Whether this name was not met before; it is met now."""
        digest = int.from_bytes(blake2b(name, digest_size=8).digest(), "little") or 1
        if not self._put(digest):
            return False
        if self._number * 3 > self._mask * 2 and not self.full:
            self._grow()
        return True

    def _put(self, digest: int) -> bool:
        table, mask = self._table, self._mask
        place = digest & mask
        while found := table[place]:
            if found == digest:
                return False
            place = (place + 1) & mask
        if self._number >= self._most:
            self.full = True
            return True
        table[place] = digest
        self._number += 1
        return True

    def _grow(self) -> None:
        met, self._mask = self._table, self._mask * 2 + 1
        self._table = array("Q", bytes(8 * (self._mask + 1)))
        self._number = 0
        for digest in met:
            if digest:
                self._put(digest)
