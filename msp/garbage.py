"""How often Python looks for garbage where much is made in batches."""

from __future__ import annotations

import gc
from functools import cache


@cache
def collect_seldom() -> None:
    """Once in the life of a process that works in batches: look seldom, and never at what was loaded at the start.

    A batch makes tens of thousands of values and drops them by itself; at its usual pace the collector looks at all of
    them again and again, for a quarter of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
