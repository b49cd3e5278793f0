"""Writes logs as the real products write them, for the demonstration: figures in, bytes out; one file a product.

The same ``Told`` gives the same bytes. ``Written`` says beside the bytes which figures a reader must find in them, so
that the tests can hold the parsers and the scenario to each other. Pure: no clock, no database, no input or output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msp.demo.logs import borg, duplicati, own, restic, rsync
from msp.demo.logs.told import Told, Written

Writer = Callable[[Told], Written]

#: The forms of logs by name, each with what it can tell: the operation and its writer.
WRITERS: Mapping[str, Mapping[str, Writer]] = {
    "restic": {
        "backup": restic.backup, "restore": restic.restore, "verify": restic.check, "prune": restic.prune,
    },
    "borg": {"backup": borg.backup_as_text, "verify": borg.check, "prune": borg.prune, "restore": own.run},
    "borg-json": {"backup": borg.backup_as_json, "verify": borg.check, "prune": borg.prune, "restore": own.run},
    "duplicati": {"backup": duplicati.backup, "restore": duplicati.restore},
    "rsync": {"backup": rsync.backup, "restore": own.run},
    "own": {"backup": own.run, "restore": own.run, "verify": own.run},
}  # fmt: skip


def write_log(product: str, told: Told) -> Written:
    """The log of one run as this product writes it. Raises KeyError for an operation it does not have."""
    return WRITERS[product][told.operation](told)
