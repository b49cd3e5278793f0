"""Why a definition or an inventory cannot be used: one sentence, with the line it is about."""

from __future__ import annotations


class Unusable(ValueError):
    """``line`` counts from 1; 0 where the whole is meant. ``reason`` is the rest of a sentence."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.line = line
        self.reason = reason


class BadDefinition(Unusable):
    """A selection definition that cannot be used."""


class BadInventory(Unusable):
    """An inventory that cannot be used."""
