"""Says whether work grows with its length or with the square of it, on a machine that is busy with other things.

Processor time, without the collector (its cost is that of all that the test process holds), the best of several tries:
one undisturbed try is enough to pass, and no number of tries makes quadratic work linear.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from time import process_time

TRIES = 6
#: Seconds after which no further try is begun: what takes so long is not a moment's disturbance.
ENOUGH_SECONDS = 45
#: Below this a figure says more about the machine than about the work.
FLOOR_SECONDS = 0.002


def assert_grows_linearly(
    work: Callable[[int], object], *, small: int, large: int, factor: float = 4, floor: float = FLOOR_SECONDS
) -> None:
    """``work`` of ``large`` costs at most ``factor`` times what its length alone would, measured against ``small``.

    The further apart the two, the smaller a quadratic part is found beside a linear one: with the usual factor and ten
    times the length one that is half of the linear part at ``small``, with twenty times one that is a fifth of it.
    """
    allowed, shortest, longest = factor * large / small, float("inf"), float("inf")
    for _ in tries():
        shortest = min(shortest, seconds_of(work, small))
        longest = min(longest, seconds_of(work, large))
        if longest <= allowed * max(shortest, floor):
            return
    raise AssertionError(f"{large} took {longest:.4f} s, {small} took {shortest:.4f} s: more than {allowed:.0f} times")


def assert_is_quick(work: Callable[[], object], *, seconds: float) -> None:
    """For what would take minutes if it were done wrongly: the best of several tries is below a generous limit."""
    best = float("inf")
    for _ in tries():
        best = min(best, seconds_of(lambda _: work(), 0))
        if best <= seconds:
            return
    raise AssertionError(f"took {best:.2f} s of processor time, and may take {seconds} s")


def tries() -> Iterator[int]:
    """As many as are worth their time."""
    begun = process_time()
    for number in range(TRIES):
        if number == 0 or process_time() - begun < ENOUGH_SECONDS:
            yield number


def seconds_of(work: Callable[[int], object], size: int) -> float:
    """Processor time of one call."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        begun = process_time()
        work(size)
        return process_time() - begun
    finally:
        if collecting:
            gc.enable()
