"""What a plan may meter: each metric with its words, what the ledger counts for it, and how its days are filled.

The size contract (``billing.size_contract``) says in words what these tables say in code. ``read`` is the metric whose
ledger entries are read: the largest protected size is reckoned from protected sizes and has no entries of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Metric:
    """``label`` stands on lines; ``lacking`` is what a product does not report when it cannot be measured so.

    ``summed``: a day's figure is the sum over its runs, and a day without a run is 0; any other figure stands on.
    """

    label: str
    help: str
    lacking: str
    read: str
    unit: str = "byte"
    summed: bool = False


BY_NAME: Mapping[str, Metric] = MappingProxyType(
    {
        "protected": Metric(
            label="protected size",
            help="the latest complete selection at the source, before compression and deduplication",
            lacking="protected size",
            read="protected",
        ),
        "protected_largest": Metric(
            label="largest protected size",
            help="each day by the largest protected size of the period so far",
            lacking="protected size",
            read="protected",
        ),
        "restorable_latest": Metric(
            label="restorable size",
            help="what a restore of the latest copy brings back, with what was deleted at the source and is kept",
            lacking="restorable size",
            read="restorable_latest",
        ),
        "stored": Metric(
            label="stored size",
            help="what is occupied at the destination, every kept version",
            lacking="stored size",
            read="stored",
        ),
        "transferred": Metric(
            label="transferred size",
            help="what was sent by the runs of a day",
            lacking="bytes sent",
            read="transferred",
            summed=True,
        ),
        "machines": Metric(
            label="machines",
            help="machines with a measurable run; the unit is each",
            lacking="machine",
            read="machines",
            unit="each",
        ),
        "components": Metric(
            label="components",
            help="mailboxes, databases and virtual machines in the latest run; the unit is each",
            lacking="mailboxes, databases or virtual machines",
            read="components",
            unit="each",
        ),
    }
)
METRICS = tuple(BY_NAME)
#: What the ledger has entries of.
ENTERED = tuple(dict.fromkeys(metric.read for metric in BY_NAME.values()))
#: What is counted, not weighed.
COUNTS = frozenset(name for name, metric in BY_NAME.items() if metric.unit == "each")

#: What flows: a day is the sum of its runs.
SUMMED = frozenset(name for name, metric in BY_NAME.items() if metric.summed)


def read_of(metric: str) -> str:
    """The metric whose entries are read for this one."""
    return BY_NAME[metric].read
