"""Answers that no ticket system gives in its right mind; whatever a gateway makes of them, it does not crash."""

from __future__ import annotations

import json
from typing import Any

from integrations.errors import DeliveryFailure
from integrations.tickets import Gateway, Thread, TicketText
from tests.doubles.http_server import Request, Response
from tests.integrations.tickets.configs import TICKET, a_call

TEXT = TicketText(TICKET.text.subject, "Still failing.")


def fixed(document: object) -> Any:
    """Answers every request with the same JSON."""

    def answer(request: Request) -> Response:
        return Response(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    return answer


def outcomes(gateway: Gateway, config: Any, *, external_id: str, looked_up: str) -> list[object]:
    """What each function answers or fails with; anything but a failure of ours is raised."""
    thread = Thread(TICKET.reference, external_id)
    calls = (
        lambda: gateway.create(config, TICKET, call=a_call()),
        lambda: gateway.comment(config, thread, TEXT, sequence=1, call=a_call()),
        lambda: gateway.close(config, thread, TEXT, sequence=2, call=a_call()),
        lambda: gateway.reopen(config, thread, TEXT, sequence=3, call=a_call()),
        lambda: gateway.find(config, TICKET.reference, call=a_call()),
        lambda: gateway.read(config, thread, call=a_call()),
        lambda: gateway.choices(config, looked_up, call=a_call()),
        lambda: gateway.check(config, call=a_call()),
    )
    found: list[object] = []
    for call in calls:
        try:
            found.append(call())
        except DeliveryFailure as failure:
            found.append(failure)
    assert all(one.reason for one in found if isinstance(one, DeliveryFailure))
    return found
