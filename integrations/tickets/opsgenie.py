"""Opsgenie: alerts by its API v2, with the key of an API integration.

Our reference is the alert's alias: while the alert is open a second creation with it is the same alert. Every write is
taken with 202 and worked through later; what came of it is asked for by its request. A closed alert is never opened
again but followed by another. A search by alias shows open alerts alone, so the reference is a tag, too. Sources:
Opsgenie's documentation "Alert API", "Alerts search query help", "Team API" and "Webhook integration".
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from integrations.configuration import BadConfig, secrets_of, setting
from integrations.errors import DeliveryFailure, NotThere, OutcomeUnknown, PermanentFailure
from integrations.tickets import signatures
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
    moment,
    one_line,
    open_text_problem,
    rows_in,
    segment,
    text_in,
)

LABEL: Final = "Opsgenie"
#: A modest share: the limits depend on plan and users, and every write is asked about once or twice.
CALLS_PER_MINUTE: Final = 30
VERIFIED: Final = ""
PRIORITIES: Final = {"low": "P5", "normal": "P3", "high": "P2", "urgent": "P1"}
LONGEST_MESSAGE: Final = 130
LONGEST_DESCRIPTION: Final = 15_000
LONGEST_NOTE: Final = 25_000
US: Final = "Backledger"
NOBODYS_REFERENCE: Final = "BL-00000000"
#: How often a request is asked about, and the seconds between.
LOOKS: Final = 6
PAUSE_SECONDS: Final = 0.4
CALLBACK_HEADER: Final = "x-backledger-secret"
_REFERENCE: Final = re.compile(r"[A-Za-z0-9-]{1,100}")


@dataclass(frozen=True)
class Config:
    """One API integration of an Opsgenie account."""

    api_key: str = setting(
        "API key", secret=True, help="Of an integration of the type API, with read and write access."
    )
    url: str = setting("Address", default="https://api.opsgenie.com", help="EU: https://api.eu.opsgenie.com")
    team: str = setting(
        "Team", default="", help="Who is alerted. Empty: whom the integration belongs to.", looked_up=True
    )
    webhook_secret: str = setting(
        "Secret of callbacks", default="", secret=True,
        help="At least 16 characters; the webhook integration sends it as the header X-Backledger-Secret.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_address(self.url, field="url")
        if not re.fullmatch(r"[A-Za-z0-9-]{8,100}", self.api_key):
            raise BadConfig("api_key", "An API key has letters, digits and hyphens.")
        if self.webhook_secret and len(self.webhook_secret) < 16:
            raise BadConfig("webhook_secret", "The secret must have at least 16 characters.")


def abilities(config: Config) -> frozenset[Ability]:
    """Callbacks only with their secret. A closed alert is never opened again."""
    return frozenset({"read", "callbacks"} if config.webhook_secret else {"read"})


def find_after(config: Config) -> timedelta | None:
    """Requests are worked through within seconds, and alerts are searched by an index; minutes are on the safe side."""
    return timedelta(minutes=3)


def presumed_id(config: Config, reference: Reference) -> str:
    """We name the alert ourselves."""
    return reference


def create(config: Config, ticket: NewTicket, *, call: Call) -> Created:
    """Create the alert, and wait for a moment until it is one. The same alias again is the same alert."""
    fields: dict[str, Any] = {
        "message": one_line(ticket.text.subject, LONGEST_MESSAGE) or "Backup problem",
        "alias": ticket.reference,
        "description": ticket.text.body[:LONGEST_DESCRIPTION],
        "priority": PRIORITIES[ticket.priority],
        "source": US,
        "user": US,
        "tags": ["backledger", ticket.reference],
    }
    if ticket.client:
        fields["entity"] = one_line(ticket.client, 512)
    if config.team:
        fields["responders"] = [{"type": "team", "name": config.team}]
    api = _api(config, call)
    _require_done(api, api.write("POST", "/v2/alerts", fields), "The alert was not created")
    return Created(ticket.reference)


def comment(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Add a note."""
    fields = {"note": text.body[:LONGEST_NOTE], "source": US, "user": US}
    api = _api(config, call)
    path = f"/v2/alerts/{segment(thread.external_id)}/notes?identifierType=alias"
    _require_done(api, api.write("POST", path, fields), "The note was not added")


