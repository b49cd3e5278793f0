"""Agreements as the doubles of PSA systems keep them: what people there agreed on, line by line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from integrations.agreements import AgreementSystem
from tests.doubles.desk import Desk


@dataclass
class KeptLine:
    """A line there. ``since`` and ``ends`` are ISO days; ``changes`` counts what was written to it."""

    id: int
    agreement: int
    name: str
    quantity: float
    since: str = "2026-01-01"
    cancelled: str = ""
    gone: bool = False
    changes: list[tuple[float, str]] = field(default_factory=list)


@dataclass
class KeptAgreement:
    """An agreement there; ``ends`` is its last day, "" for none."""

    id: int
    company: int
    name: str
    ends: str = ""


@dataclass
class Agreements:
    """Two of Acme (company 17), one of which is another's in no way; one of the bakery (18)."""

    agreements: list[KeptAgreement] = field(
        default_factory=lambda: [
            KeptAgreement(501, 17, "Managed Backup"), KeptAgreement(502, 17, "Old Contract", ends="2025-12-31"),
            KeptAgreement(503, 18, "Bakery Care"),
        ]
    )  # fmt: skip
    lines: list[KeptLine] = field(
        default_factory=lambda: [
            KeptLine(9001, 501, "Backup storage per GB", 200), KeptLine(9002, 501, "Service desk", 1),
            KeptLine(9003, 502, "Tape rotation", 4), KeptLine(9004, 503, "Backup storage per GB", 40),
        ]
    )  # fmt: skip

    def agreement(self, key: object) -> KeptAgreement | None:
        return next((each for each in self.agreements if str(each.id) == str(key)), None)

    def line(self, key: object) -> KeptLine | None:
        return next((each for each in self.lines if str(each.id) == str(key) and not each.gone), None)

    def of(self, agreement: KeptAgreement) -> list[KeptLine]:
        return [line for line in self.lines if line.agreement == agreement.id and not line.gone]


@dataclass(frozen=True)
class AgreementBench:
    """A system with its double: ``books`` is what stands there, ``config`` reaches it."""

    system: AgreementSystem
    desk: Desk
    books: Agreements
    config: Any


BenchMaker = Callable[[ExitStack], AgreementBench]
