"""Zeros in a history, against what came before them: runs that succeed and hold nothing.

The rule about implausible zeros judges them; the one about sizes leaves them to it, so that one happening is one
incident. Both ask here what a fall to nothing is: zeros after runs of which most had something. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median_low

from alerts.facts import RunPoint


@dataclass(frozen=True)
class Zeros:
    """The zeros at the end of the history, oldest first, and the usual figure of the ``samples`` runs before them."""

    runs: Sequence[RunPoint]
    usual: int
    samples: int


def zeros_at_end(history: Sequence[RunPoint], figure: Callable[[RunPoint], int | None]) -> Zeros | None:
    """The good runs that told a zero last; None where the newest that tells is not zero, or nothing came before."""
    told = [(point, value) for point in history if point.good and (value := figure(point)) is not None]
    first = len(told)
    while first and told[first - 1][1] == 0:
        first -= 1
    if first in (0, len(told)):
        return None
    return Zeros([point for point, _ in told[first:]], median_low([value for _, value in told[:first]]), first)


def without_falls(history: Sequence[RunPoint]) -> tuple[RunPoint, ...]:
    """The runs without the zeros of each fall of the protected size to nothing. Zeros that are as usual stay."""
    kept: list[RunPoint] = []
    told: list[int] = []
    usual = 0
    for point in history:
        size = point.protected_bytes
        if point.good and size is not None:
            if size == 0 and told and told[-1]:
                usual = median_low(told)
            told.append(size)
        if size != 0 or not point.good or usual == 0:
            kept.append(point)
    return tuple(kept)
