"""What every connector takes, answers and promises; the polling of pull sources is written against this alone.

A connector is a module with the names of ``Connector``. It keeps no state: how far a system was read stands in the
``cursor`` it gives back, which is stored together with what was fetched. Failures are those of ``integrations.errors``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from integrations.pulling.session import Session


@dataclass(frozen=True)
class Fetched:
    """One delivery: bytes as the log format ``format`` reads them.

    ``delivery_id`` is the system's own id of the thing with its state: the same again is a repeat, a run that has ended
    since is a new delivery. ``host`` is told beside the log where the log does not tell it.
    """

    delivery_id: str
    content: bytes
    format: str
    host: str = ""
    occurred_at: datetime | None = None
    content_type: str = "application/json"


@dataclass(frozen=True)
class Listing:
    """The whole list of a product's jobs: those of it that were told before, and those told before that it lacks.

    Each by the words that the log format makes of it, (source_job, item). Never made of an answer that was cut short.
    """

    there: tuple[tuple[str, str], ...] = ()
    gone: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Pulled:
    """What one call of ``fetch`` brought; ``cursor`` is how far the system is read once this is stored.

    ``more``: ask again at once. ``remark`` is a failure that cost none of it, as a sentence. ``listing`` is None where
    the product does not list its jobs as a whole.
    """

    deliveries: tuple[Fetched, ...]
    cursor: Mapping[str, Any]
    more: bool = False
    remark: str = ""
    listing: Listing | None = None


class Connector(Protocol):
    """The functions of a connector module."""

    @property
    def LABEL(self) -> str:  # noqa: N802 - a constant of the module
        """The name shown to people."""

    @property
    def FORMATS(self) -> tuple[str, ...]:  # noqa: N802 - a constant of the module
        """The log formats that its deliveries are of."""

    @property
    def Config(self) -> type[Any]:  # noqa: N802 - a class of the module
        """A frozen dataclass made of ``configuration.setting`` fields."""

    def check(self, config: Any, session: Session) -> str:
        """Log in, look, change nothing: a sentence on what answered. Raises DeliveryFailure for what is wrong."""

    def fetch(self, config: Any, session: Session, *, cursor: Mapping[str, Any], now: datetime) -> Pulled:
        """What is new since ``cursor`` (empty: the first time), oldest first and bounded in number.

        Raises TemporaryFailure, PermanentFailure.
        """
