"""A configured system that keeps agreements: what billing is handed to read lines from it and to write to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from integrations.agreements.contract import AgreementLine, AgreementSystem, Place
from integrations.configuration import secrets_of
from integrations.errors import DeliveryFailure
from integrations.redacting import redact
from integrations.tickets.contract import Call


@dataclass(frozen=True)
class Desk:
    """``problem`` is a sentence where nothing may be written there now, else ""; ``config`` is None if it is unusable.

    The reasons of failures hold no secret of the configuration.
    """

    id: int
    uid: UUID
    name: str
    system: AgreementSystem
    config: Any
    problem: str = ""

    def lines(self, company: str, *, on: date, call: Call) -> tuple[AgreementLine, ...]:
        """As ``AgreementSystem.lines``."""
        try:
            return self.system.lines(self.config, company, on=on, call=call)
        except DeliveryFailure as failure:
            raise self._clean(failure) from None

    def look(self, place: Place, *, on: date, call: Call) -> AgreementLine:
        """As ``AgreementSystem.look``."""
        try:
            return self.system.look(self.config, place, on=on, call=call)
        except DeliveryFailure as failure:
            raise self._clean(failure) from None

    def write(self, line: AgreementLine, quantity: Decimal, *, on: date, call: Call) -> None:
        """As ``AgreementSystem.write``."""
        try:
            self.system.write(self.config, line, quantity, on=on, call=call)
        except DeliveryFailure as failure:
            raise self._clean(failure) from None

    def _clean(self, failure: DeliveryFailure) -> DeliveryFailure:
        failure.reason = redact(failure.reason, secrets_of(self.config))
        return failure
