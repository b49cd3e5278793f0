"""What every system that keeps agreements takes, answers and promises; the push of quantities is written against this.

A system is a module with the names of ``AgreementSystem``. It keeps no state and takes the configuration and the
transport of the ticket gateway of the same name. Failures are those of ``integrations.errors`` and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

from integrations.errors import PermanentFailure
from integrations.tickets.contract import Call
from integrations.tickets.json_api import moment, text_in


@dataclass(frozen=True)
class AgreementLine:
    """A line of an agreement there: an addition, a contracted service, a line of a recurring invoice.

    ``quantity`` is what is charged on the day that was asked about; ``since`` is the day from which on, None where the
    system does not tell. ``over`` is a sentence where nothing is charged any more on that day, else "".
    """

    agreement_id: str
    line_id: str
    agreement: str
    name: str
    quantity: Decimal
    since: date | None = None
    over: str = ""

    def holds(self, quantity: Decimal, *, on: date) -> bool:
        """Whether nothing is left to do for this quantity to be charged from that day on."""
        return self.quantity == quantity and (self.since is None or self.since <= on)


@dataclass(frozen=True)
class Place:
    """Where a line is: the company's id, the agreement's and the line's, as that system gave them."""

    company: str
    agreement_id: str
    line_id: str


class AgreementSystem(Protocol):
    """The functions of a module. ``on`` is the day from which a quantity counts."""

    @property
    def LABEL(self) -> str:  # noqa: N802 - a constant of the module
        """The name shown to people."""

    @property
    def WHOLE(self) -> bool:  # noqa: N802 - a constant of the module
        """Whether it counts whole units alone."""

    @property
    def DATED(self) -> bool:  # noqa: N802 - a constant of the module
        """Whether a quantity there has a day from which it counts."""

    @property
    def VERIFIED(self) -> str:  # noqa: N802 - a constant of the module
        """What it was run against; "" if never against the live service."""

    def lines(self, config: Any, company: str, *, on: date, call: Call) -> tuple[AgreementLine, ...]:
        """Every line of the company's agreements that are not over on that day. Changes nothing there."""

    def look(self, config: Any, place: Place, *, on: date, call: Call) -> AgreementLine:
        """One line as it is there. Raises NotThere when it is gone, PermanentFailure when it is another company's."""

    def write(self, config: Any, line: AgreementLine, quantity: Decimal, *, on: date, call: Call) -> None:
        """Make the quantity of the line, as it was just looked at, this one from that day on."""


def number_in(document: object, *path: str) -> Decimal | None:
    """The number at this place of a decoded answer, None for anything else."""
    try:
        number = Decimal(text_in(document, *path))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def quantity_in(document: object, *path: str, host: str) -> Decimal:
    """The quantity at this place. Raises PermanentFailure where there is none: nothing is guessed."""
    number = number_in(document, *path)
    if number is None:
        raise PermanentFailure(f"{host} told no quantity of a line: its answer has no number {'.'.join(path)}.")
    return number


def day_in(document: object, *path: str) -> date | None:
    """The day at this place of a decoded answer as that system writes it, None for none."""
    at = moment(text_in(document, *path))
    return None if at is None else at.date()


def as_json(quantity: Decimal) -> int | float:
    """A quantity as JSON takes it: it has at most six places, which a float of this size keeps."""
    return int(quantity) if quantity == quantity.to_integral_value() else float(quantity)
