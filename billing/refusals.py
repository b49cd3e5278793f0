"""What billing refuses, as a sentence for the person who asked; pages and the API show it as it is."""

from __future__ import annotations


class Refused(Exception):
    """Something cannot be done now; ``reason`` is a sentence that says why and what would help."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotFound(Refused):
    """No such document within this tenant."""
