"""What a parser is given beside the delivery: the checked time zone and the head it was recognised by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from integrations.logs.head import Head


@dataclass(frozen=True)
class Context:
    """``zone`` is the zone of local times in the log, None where nobody told it: such times are then None."""

    head: Head
    zone: tzinfo | None = None
