"""The rows of the table in a notification of vzdump: VMID NAME STATUS TIME SIZE FILENAME.

Used by ``proxmox_vzdump``. Releases before 8 print ``00:12:31`` and ``19.01GB``, later ones ``12m 31s`` and
``19.013 GiB``: both units are powers of 1024. A failed row has its reason where others have the file's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from integrations.logs.figures import clock_seconds, scaled
from integrations.logs.joblog import Outcome


@dataclass(frozen=True)
class Row:
    """One guest; ``last`` is the archive or, of a failed one, the reason. ``size_bytes`` is the archive's."""

    name: str
    outcome: Outcome
    seconds: float | None
    size_bytes: int | None
    last: str


_ROW = re.compile(
    r"[0-9]{1,9}\s+(?:(\S.{0,255}?)\s+)?(OK|FAILED|ok|failed|err|ERR|error|WARNINGS?)\s+"
    r"([0-9:]{5,12}|[0-9hms dwk.]{2,30}?)\s+([0-9.,]{1,20}) ?([KMGTP]?)(?:i?[Bb])(?:ytes?)?(?:\s+(\S.*))?$"
)
_UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}


def read_row(told: str) -> Row | None:
    """The row in a line of the table; None where it is none."""
    match = _ROW.match(told[:3000])
    if match is None:
        return None
    name, status, time, figure, letter, last = match.groups()
    size = scaled(figure.replace(",", "."), letter, base=1024) if figure.replace(",", ".").count(".") < 2 else 0
    return Row(
        name=(name or "").strip(),
        outcome="success" if status.lower() == "ok" else "warning" if status.startswith("WARN") else "failure",
        seconds=clock_seconds(time) if ":" in time else _spoken(time),
        size_bytes=size or None,
        last=(last or "").strip(),
    )


def _spoken(told: str) -> float | None:
    parts = re.findall(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([wdhms])", told)
    return sum(float(amount) * _UNITS[unit] for amount, unit in parts) if parts else None
