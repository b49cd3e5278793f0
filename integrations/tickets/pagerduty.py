"""PagerDuty: alerts by its Events API v2; with a REST API key the incidents are read, too.

Our reference is the alert's ``dedup_key``: while the alert is open a second trigger with it is the same alert, so that
even an unsearched repeat makes none. Once it is resolved a trigger makes a new one; a resolved incident is therefore
never opened again but followed by another. An incident made of alerts has no key itself: it is proven by its alerts.
Sources: PagerDuty developer documentation, "Send an alert event", REST API "List incidents", "List alerts for an
incident" and "List notes", "Webhooks v3" and "Verifying signatures".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from integrations.configuration import BadConfig, secrets_of, setting
from integrations.errors import DeliveryFailure, OutcomeUnknown, PermanentFailure
from integrations.tickets import json_api
from integrations.tickets.contract import (
    Ability,
    Call,
    Choice,
    Company,
    Created,
    NewTicket,
    Reference,
    Remark,
    Standing,
    Thread,
    TicketEvent,
    TicketText,
)
from integrations.tickets.json_api import (
    Api,
    check_address,
    decode,
    id_in,
    one_line,
    open_text_problem,
    rows_in,
    segment,
    text_in,
)

LABEL: Final = "PagerDuty"
#: Half of the about 120 events a minute that one integration key may send.
CALLS_PER_MINUTE: Final = 60
VERIFIED: Final = ""
SEVERITIES: Final = {"low": "info", "normal": "warning", "high": "error", "urgent": "critical"}
NOBODYS_REFERENCE: Final = "BL-00000000"
#: Vendor's limit of a summary is 1,024 characters, of a whole event 512 KB.
LONGEST_SUMMARY: Final = 1024
LONGEST_TEXT: Final = 100_000
#: Of incidents, and of the pages of one incident's alerts, no more are looked through for our reference.
MAX_INCIDENTS: Final = 3
MAX_PAGES: Final = 10
_REFERENCE: Final = re.compile(r"[A-Za-z0-9-]{1,100}")
_ROUTING_KEY: Final = re.compile(r"[A-Za-z0-9]{32}")


@dataclass(frozen=True)
class Config:
    """One service's integration, and a key to look at its incidents."""

    routing_key: str = setting(
        "Integration key", secret=True, help="Of the integration “Events API V2” of the service that gets the alerts."
    )
    api_key: str = setting(
        "REST API key", default="", secret=True,
        help="Read-only is enough. Without it nothing is learnt of what people do there.",
    )  # fmt: skip
    events_url: str = setting("Address of events", default="https://events.pagerduty.com", help="EU: events.eu.")
    api_url: str = setting("Address of the REST API", default="https://api.pagerduty.com", help="EU: api.eu.")
    webhook_secret: str = setting(
        "Signing secret of the webhook", default="", secret=True, help="Shown once, when the subscription is made."
    )

    def __post_init__(self) -> None:
        if not _ROUTING_KEY.fullmatch(self.routing_key):
            raise BadConfig("routing_key", "An integration key has 32 letters and digits.")
        check_address(self.events_url, field="events_url")
        check_address(self.api_url, field="api_url")
        if self.webhook_secret and len(self.webhook_secret) < 16:
            raise BadConfig("webhook_secret", "The signing secret must have at least 16 characters.")


def abilities(config: Config) -> frozenset[Ability]:
    """Reading with a REST API key, callbacks with their secret, too: a callback names an incident, and only the REST
    API says which alerts are in it. A resolved alert is never opened again.
    """
    if not config.api_key:
        return frozenset()
    return frozenset({"read", "callbacks"} if config.webhook_secret else {"read"})


def find_after(config: Config) -> timedelta | None:
    """Events are worked through within seconds. Without a REST API key nothing can be searched, see ``presumed_id``."""
    return timedelta(minutes=2) if config.api_key else None


