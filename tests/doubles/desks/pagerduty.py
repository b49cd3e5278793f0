"""PagerDuty as its documentation describes it: events with a dedup_key, incidents read by that key, v3 webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import ExitStack
from typing import Any

from integrations.tickets import GATEWAYS
from tests.doubles.desk import Bench, Desk, DeskTicket, Message, Parts, reply
from tests.doubles.http_server import Request, Response

ROUTING_KEY, API_KEY, SECRET = "r0ut1ng" + "k" * 25, "pd-s3cret-api-key", "pd-signing-s3cret"
SEVERITIES = ("critical", "error", "warning", "info")
EVENT = frozenset({"routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links", "images"})
PAYLOAD = frozenset(
    {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}
)  # fmt: skip


class PagerDuty(Desk):
    """The alert's dedup_key is its id, so that ``new_ticket`` is not used."""

    open_status = "triggered"
    closed_status = "resolved"
    odd_status = "acknowledged"

    def authorized(self, request: Request) -> bool:
        if request.target.startswith("/v2/enqueue"):
            return True  # the key stands in the event
        return request.headers.get("authorization") == f"Token token={API_KEY}"

    def route(self, parts: Parts) -> Response:
        match parts.method, parts.steps:
            case "POST", ("v2", "enqueue"):
                return self.take(parts.body)
            case "GET", ("incidents",):
                return reply(200, {"incidents": self.found(parts.one("incident_key")), "more": False})
            case "GET", ("incidents", name, "alerts"):
                alert = self.tickets[int(name.removeprefix("Q"))]
                row = {"id": f"A{name}", "alert_key": alert.reference, "status": "triggered"}
                return reply(200, {"alerts": [row], "more": False})
            case "GET", ("incidents", name, "notes"):
                return self.notes(name)
        return reply(404, {"error": {"message": "Not Found", "code": 2100}})

    def take(self, event: Any) -> Response:
        if not isinstance(event, dict) or set(event) - EVENT or event.get("routing_key") != ROUTING_KEY:
            return invalid("Invalid routing key")
        action, key = event.get("event_action"), event.get("dedup_key", "")
        payload = event.get("payload")
        if action == "trigger" and (not isinstance(payload, dict) or not is_payload(payload)):
            return invalid("Event object is invalid")
        if len(key) > 255 or action not in ("trigger", "acknowledge", "resolve"):
            return invalid("Event object is invalid")
        if action == "trigger":
            self.trigger(key, payload or {})
        elif (alert := self.open_alert(key)) is not None:
            alert.messages.append(message(payload or {}))
            alert.status = "resolved" if action == "resolve" else "acknowledged"
        return reply(202, {"status": "success", "message": "Event processed", "dedup_key": key})

    def open_alert(self, key: str) -> DeskTicket | None:
        return next((one for one in self.tickets if one.id == key and one.status != "resolved" and not one.gone), None)

    def trigger(self, key: str, payload: dict[str, Any]) -> None:
        alert = self.open_alert(key)
        if alert is None:
            alert = DeskTicket(id=key, subject=payload["summary"], reference=key, status="triggered")
            self.tickets.append(alert)
        alert.messages.append(message(payload))

    def found(self, key: str) -> list[dict[str, Any]]:
        return [
            as_json(one, number) for number, one in reversed(list(enumerate(self.tickets)))
            if not one.gone and (self.ignore_filters or one.reference == key)
        ]  # fmt: skip

    def notes(self, name: str) -> Response:
        ticket = self.tickets[int(name.removeprefix("Q"))]
        notes = [
            {"id": f"N{number}", "user": {"summary": one.author}, "content": one.text,
             "created_at": "2026-11-22T22:00:00Z"}
            for number, one in enumerate(ticket.messages) if not one.ours
        ]  # fmt: skip
        return reply(200, {"notes": notes})

    def callback(self, ticket_id: str, *, event: str, at: str) -> tuple[dict[str, str], bytes]:
        number = [one.id for one in self.tickets].index(ticket_id)
        data = {"id": f"Q{number}", "type": "incident", "status": "resolved", "incident_key": None}
        body = json.dumps(
            {"event": {"id": event, "event_type": "incident.resolved", "occurred_at": at, "data": data}}
        ).encode()
        good = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        return {"X-PagerDuty-Signature": f"v1={'0' * 64},v1={good}"}, body


def message(payload: dict[str, Any]) -> Message:
    return Message("Backledger", payload.get("custom_details", {}).get("text", ""), ours=True)


def is_payload(payload: dict[str, Any]) -> bool:
    needed = payload.get("summary") and payload.get("source") and payload.get("severity") in SEVERITIES
    return bool(needed) and not set(payload) - PAYLOAD and len(payload["summary"]) <= 1024


def invalid(why: str) -> Response:
    return reply(400, {"status": "invalid event", "message": "Event object is invalid", "errors": [why]})


def as_json(ticket: DeskTicket, number: int) -> dict[str, Any]:
    """Incidents with child alerts have no key of their own; the search by it looks at the alerts."""
    assigned = [{"assignee": {"id": "P1", "summary": ticket.assignee}}] if ticket.assignee else []
    return {"id": f"Q{number}", "incident_key": None, "status": ticket.status, "title": ticket.subject,
            "assignments": assigned, "html_url": f"https://msp.pagerduty.com/incidents/Q{number}"}  # fmt: skip


def bench(stack: ExitStack) -> Bench:
    desk = stack.enter_context(PagerDuty())
    stored = {
        "routing_key": ROUTING_KEY, "api_key": API_KEY, "events_url": desk.url, "api_url": desk.url,
        "webhook_secret": SECRET,
    }  # fmt: skip
    return Bench(
        gateway=GATEWAYS["pagerduty"],
        desk=desk,
        stored=stored,
        bad_field=("routing_key", "short"),
        wrong_credentials={"routing_key": "wr0ng" + "k" * 27},
        unreachable={"events_url": "http://127.0.0.1:1"},
    )
