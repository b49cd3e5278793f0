"""Suggests which agreement line a plan is, by their names; a person decides. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from integrations.agreements.contract import AgreementLine

SIMILAR = 0.6


def suggest_line(plan_name: str, lines: Sequence[AgreementLine]) -> AgreementLine | None:
    """The line whose name is most like the plan's; None when none is, or two are alike."""
    ranked = sorted(((likeness(plan_name, line.name), line) for line in lines), key=lambda pair: -pair[0])
    if not ranked or ranked[0][0] < SIMILAR or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
        return None
    return ranked[0][1]


def likeness(ours: str, theirs: str) -> float:
    """1 for the same words in any order and case, 0 for nothing in common."""
    first, second = (" ".join(sorted(re.findall(r"\w+", name.casefold()))) for name in (ours, theirs))
    return SequenceMatcher(None, first, second).ratio() if first and second else 0.0