def presumed_id(config: Config, reference: Reference) -> str:
    """We name the alert ourselves."""
    return reference


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Trigger the alert. The same event again is the same alert."""
    payload = {
        **_payload(ticket.text),
        "severity": SEVERITIES[ticket.priority],
        "source": ticket.client or "Backledger",
        "component": "backup",
    }
    api = _events(config, call)
    answer = _send(api, config, "trigger", ticket.reference, payload)
    if text_in(answer, "dedup_key") != ticket.reference:
        raise OutcomeUnknown(f"{api.host} took the event but does not say which alert it is.")
    return Created(ticket.reference)


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """One more event of the same alert: it stands in the alert's log and pages nobody again. Not where people resolved
    it, as it would be another incident; without a REST API key nobody can tell.
    """
    if _is_over(config, thread, call):
        return
    payload = {**_payload(text), "severity": SEVERITIES["normal"], "source": "Backledger", "component": "backup"}
    _send(_events(config, call), config, "trigger", thread.external_id, payload)


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Resolve it, the last words with it; what people resolved before stays as it is."""
    if _is_over(config, thread, call):
        return
    api = _events(config, call)
    payload = {**_payload(text), "severity": "info", "source": "Backledger"}
    answer = _send(api, config, "resolve", thread.external_id, payload)
    if text_in(answer, "status") != "success":
        raise OutcomeUnknown(f"{api.host} does not say that it took the end of the alert.")


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Not possible: a trigger after the end is another alert."""
    raise PermanentFailure("PagerDuty opens no resolved alert again; a new one follows it.")


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """The incident whose alert bears our reference, as checked in what was returned."""
    _require_key(config)
    incident = _incident(_rest(config, call), reference)
    return None if incident is None else Created(reference, text_in(incident, "html_url") or None)


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """The newest incident of the alert and the notes that people wrote on it."""
    _require_key(config)
    api = _rest(config, call)
    incident = _incident(api, thread.external_id)
    if incident is None:
        return None
    notes = rows_in(api.get(f"/incidents/{segment(id_in(incident, 'id') or '')}/notes"), "notes", host=api.host)
    status = text_in(incident, "status")
    if not status:
        raise PermanentFailure(f"{api.host} does not say how the incident stands.")
    return Standing(
        external_id=thread.external_id,
        status=status,
        closed=status == "resolved",
        reference=thread.external_id,
        assignee=_assignee(incident),
        remarks=tuple(_remark(note) for note in notes if id_in(note, "id") is not None),
        url=text_in(incident, "html_url") or None,
    )


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """PagerDuty keeps none."""
    raise PermanentFailure("PagerDuty keeps no companies.")


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """Everything else is set in the service that the integration belongs to."""
    raise PermanentFailure(f"The values of {name} cannot be looked up.")


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """A call of a v3 subscription, proven by any of its signatures; it is retried for two days with the same event.
    One event for each alert of the incident: several of ours may have been grouped into one.
    """
    if not config.webhook_secret:
        raise PermanentFailure("This destination has no signing secret, so that no callback can be believed.")
    _require_key(config)
    given = {name.lower(): value for name, value in headers.items()}
    expected = "v1=" + hmac.new(config.webhook_secret.encode(), body, hashlib.sha256).hexdigest()
    offered = [item.strip().encode() for item in given.get("x-pagerduty-signature", "").split(",")]
    if not any(hmac.compare_digest(item, expected.encode()) for item in offered):
        raise PermanentFailure("The callback's signature does not match the secret of this destination.")
    document = decode(body)
    event = document.get("event") if isinstance(document, dict) else None
    event_id, number = id_in(event, "id"), id_in(event, "data", "id")
    if event_id is None or number is None:
        raise PermanentFailure("The callback does not say which incident it is about.")
    at = json_api.moment(event.get("occurred_at")) if isinstance(event, dict) else None
    status = text_in(event, "data", "status")
    closed = status == "resolved" if status else None
    keys = sorted(_alert_keys(_rest(config, call), number))
    return tuple(TicketEvent(f"{event_id}:{key}", key, at or call.now, status, closed) for key in keys)


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Ends an alert that never was, which changes nothing, and asks for incidents."""
    problems = [*open_text_problem(config.events_url, call)]
    try:
        _send(_events(config, call), config, "resolve", NOBODYS_REFERENCE, None)
    except DeliveryFailure as failure:
        problems.append(f"The integration key was not taken: {failure.reason}")
    if config.api_key:
        try:
            _incident(_rest(config, call), NOBODYS_REFERENCE)
        except DeliveryFailure as failure:
            problems.append(f"Incidents cannot be read: {failure.reason}")
    return tuple(problems)


