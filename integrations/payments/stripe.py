"""Brings one final invoice to Stripe, finalises it there, voids it, and lists what is there.

Called by the delivery of an invoice's lane. Every step first looks at what exists, by our ids in the metadata and by
listing (Stripe's search lags), so a push can be broken off and repeated at any point, also after Stripe has forgotten
the idempotency keys (24 hours): it never makes a second customer, invoice or line. Amounts are ours; an invoice whose
total at Stripe differs from ours by a cent is never finalised.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import stripe

from integrations import http
from integrations.configuration import BadConfig, secrets_of, setting
from integrations.errors import OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.payments.documents import FinishedInvoice, FinishedLine, PayingParty, to_minor_units

if TYPE_CHECKING:
    from stripe.params import InvoiceAddLinesParamsLine, InvoiceCreateParams

LABEL: Final = "Stripe"
API_VERSION: Final = "2026-10-28.endive"  # the one that the pinned library's types describe
LINES_PER_CALL = 100
MAX_LINES = 250  # of one invoice at Stripe

T = TypeVar("T")

_COLLECTION = (("send_invoice", "the client pays by invoice"), ("charge_automatically", "charge the stored method"))
#: Keys of our metadata there.
_BILL_TO, INVOICE_KEY, _HASH, _LINE = "backledger_bill_to", "backledger_invoice", "backledger_hash", "backledger_line"


@dataclass(frozen=True)
class Config:
    """One Stripe account, or a connected account below it."""

    api_key: str = setting("Secret key", secret=True, help="sk_... or better a restricted key: rk_...")
    webhook_secret: str = setting("Secret of callbacks", default="", secret=True, help="whsec_...")
    collection: str = setting("Payment", default="send_invoice", choices=_COLLECTION)
    collect: bool = setting(
        "Let Stripe collect", kind="switch", default=True, help="Its mails, reminders and charges, as its settings say."
    )
    account: str = setting("Connected account", default="", help="acct_..., for a reseller's own account.")
    api_base: str = setting("API address", default="https://api.stripe.com")

    def __post_init__(self) -> None:
        if not self.api_key.startswith(("sk_", "rk_")):
            raise BadConfig("api_key", "The secret key must begin with sk_ or rk_.")
        if self.webhook_secret and not self.webhook_secret.startswith("whsec_"):
            raise BadConfig("webhook_secret", "The secret of callbacks must begin with whsec_.")
        if self.account and not self.account.startswith("acct_"):
            raise BadConfig("account", "A connected account must begin with acct_.")


@dataclass(frozen=True)
class Call:
    """How one call is to be made; the deadline covers all requests together. Same meaning as for ticket gateways."""

    now: datetime
    deadline_seconds: float
    allow_private: bool = False


@dataclass(frozen=True)
class StripeIds:
    """What we know of the objects there; a missing id is looked up."""

    customer_id: str | None = None
    invoice_id: str | None = None


@dataclass(frozen=True)
class Pushed:
    """A finalised invoice: ``status`` is open, paid or uncollectible; ``page_url`` is where the client pays.

    ``paid_minor`` is what has been paid in the currency's smallest unit, ``paid_at`` when all of it was.
    """

    ids: StripeIds
    status: str
    page_url: str | None
    paid_minor: int = 0
    paid_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class TheirInvoice:
    """An invoice as Stripe has it; ``our_id`` is the id of ours in its metadata, "" where somebody else made it."""

    invoice_id: str
    our_id: str
    number: str
    currency: str
    status: str
    total_minor: int
    paid_minor: int


class ReplayedError(OutcomeUnknown):
    """Stripe repeated a stored 500 for our idempotency key: the first request has ended, that key is used up."""


def push_invoice(config: Config, document: FinishedInvoice, known: StripeIds, *, call: Call) -> Pushed:
    """Make the invoice exist there, complete and finalised, whatever of it exists already."""
    _refuse_unfit(document)
    try:
        return _push(Session(config, call), document, known)
    except ReplayedError:
        # The request that failed is over, so a look now is final, and another key cannot double anything.
        return _push(Session(config, call, key_suffix=":again"), document, known)


def void(config: Config, document: FinishedInvoice, known: StripeIds, *, call: Call) -> None:
    """Make the invoice void there; a draft is deleted, and what never got there needs nothing."""
    session = Session(config, call)
    customer_id = _find_customer(session, document.paying, known)
    invoice = _find_invoice(session, document, customer_id, known) if customer_id else None
    if invoice is None or invoice.status == "void":
        return
    if invoice.status == "paid":
        raise PermanentFailure(f"Invoice {document.number} is paid in Stripe; issue a credit note and a refund.")
    with session.explaining():
        if invoice.status == "draft":
            session.client.v1.invoices.delete(invoice.id)
        else:
            session.client.v1.invoices.void_invoice(invoice.id, {}, session.key(f"void:{document.invoice_id}"))


def list_invoices(config: Config, *, since: date, call: Call) -> tuple[TheirInvoice, ...]:
    """Every invoice made there since a day (UTC), drafts and void ones included."""
    session = Session(config, call)
    begins = int(datetime.combine(since, time_of_day(0), tzinfo=UTC).timestamp())
    with session.explaining():
        listed = session.client.v1.invoices.list({"created": {"gte": begins}, "limit": 100}).auto_paging_iter()
        return tuple(_theirs(invoice) for invoice in listed)


def _theirs(invoice: stripe.Invoice) -> TheirInvoice:
    return TheirInvoice(
        invoice_id=invoice.id,
        our_id=metadata_of(invoice).get(INVOICE_KEY, ""),
        number=invoice.number or "",
        currency=invoice.currency.upper(),
        status=str(invoice.status),
        total_minor=invoice.total,
        paid_minor=invoice.amount_paid or 0,
    )


def _push(session: Session, document: FinishedInvoice, known: StripeIds) -> Pushed:
    customer_id = _find_customer(session, document.paying, known) or _create_customer(session, document.paying)
    invoice = _find_invoice(session, document, customer_id, known)
    if invoice is None:
        _bring_up_to_date(session, customer_id, document.paying)
        invoice = _create_invoice(session, document, customer_id)
    _refuse_other_document(invoice, document)
    if invoice.status == "draft":
        _add_missing_lines(session, invoice.id, document)
        invoice = _retrieve_invoice(session, invoice.id)
        _refuse_difference(invoice, document)
        invoice = _finalise(session, invoice.id, document)
    _refuse_difference(invoice, document)
    return Pushed(
        StripeIds(customer_id, invoice.id),
        str(invoice.status),
        invoice.hosted_invoice_url,
        paid_minor=invoice.amount_paid or 0,
        paid_at=_paid_at(invoice),
    )


def _paid_at(invoice: stripe.Invoice) -> datetime | None:
    moments = invoice.to_dict().get("status_transitions") or {}
    paid = moments.get("paid_at")
    return datetime.fromtimestamp(paid, tz=UTC) if isinstance(paid, int) else None


def _refuse_unfit(document: FinishedInvoice) -> None:
    """What Stripe cannot hold is refused before anything is sent."""
    minor = [to_minor_units(line.amount, currency=document.currency) for line in document.lines]
    total = to_minor_units(document.total, currency=document.currency)
    if sum(minor) != total:
        raise PermanentFailure(f"The lines of invoice {document.number} do not add up to its total {document.total}.")
    if total < 0:
        raise PermanentFailure(f"The total of invoice {document.number} is negative: that is a credit note.")
    if len(document.lines) > MAX_LINES:
        raise PermanentFailure(f"Stripe takes {MAX_LINES} lines an invoice; this one has {len(document.lines)}.")
    if len({line.line_id for line in document.lines}) != len(document.lines):
        raise PermanentFailure(f"Two lines of invoice {document.number} have the same id.")


def _find_customer(session: Session, paying: PayingParty, known: StripeIds) -> str | None:
    """By the id we know, else by our id in the metadata. Lists all, newest first: a list, unlike a search, is exact."""
    if known.customer_id and session.look(partial(session.client.v1.customers.retrieve, known.customer_id)):
        return known.customer_id
    with session.explaining():
        for customer in session.client.v1.customers.list({"limit": 100}).auto_paging_iter():
            if metadata_of(customer).get(_BILL_TO) == paying.bill_to_id:
                return customer.id
    return None


def _create_customer(session: Session, paying: PayingParty) -> str:
    params = {**_customer_details(paying), "metadata": {_BILL_TO: paying.bill_to_id}}
    with session.explaining():
        key = session.key(f"cus:{paying.bill_to_id}:{_hash_of(params)}")
        return session.client.v1.customers.create(cast(Any, params), key).id


def _bring_up_to_date(session: Session, customer_id: str, paying: PayingParty) -> None:
    """Stripe prints the customer's name and address as they are there at finalising: they must be the document's."""
    with session.explaining():
        params = _customer_details(paying)
        current = session.client.v1.customers.retrieve(customer_id).to_dict()
        if any(not _agrees(current.get(name), value) for name, value in params.items()):
            session.client.v1.customers.update(customer_id, cast(Any, params))


def _agrees(current: object, wanted: object) -> bool:
    if isinstance(wanted, dict):
        return isinstance(current, dict) and all(_agrees(current.get(name), value) for name, value in wanted.items())
    return (current or "") == wanted


def _customer_details(paying: PayingParty) -> dict[str, object]:
    address = {
        name: getattr(paying.address, name) for name in ("line1", "line2", "postal_code", "city", "state", "country")
    }
    details: dict[str, object] = {"name": paying.name[:256], "address": address}
    return details | ({"email": paying.email} if paying.email else {})


def _find_invoice(
    session: Session, document: FinishedInvoice, customer_id: str, known: StripeIds
) -> stripe.Invoice | None:
    retrieve = session.client.v1.invoices.retrieve
    if known.invoice_id and (invoice := session.look(partial(retrieve, known.invoice_id))):
        if metadata_of(invoice).get(INVOICE_KEY) != document.invoice_id:
            raise PermanentFailure(f"{known.invoice_id} in Stripe is not our invoice {document.number}.")
        return invoice
    with session.explaining():
        listed = session.client.v1.invoices.list({"customer": customer_id, "limit": 100}).auto_paging_iter()
        ours = [invoice for invoice in listed if metadata_of(invoice).get(INVOICE_KEY) == document.invoice_id]
    if len(ours) > 1:
        ids = ", ".join(invoice.id for invoice in ours)
        raise PermanentFailure(f"Invoice {document.number} exists more than once in Stripe: {ids}. Delete all but one.")
    return ours[0] if ours else None


def _create_invoice(session: Session, document: FinishedInvoice, customer_id: str) -> stripe.Invoice:
    params: InvoiceCreateParams = {
        "customer": customer_id,
        "currency": document.currency.lower(),
        "number": document.number,
        "auto_advance": False,
        "pending_invoice_items_behavior": "exclude",
        "collection_method": cast(Any, session.config.collection),
        "discounts": "",  # the amounts are finished: nothing of the customer's may change them
        "effective_at": noon_of(document.issued_on),
        "metadata": {INVOICE_KEY: document.invoice_id, _HASH: document.content_hash},
    }
    if session.config.collection == "send_invoice":
        params["due_date"] = noon_of(document.due_on)
    if document.order_number:
        params["custom_fields"] = [{"name": "Order number", "value": document.order_number[:140]}]
    if document.note:
        params["description"] = document.note[:1500]
    with session.explaining():
        return session.client.v1.invoices.create(params, session.key(_key_of(document)))


def _refuse_other_document(invoice: stripe.Invoice, document: FinishedInvoice) -> None:
    if metadata_of(invoice).get(_HASH) != document.content_hash:
        raise PermanentFailure(f"{invoice.id} in Stripe was made from another version of invoice {document.number}.")
    if invoice.status == "void":
        raise PermanentFailure(
            f"Invoice {document.number} was voided in Stripe ({invoice.id}); void and replace it here."
        )


def _add_missing_lines(session: Session, invoice_id: str, document: FinishedInvoice) -> None:
    present = _present_lines(session, invoice_id)
    strange = present - {line.line_id for line in document.lines}
    if strange:
        raise PermanentFailure(f"The draft {invoice_id} in Stripe has a line that is not in invoice {document.number}.")
    missing = [line for line in document.lines if line.line_id not in present]
    for start in range(0, len(missing), LINES_PER_CALL):
        batch = [_line_params(line, document.currency) for line in missing[start : start + LINES_PER_CALL]]
        with session.explaining():
            key = session.key(f"{_key_of(document)}:lines:{_hash_of(batch)}")
            session.client.v1.invoices.add_lines(invoice_id, {"lines": batch}, key)


def _present_lines(session: Session, invoice_id: str) -> set[str]:
    """Our ids of the lines there; "" for a line that is not ours."""
    with session.explaining():
        listed = session.client.v1.invoices.line_items.list(invoice_id, {"limit": 100}).auto_paging_iter()
        return {metadata_of(line).get(_LINE, "") for line in listed}


def _line_params(line: FinishedLine, currency: str) -> InvoiceAddLinesParamsLine:
    params: InvoiceAddLinesParamsLine = {
        "amount": to_minor_units(line.amount, currency=currency),
        "description": line.description[:500],
        "discountable": False,
        "metadata": {_LINE: line.line_id},
    }
    if line.first_day and line.last_day:
        params["period"] = {"start": noon_of(line.first_day), "end": noon_of(line.last_day)}
    return params


def _retrieve_invoice(session: Session, invoice_id: str) -> stripe.Invoice:
    with session.explaining():
        return session.client.v1.invoices.retrieve(invoice_id)


def _refuse_difference(invoice: stripe.Invoice, document: FinishedInvoice) -> None:
    ours = to_minor_units(document.total, currency=document.currency)
    theirs = (invoice.currency.upper(), invoice.total, invoice.number)
    if theirs != (document.currency.upper(), ours, document.number):
        raise PermanentFailure(
            f"Invoice {document.number} is {ours} {document.currency.upper()} in minor units, but {invoice.id} in "
            f"Stripe is number {invoice.number} with {invoice.total} {invoice.currency.upper()}; it was not finalised."
        )


def _finalise(session: Session, invoice_id: str, document: FinishedInvoice) -> stripe.Invoice:
    with session.explaining():
        params = {"auto_advance": session.config.collect}
        key = session.key(f"{_key_of(document)}:finalise")
        return session.client.v1.invoices.finalize_invoice(invoice_id, cast(Any, params), key)


def _key_of(document: FinishedInvoice) -> str:
    return f"inv:{document.invoice_id}:{document.content_hash[:32]}"


def _hash_of(params: object) -> str:
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()[:16]


def noon_of(day: date) -> int:
    """Unix seconds of noon UTC: the same day in nearly every time zone that Stripe may print it in."""
    return int(datetime.combine(day, time_of_day(12), tzinfo=UTC).timestamp())


def metadata_of(thing: Any) -> dict[str, str]:
    return dict((thing.to_dict() if thing is not None else {}).get("metadata") or {})


class Session:
    """The requests of one push: one client without global state, one deadline, the idempotency keys."""

    def __init__(self, config: Config, call: Call, *, key_suffix: str = "") -> None:
        self.config = config
        self._key_suffix = key_suffix
        self.client = stripe.StripeClient(
            config.api_key,
            base_addresses={"api": config.api_base},
            stripe_account=config.account or None,
            stripe_version=API_VERSION,
            max_network_retries=0,  # the lane repeats, and looks first
            http_client=_Door(config, call),
        )

    def key(self, text: str) -> stripe.RequestOptions:
        """The idempotency key as the library takes it."""
        return {"idempotency_key": (text + self._key_suffix)[:255]}

    def look(self, retrieve: Callable[[], T]) -> T | None:
        """What ``retrieve`` answers; None if the object is gone or deleted."""
        try:
            found = retrieve()
        except stripe.InvalidRequestError as error:
            if error.code == "resource_missing":
                return None
            with self.explaining():
                raise
        return None if getattr(found, "deleted", False) else found

    def explaining(self) -> _Explaining:
        """Turns what Stripe refuses into a failure with a sentence."""
        return _Explaining(secrets_of(self.config))


class _Explaining:
    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, stripe.StripeError):
            told = http.redact(str(error.user_message or error)[:300], self._secrets)
            raise PermanentFailure(f"Stripe refused: {told}") from None


class _Door(stripe.HTTPClient):
    """Sends the library's requests through our HTTP door, so that its deadline and its checks hold for Stripe too."""

    name = "backledger"

    def __init__(self, config: Config, call: Call) -> None:
        super().__init__()
        self._call = call
        self._until = time.monotonic() + call.deadline_seconds
        self._secrets = secrets_of(config)

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, **_: Any
    ) -> tuple[str, int, Mapping[str, str]]:
        answer = http.exchange(
            method.upper(),
            url,
            headers=headers,
            body=post_data.encode() if isinstance(post_data, str) else post_data,
            deadline_seconds=max(0.0, self._until - time.monotonic()),
            allow_private=self._call.allow_private,
            max_answer_bytes=10_000_000,
        )
        self._refuse(method.upper(), url, answer)
        return answer.body.decode("utf-8", "replace"), answer.status, answer.headers

    def close(self) -> None:
        """Nothing is kept open."""

    def _refuse(self, method: str, url: str, answer: http.Answer) -> None:
        if answer.status >= 500 and answer.headers.get("idempotent-replayed") == "true":
            raise ReplayedError("Stripe repeats a failure of an earlier request.")
        if answer.status == 409:
            raise TemporaryFailure("Stripe is still busy with an earlier request for the same object.")
        if answer.status == 429 or answer.status >= 500 or 300 <= answer.status < 400:
            raise http.failure_of(answer, method=method, url=url, secrets=self._secrets)
