"""Zendesk, where it says what nobody asked for: a failure in words, never a crash. The rest is the contract of all."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import pytest

from integrations.errors import DeliveryFailure
from integrations.tickets import zendesk
from tests.doubles.desks.zendesk import bench
from tests.doubles.http_server import RunningServer
from tests.integrations.tickets.odd_answers import fixed, outcomes


@pytest.mark.parametrize(
    "document",
    [
        None, {}, [], "words", 7, {"id": 7}, {"ticket": None}, {"ticket": []}, {"ticket": {"id": {}}},
        {"ticket": {"id": 7, "status": []}, "users": 5}, {"tickets": [7, [], {"id": []}]}, {"tickets": 5, "groups": 5},
        {"ticket": {"id": 7, "status": "open"}, "users": [7, {"id": []}], "comments": 5}, {"groups": [7]}, {"user": []},
    ],
)  # fmt: skip
def test_odd_answers_are_failures_and_never_a_crash(document: object) -> None:
    with ExitStack() as stack, RunningServer(fixed(document)) as server:
        config = replace(bench(stack).config, url=server.url)
        *_, read, choices, check = outcomes(zendesk, config, external_id="7", looked_up="group")
    assert isinstance(read, DeliveryFailure)
    assert isinstance(choices, DeliveryFailure)
    assert check, "a problem in words"
