"""How a call to another system can fail; raised by every gateway, handled by the lanes of the outbox.

``OutcomeUnknown`` is the dangerous one: the call may have worked. Whoever catches it must look the object up by our
own reference before repeating anything.
"""

from __future__ import annotations


class DeliveryFailure(Exception):
    """Base of the three ways in which a delivery to another system fails. The text is shown to a person."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TemporaryFailure(DeliveryFailure):
    """Nothing was done there; the same call may work later. ``retry_after`` is in seconds, None if not told."""

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class PermanentFailure(DeliveryFailure):
    """Nothing was done there, and repeating will not help: a person must change something."""


class NotThere(PermanentFailure):
    """What was asked for does not exist there, or not any more."""


class OutcomeUnknown(DeliveryFailure):
    """The call may or may not have worked (lost answer, time-out after sending)."""
