"""What Freshdesk and Freshservice have in common, for the two gateways; nothing here is a gateway by itself.

Both speak API v2 with the key of one agent, number status and priority alike, and find tickets through a search index
that lags by minutes. Our reference is a tag: the one text that both let an API set and search without a custom field.
Where they differ stands in ``Product``. Sources: developers.freshdesk.com/api, "Tickets", "Conversations", "Filter
tickets"; api.freshservice.com, "Ticket attributes", "Filter Tickets", "Conversations".
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from integrations.configuration import BadConfig, secrets_of, setting
from integrations.errors import NotThere, OutcomeUnknown, PermanentFailure
from integrations.tickets import signatures
from integrations.tickets.contract import (
    Call,
    Choice,
    Company,
    Created,
    NewTicket,
    Priority,
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
    rows_in,
    segment,
    text_in,
)

OPEN: Final = 2
STATUS_WORDS: Final = {"2": "Open", "3": "Pending", "4": "Resolved", "5": "Closed"}
CLOSED: Final = frozenset({"4", "5"})
PRIORITIES: Final[Mapping[Priority, int]] = {"low": 1, "normal": 2, "high": 3, "urgent": 4}
#: "Updates take a few minutes to get indexed", says the manual of the search.
INDEX_LAG: Final = timedelta(minutes=10)
NOBODYS_REFERENCE: Final = "BL-00000000"
CALLBACK_HEADER: Final = "x-backledger-secret"
SUBJECT_LIMIT: Final = 255
PER_PAGE: Final = 100
MAX_PAGES: Final = 10


@dataclass(frozen=True)
class Product:
    """How one of the two differs. ``wraps``: answers stand under the name of what they are, ``{"ticket": {...}}``."""

    label: str
    wraps: bool
    search_path: str
    search_rows: str
    companies: str
    company_field: str
    fields_path: str
    fields: str


@dataclass(frozen=True)
class Settings:
    """What both need."""

    url: str = setting("Address", help="Such as https://yourname.freshdesk.com or https://yourname.freshservice.com")
    api_key: str = setting(
        "API key", secret=True, help="Profile settings of an agent; give Backledger an agent of its own."
    )
    requester: str = setting("Requester's email", help="On whose behalf tickets are opened.")
    default_company: str = setting(
        "Company or department if a client has none", default="", help="Empty: the ticket gets none.", looked_up=True
    )
    group: str = setting("Group", default="", help="Who gets the tickets. Empty: its own rules.", looked_up=True)
    close_as: str = setting("Status to close with", default="5", choices=(("4", "Resolved"), ("5", "Closed")))
    public: bool = setting("Show our messages to the requester", kind="switch", default=False)
    webhook_secret: str = setting(
        "Secret of callbacks",
        default="",
        secret=True,
        help="16 characters or more; sent in the header X-Backledger-Secret.",
    )

    def __post_init__(self) -> None:
        check_address(self.url, field="url")
        if "@" not in self.requester:
            raise BadConfig("requester", "The requester's email must be a mail address.")
        for name in ("default_company", "group"):
            if not re.fullmatch(r"[0-9]{0,18}", getattr(self, name)):
                raise BadConfig(name, "This must be its number.")
        if self.webhook_secret and (len(self.webhook_secret) < 16 or not self.webhook_secret.isascii()):
            raise BadConfig("webhook_secret", "The secret must have 16 ASCII characters or more.")


def api_of(config: Settings, call: Call) -> Api:
    """The API with the key as user name; the password is ignored."""
    credentials = base64.b64encode(f"{config.api_key}:X".encode()).decode()
    return Api(
        config.url.rstrip("/") + "/api/v2",
        call=call,
        headers={"authorization": f"Basic {credentials}"},
        secrets=(*secrets_of(config), credentials),
    )


def create(
    product: Product, config: Settings, ticket: NewTicket, company: str, extra: Mapping[str, Any], *, call: Call
) -> Created:
    """Open the ticket, tagged with our reference; an answer without an id leaves the outcome unknown."""
    require_reference(ticket.reference)
    fields: dict[str, Any] = {
        "email": config.requester,
        "subject": one_line(ticket.text.subject, SUBJECT_LIMIT),
        "description": html_of(ticket.text),
        "status": OPEN,
        "priority": PRIORITIES[ticket.priority],
        "tags": ["backledger", ticket.reference],
    } | dict(extra)
    if company:
        fields[product.company_field] = number(company, product.label)
    if config.group:
        fields["group_id"] = int(config.group)
    api = api_of(config, call)
    external_id = id_in(_one(product, api.write("POST", "/tickets", fields), "ticket"), "id")
    if external_id is None:
        raise OutcomeUnknown(f"{api.host} took the new ticket but told no id.")
    return created(config, external_id)


def add_note(product: Product, config: Settings, thread: Thread, text: TicketText, *, api: Api) -> None:
    """A note; what is answered must show that there is one."""
    body = {"body": html_of(text), "private": not config.public}
    answer = api.write("POST", f"/tickets/{segment(thread.external_id)}/notes", body)
    if id_in(_one(product, answer, "conversation"), "id") is None:
        raise OutcomeUnknown(f"{api.host} took the message but did not confirm it.")


def set_status(product: Product, thread: Thread, status: int, *, api: Api) -> None:
    """Change the status, and believe only the status that comes back."""
    answer = api.write("PUT", f"/tickets/{segment(thread.external_id)}", {"status": status})
    told = text_in(_one(product, answer, "ticket"), "status")
    if not told:
        raise OutcomeUnknown(f"{api.host} does not say how the ticket {thread.external_id} stands now.")
    if told != str(status):
        raise PermanentFailure(f"{api.host} left the ticket {thread.external_id} in the status {told[:20]}.")


def close(product: Product, config: Settings, thread: Thread, text: TicketText, *, me: str, api: Api) -> None:
    """Words first and status last; words that a failed closing has already said are not said again."""
    there = read(product, config, thread, me, api)
    if there is None or there.closed:
        return
    last = next((remark for remark in reversed(there.remarks) if remark.ours), None)
    if last is None or _letters(last.text) != _letters(plain(html_of(text))):
        add_note(product, config, thread, text, api=api)
    set_status(product, thread, int(config.close_as), api=api)


def reopen(product: Product, config: Settings, thread: Thread, text: TicketText, *, call: Call) -> None:
    """Status first, since it can be set twice and words cannot."""
    api = api_of(config, call)
    set_status(product, thread, OPEN, api=api)
    add_note(product, config, thread, text, api=api)


def find(
    product: Product, config: Settings, reference: Reference, scope: Mapping[str, str], *, call: Call
) -> Created | None:
    """The oldest ticket whose tags hold our reference, as checked in what was returned; ``scope`` joins the query."""
    require_reference(reference)
    api, seen = api_of(config, call), 0
    for page in range(1, MAX_PAGES + 1):
        query: dict[str, str | int] = {"query": f"\"tag:'{reference}'\"", "page": page, **scope}
        document = api.get(product.search_path, query)
        rows = rows_in(document, product.search_rows, host=api.host)
        if not all(isinstance(row.get("tags"), list) for row in rows):
            raise PermanentFailure(
                f"{api.host} shows no tags, so it cannot be told whether the ticket exists: look there."
            )
        ours = [key for row in rows if reference in tags_of(row) and (key := id_in(row, "id")) is not None]
        if ours:
            return created(config, min(ours, key=lambda key: (len(key), key)))
        seen += len(rows)
        total = text_in(document, "total")
        if not rows or (total.isdigit() and seen >= int(total)):
            return None
    raise PermanentFailure(f"{api.host} ignores the search for our reference: it returned more than it should.")


def read(product: Product, config: Settings, thread: Thread, me: str, api: Api) -> Standing | None:
    """The ticket and its conversation; None if it is deleted or in the bin. ``me`` is the id of our agent."""
    path = f"/tickets/{segment(thread.external_id)}"
    try:
        ticket = _one(product, api.get(path), "ticket")
        said = pages(product, api, f"{path}/conversations", "conversations") if ticket is not None else []
    except NotThere:
        return None
    external_id, status = id_in(ticket, "id"), text_in(ticket, "status")
    if ticket is None or external_id is None or not status:
        raise PermanentFailure(f"{api.host} answered with something that is not the ticket that was asked for.")
    if ticket.get("deleted") is True:
        return None
    tags = tags_of(ticket)
    return Standing(
        external_id=external_id,
        status=STATUS_WORDS.get(status) or _own_status(product, api, status),
        closed=status in CLOSED,
        reference=thread.reference if thread.reference in tags else next((t for t in tags if t[:3] == "BL-"), ""),
        assignee=_agent_name(product, api, id_in(ticket, "responder_id")),
        remarks=tuple(_remark(item, me) for item in said if id_in(item, "id") is not None),
        url=page_of(config, external_id),
    )


def companies(product: Product, api: Api, search: str) -> tuple[Company, ...]:
    """Companies or departments whose name contains a text, up to 1,000."""
    rows = pages(product, api, f"/{product.companies}", product.companies)
    named = [(id_in(row, "id"), text_in(row, "name")) for row in rows]
    return tuple(Company(key, name) for key, name in named if key and name and search.lower() in name.lower())


def groups(product: Product, api: Api) -> tuple[Choice, ...]:
    """Groups of agents."""
    named = [(id_in(row, "id"), text_in(row, "name")) for row in pages(product, api, "/groups", "groups")]
    return tuple(Choice(key, name) for key, name in named if key and name)


def pages(product: Product, api: Api, path: str, name: str) -> list[dict[str, Any]]:
    """The rows of a list, page by page, up to 1,000."""
    found: list[dict[str, Any]] = []
    for page in range(1, MAX_PAGES + 1):
        document = api.get(path, {"page": page, "per_page": PER_PAGE})
        rows = rows_in(document, *((name,) if product.wraps else ()), host=api.host)
        found += rows
        if len(rows) < PER_PAGE:
            break
    return found


def field_choices(product: Product, api: Api, name: str) -> dict[str, str]:
    """What a field of the ticket form offers: a map of id to names, a list of both, or a list of texts."""
    document = api.get(product.fields_path)
    rows = rows_in(document, *((product.fields,) if product.wraps else ()), host=api.host)
    offered = next((row.get("choices") for row in rows if row.get("name") == name), None)
    if isinstance(offered, dict):
        return {str(key): str(told[0]) for key, told in offered.items() if isinstance(told, list) and told}
    found: dict[str, str] = {}
    for item in offered if isinstance(offered, list) else []:
        key = item if isinstance(item, str) else id_in(item, "id")
        if key:
            found[key] = text_in(item, "value") or key
    return found


def event_of(config: Settings, headers: Mapping[str, str], body: bytes, *, call: Call) -> tuple[TicketEvent, ...]:
    """One event. Nothing is signed there, so an automation rule sends our secret in a header."""
    if not config.webhook_secret:
        raise PermanentFailure("This destination takes no callbacks: it has no secret for them.")
    given = {name.lower(): value for name, value in headers.items()}
    signatures.require_same(given.get(CALLBACK_HEADER, ""), config.webhook_secret)
    told = text_in(decode(body), "ticket_id")
    match = re.fullmatch(r"(?:[A-Z]{1,10}-)?([0-9]{1,18})", told)
    if match is None:
        raise PermanentFailure("The callback names no ticket: send ticket_id in its body.")
    return (TicketEvent(hashlib.sha256(body).hexdigest(), match[1], call.now),)


def created(config: Settings, external_id: str) -> Created:
    return Created(external_id, page_of(config, external_id))


def page_of(config: Settings, external_id: str) -> str:
    return f"{config.url.rstrip('/')}/a/tickets/{segment(external_id)}"


def require_reference(reference: str) -> None:
    """Raises PermanentFailure for what would not be a plain word in a query."""
    if not re.fullmatch(r"[A-Za-z0-9-]{1,32}", reference):
        raise PermanentFailure(f"{reference[:40]!r} cannot be a tag: a reference has letters, digits and hyphens.")


def number(text: str, label: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise PermanentFailure(f"{text[:40]!r} is no number that {label} could have given: choose the company again.")
    return int(text)


def tags_of(row: Mapping[str, Any]) -> list[str]:
    tags = row.get("tags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def html_of(text: TicketText) -> str:
    return text.html if text.html is not None else html.escape(text.body, quote=False).replace("\n", "<br>\n")


def plain(markup: str) -> str:
    """The words of a text in HTML."""
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


def _letters(text: str) -> str:
    """A text without what an editor may change in it: its spaces and ends of lines."""
    return "".join(text.split())


def _one(product: Product, document: Any, name: str) -> dict[str, Any] | None:
    found = document.get(name) if product.wraps and isinstance(document, dict) else document
    return found if isinstance(found, dict) else None


def _remark(item: Mapping[str, Any], me: str) -> Remark:
    author = id_in(item, "user_id") or ""
    return Remark(
        id=id_in(item, "id") or "",
        author=text_in(item, "from_email") or author,
        text=text_in(item, "body_text") or plain(text_in(item, "body")),
        at=moment(item.get("created_at")),
        ours=author == me,
    )


def _agent_name(product: Product, api: Api, agent: str | None) -> str:
    """The name of an agent; "" for none, and where our agent may not look."""
    if agent is None:
        return ""
    try:
        person = _one(product, api.get(f"/agents/{segment(agent)}"), "agent")
    except PermanentFailure:
        return ""
    names = (text_in(person, "first_name"), text_in(person, "last_name"))
    return text_in(person, "contact", "name") or " ".join(name for name in names if name)


def _own_status(product: Product, api: Api, status: str) -> str:
    """The name of a status that was added there; its number where our agent may not look."""
    try:
        return field_choices(product, api, "status").get(status) or f"Status {status[:20]}"
    except PermanentFailure:
        return f"Status {status[:20]}"
