"""A few hundred changed logs each time; ``make fuzz`` reads as many as one has patience for."""

from __future__ import annotations

import random
from dataclasses import replace
from time import process_time

import pytest

from integrations.logs import Reading, read
from integrations.logs.joblog import Delivery, JobLog
from tests.fuzz import faults, load_seeds, mutated

SEEDS = load_seeds("")


@pytest.mark.parametrize("seed", range(8))
def test_changed_logs_are_read_or_refused_without_fault(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        delivery = mutated(chance.choice(SEEDS), SEEDS, chance)
        begun = process_time()  # the limit is two hundred times what the slowest of these takes: only a hang is a fault
        reading = read(delivery)
        assert list(faults(delivery, reading, process_time() - begun)) == []


RUN = JobLog(product="tar", operation="backup", outcome="success")


@pytest.mark.parametrize(
    ("reading", "fault"),
    [
        (Reading("tar"), "neither runs nor a reason"),
        (Reading("tar", error="parser failed: KeyError in tar"), "parser failed: KeyError in tar"),
        (Reading("tar", (replace(RUN, host="a\x1b[2J"),)), "a text that is not safe to store or to show"),
        (Reading("tar", (replace(RUN, basis="used"),)), "a basis without a protected size"),
    ],
)
def test_a_fault_is_noticed(reading: Reading, fault: str) -> None:
    assert list(faults(Delivery(stdout=b""), reading, 0.0)) == [fault]


def test_a_log_that_takes_seconds_is_a_fault() -> None:
    assert list(faults(Delivery(stdout=b"12345"), Reading("tar", (RUN,)), 4.0)) == ["took 4.0 seconds for 5 bytes"]