def _events(config: Config, call: Call) -> Api:
    return Api(config.events_url, call=call, headers={}, secrets=secrets_of(config))


def _rest(config: Config, call: Call) -> Api:
    headers = {
        "authorization": f"Token token={config.api_key}",
        "accept": "application/vnd.pagerduty+json;version=2",
    }
    return Api(config.api_url, call=call, headers=headers, secrets=secrets_of(config))


def _require_key(config: Config) -> None:
    if not config.api_key:
        raise PermanentFailure("Without a REST API key nothing can be read from PagerDuty.")


def _send(api: Api, config: Config, action: str, reference: str, payload: Mapping[str, Any] | None) -> Any:
    event: dict[str, Any] = {"routing_key": config.routing_key, "event_action": action, "dedup_key": reference}
    if payload is not None:
        event |= {"payload": payload, "client": "Backledger"}
    return api.write("POST", "/v2/enqueue", event)


def _payload(text: TicketText) -> dict[str, Any]:
    return {
        "summary": one_line(text.subject, LONGEST_SUMMARY) or "Backup problem",
        "custom_details": {"text": text.body[:LONGEST_TEXT]},
    }


def _incident(api: Api, reference: str) -> dict[str, Any] | None:
    """Of the incidents that a search by key returns the newest that bears it. Raises where it returns strangers."""
    if not _REFERENCE.fullmatch(reference):
        raise PermanentFailure(f"{reference[:40]!r} is no reference of ours.")
    query = (("incident_key", reference), ("date_range", "all"), ("limit", 100), ("sort_by", "created_at:desc"))
    document = api.get("/incidents", query)
    rows = rows_in(document, "incidents", host=api.host)
    for row in rows[:MAX_INCIDENTS]:
        number = id_in(row, "id")
        if number is not None and reference in _alert_keys(api, number):
            return row
    if rows:
        raise PermanentFailure(f"{api.host} ignores the search for our reference: it returned more than it should.")
    return None


def _alert_keys(api: Api, number: str) -> frozenset[str]:
    """The dedup_keys of an incident's alerts that could be ours; the incident itself has none."""
    keys: set[str] = set()
    for page in range(MAX_PAGES):
        document = api.get(f"/incidents/{segment(number)}/alerts", {"limit": 100, "offset": 100 * page})
        keys |= {text_in(row, "alert_key") for row in rows_in(document, "alerts", host=api.host)}
        if document.get("more") is not True:
            break
    return frozenset(key for key in keys if _REFERENCE.fullmatch(key))


def _is_over(config: Config, thread: Thread, call: Call) -> bool:
    """Whether people resolved it, as far as we may look."""
    if not config.api_key:
        return False
    incident = _incident(_rest(config, call), thread.external_id)
    return incident is not None and text_in(incident, "status") == "resolved"


def _assignee(incident: Mapping[str, Any]) -> str:
    assignments = incident.get("assignments")
    first = assignments[0] if isinstance(assignments, list) and assignments else None
    return text_in(first, "assignee", "summary")


def _remark(note: Mapping[str, Any]) -> Remark:
    """Notes are written by people alone: what we have to say stands in the alert's log."""
    return Remark(
        id=id_in(note, "id") or "",
        author=text_in(note, "user", "summary"),
        text=text_in(note, "content"),
        at=json_api.moment(note.get("created_at")),
    )