def close(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Note and closing in one request; an alert that is closed already, or gone, is left as it is."""
    api = _api(config, call)
    alert = _alert(api, thread.external_id)
    if alert is None and not _is_there(api, thread.external_id):
        return
    if text_in(alert, "status") == "closed":
        return
    fields = {"note": text.body[:LONGEST_NOTE], "source": US, "user": US}
    path = f"/v2/alerts/{segment(thread.external_id)}/close?identifierType=alias"
    _require_done(api, api.write("POST", path, fields), "The alert was not closed")


def reopen(config: Config, thread: Thread, text: TicketText, *, sequence: int, call: Call) -> None:
    """Not possible: the alias of a closed alert makes another."""
    raise PermanentFailure("Opsgenie opens no closed alert again; a new one follows it.")


def find(config: Config, reference: Reference, *, call: Call) -> Created | None:
    """The alert that bears our reference as its alias, as checked in what was returned."""
    return None if _alert(_api(config, call), reference) is None else Created(reference)


def read(config: Config, thread: Thread, *, call: Call) -> Standing | None:
    """The newest alert of this alias and its notes; None if it was deleted."""
    api = _api(config, call)
    alert = _alert(api, thread.external_id)
    if alert is None:
        return None
    number, status = id_in(alert, "id"), text_in(alert, "status")
    if number is None or not status:
        raise PermanentFailure(f"{api.host} does not say how the alert stands.")
    notes = rows_in(
        api.get(f"/v2/alerts/{segment(number)}/notes", {"limit": 100, "order": "asc"}), "data", host=api.host
    )
    return Standing(
        external_id=thread.external_id,
        status="acknowledged" if status == "open" and alert.get("acknowledged") is True else status,
        closed=status == "closed",
        reference=thread.external_id,
        assignee=text_in(alert, "owner"),
        remarks=tuple(_remark(note) for note in notes),
    )


def companies(config: Config, search: str, *, call: Call) -> tuple[Company, ...]:
    """Opsgenie keeps none."""
    raise PermanentFailure("Opsgenie keeps no companies.")


def choices(config: Config, name: str, *, call: Call) -> tuple[Choice, ...]:
    """Teams, by their names."""
    if name != "team":
        raise PermanentFailure(f"The values of {name} cannot be looked up.")
    api = _api(config, call)
    rows = rows_in(api.get("/v2/teams"), "data", host=api.host)
    return tuple(Choice(word, word) for row in rows if (word := text_in(row, "name")))


def read_webhook(config: Config, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """Opsgenie signs nothing: a header that it was told to send is the proof, and the alert is read all the same."""
    if not config.webhook_secret:
        raise PermanentFailure("This destination has no secret, so that no callback can be believed.")
    given = {name.lower(): value for name, value in headers.items()}
    signatures.require_same(given.get(CALLBACK_HEADER, ""), config.webhook_secret)
    reference = id_in(decode(body), "alert", "alias")
    if reference is None:
        raise PermanentFailure("The callback does not say which alert it is about.")
    return (TicketEvent(hashlib.sha256(body).hexdigest(), reference, call.now),)


def check(config: Config, *, call: Call) -> tuple[str, ...]:
    """Asks for an alert that is not there, and for the team; changes nothing."""
    problems = [*open_text_problem(config.url, call)]
    try:
        _alert(_api(config, call), NOBODYS_REFERENCE)
        if config.team and config.team not in {one.value for one in choices(config, "team", call=call)}:
            problems.append(f"There is no team {config.team}, or the key may not see it.")
    except DeliveryFailure as failure:
        problems.append(failure.reason)
    return tuple(problems)


def _api(config: Config, call: Call) -> Api:
    return Api(
        config.url, call=call, headers={"authorization": f"GenieKey {config.api_key}"}, secrets=secrets_of(config)
    )


def _require_done(api: Api, answer: Any, what: str) -> None:
    """Wait until the request was worked through; OutcomeUnknown if it takes too long, PermanentFailure if it failed."""
    request_id = id_in(answer, "requestId")
    if request_id is None:
        raise OutcomeUnknown(f"{api.host} took the request but gave it no number.")
    try:
        data = _outcome(api, request_id)
    except DeliveryFailure as failure:
        raise OutcomeUnknown(f"{api.host} took the request; what came of it is not known: {failure.reason}") from None
    if data is None:
        raise OutcomeUnknown(f"{api.host} took the request and has not worked it through yet.")
    if data.get("isSuccess", data.get("success")) is not True:
        raise PermanentFailure(f"{what}: {one_line(text_in(data, 'status'), 200) or 'no reason was given'}.")


def _outcome(api: Api, request_id: str) -> dict[str, Any] | None:
    """What came of a request, None while nobody knows."""
    for look in range(LOOKS):
        if look:
            time.sleep(PAUSE_SECONDS)
        try:
            document = api.get(f"/v2/alerts/requests/{segment(request_id)}")
        except NotThere:
            continue
        data = document.get("data") if isinstance(document, dict) else None
        if isinstance(data, dict):
            return data
    return None


def _alert(api: Api, reference: str) -> dict[str, Any] | None:
    """Of the alerts that a search by our tag returns the newest that bears our alias; closed ones, too. Raises where it
    returns strangers.
    """
    if not _REFERENCE.fullmatch(reference):
        raise PermanentFailure(f"{reference[:40]!r} is no reference of ours.")
    query: dict[str, str | int] = {"query": f'tag: "{reference}"', "sort": "createdAt", "order": "desc", "limit": 100}
    rows = rows_in(api.get("/v2/alerts", query), "data", host=api.host)
    mine = [row for row in rows if row.get("alias") == reference]
    if mine:
        return mine[0]
    if rows:
        raise PermanentFailure(f"{api.host} ignores the search for our reference: it returned more than it should.")
    return None


def _is_there(api: Api, alias: str) -> bool:
    """Whether there is an open alert of this alias, which does not ask the index: that lags behind."""
    try:
        document = api.get(f"/v2/alerts/{segment(alias)}", {"identifierType": "alias"})
    except NotThere:
        return False
    return text_in(document, "data", "status") != "closed"


def _remark(note: Mapping[str, Any]) -> Remark:
    """Notes have no number; their offset is one."""
    author, text = text_in(note, "owner"), text_in(note, "note")
    said = f"{text_in(note, 'createdAt')} {text_in(note, 'offset')} {author} {text}"
    return Remark(
        id=hashlib.sha256(said.encode()).hexdigest()[:32],
        author=author,
        text=text,
        at=moment(note.get("createdAt")),
        ours=author == US,
    )
