"""What is recorded of calls, by every gateway: each request it sent, and no secret, not even one made during the call.

The double gives back whatever it was sent. What was sent besides harmless headers (passwords, tokens of a log-in,
sessions, signatures) is taken from the double's own log, so that no gateway can forget to name it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from importlib import import_module

import pytest

from integrations.errors import DeliveryFailure
from integrations.recording import KEPT_HEADERS
from integrations.tickets import Call, Thread, secrets_of
from tests.contracts.test_native_gateways import FINAL, NATIVE, NOTE, OURS
from tests.doubles.desk import Bench, Fault
from tests.integrations.tickets.configs import a_call

#: What every client sends; they tell nothing.
PLAIN = KEPT_HEADERS | {"host", "connection", "accept-encoding", "x-requested-with"}
SHORTEST = 8


@pytest.fixture(params=NATIVE)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield import_module(f"tests.doubles.desks.{request.param.replace('-', '_')}").bench(stack)


def secrets_sent(bench: Bench) -> set[str]:
    """Those of the settings, and every word of every header that is not harmless, but for what the settings show."""
    words = {word for request in bench.desk.log for name, value in request.headers.items() if name not in PLAIN
             for word in value.split()}  # fmt: skip
    shown = json.dumps({name: value for name, value in bench.stored.items() if value not in secrets_of(bench.config)})
    words = {word for word in words if len(word) >= SHORTEST and word not in shown}
    return words | {secret for secret in secrets_of(bench.config) if len(secret) >= SHORTEST}


def recorded(call: Call) -> str:
    return "\n".join(str(vars(exchange)) for exchange in call.record.exchanges())


@pytest.mark.parametrize("fault", ["echo credentials", "server error", "html", "huge answer", "refused", None])
def test_every_request_is_recorded_and_no_secret(bench: Bench, fault: Fault | None) -> None:
    calls = [a_call(key=f"k-{number}") for number in range(4)]
    if fault is not None:
        bench.desk.fail_next(fault)
    with suppress(DeliveryFailure):
        bench.gateway.create(bench.config, OURS, call=calls[0])
    with suppress(DeliveryFailure):
        bench.gateway.find(bench.config, OURS.reference, call=calls[1])
    if bench.desk.tickets:
        thread = Thread(OURS.reference, bench.desk.tickets[-1].id)
        with suppress(DeliveryFailure):
            bench.gateway.comment(bench.config, thread, NOTE, sequence=1, call=calls[2])
        with suppress(DeliveryFailure):
            bench.gateway.close(bench.config, thread, FINAL, sequence=2, call=calls[3])
    exchanges = [exchange for call in calls for exchange in call.record.exchanges()]
    assert len(exchanges) == len(bench.desk.log)
    assert [exchange.method for exchange in exchanges] == [request.method for request in bench.desk.log]
    told = "\n".join(recorded(call) for call in calls)
    for secret in secrets_sent(bench):
        assert secret not in told
        assert base64.b64encode(secret.encode()).decode() not in told
