"""Stripe as far as invoices need it: customers, invoices with lines, paying, credit notes, refunds, signed events.

It keeps state, refuses parameters that the pinned library's types do not know, replays a key's first answer (also a
500) until it is 24 hours old by its own clock, refuses a key with other parameters, and can fail at a given request.
Answers have the shape of Stripe's published examples (tests/fixtures/stripe). ``python -m tests.doubles.stripe_server``
runs it by itself (docs/stripe-double.md).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, parse_qsl, urlsplit

from stripe import params as types

from tests.doubles.http_server import DROPPED, Request, Response, RunningServer
from tests.doubles.stripe_types import unknown_parameter

Fault = Literal[
    "answer lost after commit", "rate limit", "server error", "server error after commit", "in use",
    "lines lost", "total off by a cent",
]  # fmt: skip

API_KEY = "sk_test_s3cret_key_value"
KEY_LIFETIME_SECONDS = 24 * 3600
_EXAMPLES = Path(__file__).parent.parent / "fixtures" / "stripe"
Json = dict[str, Any]


@dataclass(frozen=True)
class _Stored:
    fingerprint: str
    response: Response
    made_at: int


class _RefusedError(Exception):
    def __init__(self, message: str, *, status: int = 400, code: str = "parameter_invalid", **more: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"type": "invalid_request_error", "code": code, "message": message} | more}


class StripeDouble:
    """Use as a context manager; ``url`` is the base address. ``clock`` is in Unix seconds and moves only by hand."""

    def __init__(self, *, port: int = 0) -> None:
        self.customers: dict[str, Json] = {}
        self.invoices: dict[str, Json] = {}
        self.lines: dict[str, list[Json]] = {}
        self.credit_notes: dict[str, Json] = {}
        self.refunds: dict[str, Json] = {}
        self.events: list[Json] = []
        self.log: list[Request] = []
        self.clock = 1_795_000_000
        self._keys: dict[str, _Stored] = {}
        self._faults: deque[tuple[str, Fault]] = deque()
        self._off_by: set[str] = set()
        self._count = 0
        self._lock = threading.Lock()
        self._server = RunningServer(self._answer, port=port)

    @property
    def url(self) -> str:
        return self._server.url

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, trace)

    def fail(self, fault: Fault, *, at: str) -> None:
        """Fail once at the next request matching ``at``, a pattern of ``METHOD path`` such as ``POST .*/add_lines``."""
        self._faults.append((at, fault))

    def writes(self) -> list[Request]:
        return [request for request in self.log if request.method != "GET"]

    def pay(self, invoice_id: str) -> None:
        """What the client does at Stripe's page."""
        invoice = self.invoices[invoice_id]
        if invoice["status"] != "open":
            raise ValueError(f"{invoice_id} is {invoice['status']}: only an open invoice is paid")
        moments = (invoice.get("status_transitions") or {}) | {"paid_at": self.clock}
        invoice |= {"status": "paid", "amount_paid": invoice["total"], "amount_remaining": 0}
        invoice["status_transitions"] = moments
        self._emit("invoice.paid", invoice)

    def signed(self, event: Json, *, secret: str) -> tuple[bytes, dict[str, str]]:
        """Body and headers of a callback with this event, signed now by the double's clock as Stripe signs."""
        body = json.dumps(event).encode()
        proof = hmac.new(secret.encode(), f"{self.clock}.".encode() + body, hashlib.sha256).hexdigest()
        return body, {"Stripe-Signature": f"t={self.clock},v1={proof}", "Content-Type": "application/json"}

    def _emit(self, kind: str, about: Json) -> None:
        event = {"id": self._new_id("evt"), "object": "event", "type": kind, "created": self.clock, "livemode": False}
        self.events.append(event | {"data": {"object": json.loads(json.dumps(about))}})

    def _answer(self, request: Request) -> Response:
        with self._lock:
            self.log.append(request)
            fault = self._take_fault(request)
            if fault == "rate limit":
                return _error(429, "Too many requests.", type="rate_limit_error")
            if fault == "in use":
                return _error(409, "Another request with this key is in progress.", type="idempotency_error")
            response = self._once(request, fault)
            return DROPPED if fault == "answer lost after commit" else response

    def _take_fault(self, request: Request) -> Fault | None:
        named = f"{request.method} {urlsplit(request.target).path}"
        if self._faults and re.fullmatch(self._faults[0][0], named):
            return self._faults.popleft()[1]
        return None

    def _once(self, request: Request, fault: Fault | None) -> Response:
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        fingerprint = hashlib.sha256(f"{request.target} {request.body!r}".encode()).hexdigest()
        stored = self._keys.get(key or "")
        if stored and self.clock - stored.made_at < KEY_LIFETIME_SECONDS:
            if stored.fingerprint != fingerprint:
                return _error(400, "Keys can only be used with the same parameters.", type="idempotency_error")
            headers = {"Idempotent-Replayed": "true"} | dict(stored.response.headers)
            return Response(stored.response.status, stored.response.body, headers)
        response = self._work(request, fault)
        if key:
            self._keys[key] = _Stored(fingerprint, response, self.clock)
        return response

    def _work(self, request: Request, fault: Fault | None) -> Response:
        if fault == "server error":
            return _error(500, "Something went wrong.", type="api_error")
        try:
            if request.headers.get("authorization") != f"Bearer {API_KEY}":
                raise _RefusedError(f"Invalid API Key provided: {request.headers.get('authorization')}", status=401)
            response = _json(200, self._route(request, fault))
        except _RefusedError as refused:
            return _json(refused.status, refused.body)
        if fault == "server error after commit":
            return _error(500, "Something went wrong.", type="api_error")
        return response

    def _route(self, request: Request, fault: Fault | None) -> Json:
        parts = urlsplit(request.target)
        form = parse_form(request.body.decode())
        query = {name: values[0] for name, values in parse_qs(parts.query).items()} | {"path": parts.path}
        routes: list[tuple[str, Callable[..., Json]]] = [
            (r"GET /v1/customers", lambda: self._page(list(self.customers.values()), query)),
            (r"POST /v1/customers", lambda: self._create_customer(form)),
            (r"GET /v1/customers/(\w+)", lambda id_: _known(self.customers, id_)),
            (r"POST /v1/customers/(\w+)", lambda id_: self._update_customer(id_, form)),
            (r"GET /v1/invoices", lambda: self._list_invoices(query)),
            (r"POST /v1/invoices", lambda: self._create_invoice(form)),
            (r"GET /v1/invoices/(\w+)", self._shown),
            (r"DELETE /v1/invoices/(\w+)", self._delete_invoice),
            (r"GET /v1/invoices/(\w+)/lines", lambda id_: self._page(self.lines[id_][::-1], query)),
            (r"POST /v1/invoices/(\w+)/add_lines", lambda id_: self._add_lines(id_, form, fault)),
            (r"POST /v1/invoices/(\w+)/finalize", lambda id_: self._finalise(id_, form)),
            (r"POST /v1/invoices/(\w+)/void", self._void),
            (r"POST /v1/invoices/(\w+)/pay", lambda id_: self._pay(id_, form)),
            (r"GET /v1/credit_notes", lambda: self._page(self._credits_of(query.get("invoice")), query)),
            (r"POST /v1/credit_notes", lambda: self._credit(form)),
            (r"GET /v1/refunds", lambda: self._page(list(self.refunds.values()), query)),
            (r"POST /v1/refunds", lambda: self._refund(form)),
            (r"GET /v1/events", lambda: self._page(self.events, query)),
        ]
        for pattern, work in routes:
            if found := re.fullmatch(pattern, f"{request.method} {parts.path}"):
                return work(*found.groups())
        raise _RefusedError(f"Unrecognized request URL ({request.method}: {parts.path}).", status=404)

    def _page(self, oldest_first: list[Json], query: dict[str, str]) -> Json:
        """A page as Stripe answers it, newest first."""
        items = oldest_first[::-1]
        after = query.get("starting_after")
        start = next((place + 1 for place, item in enumerate(items) if item["id"] == after), 0)
        end = start + int(query.get("limit", "10"))
        return {"object": "list", "data": items[start:end], "has_more": end < len(items), "url": query["path"]}

    def _new_id(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{self._count:06d}"

    def _create_customer(self, form: Json) -> Json:
        _check(form, types.CustomerCreateParams)
        customer = _example("customer") | form | {"id": self._new_id("cus"), "created": self.clock, "discount": None}
        self.customers[customer["id"]] = customer
        return customer

    def _update_customer(self, customer_id: str, form: Json) -> Json:
        _check(form, types.CustomerUpdateParams)
        customer = _known(self.customers, customer_id)
        customer |= form
        return customer

    def _list_invoices(self, query: dict[str, str]) -> Json:
        wanted, since = query.get("customer"), int(query.get("created[gte]", "0"))
        found = [i["id"] for i in self.invoices.values() if wanted in (None, i["customer"]) and i["created"] >= since]
        return self._page([self._shown(each) for each in found], query)

    def _create_invoice(self, form: Json) -> Json:
        _check(form, types.InvoiceCreateParams)
        _known(self.customers, form["customer"])
        if any(form.get("number") == invoice["number"] for invoice in self.invoices.values()):
            raise _RefusedError(f"The number {form['number']} is already used.")
        if ("due_date" in form) != (form.get("collection_method") == "send_invoice"):
            raise _RefusedError("due_date is for collection_method=send_invoice, which needs it.")
        numbers = {name: int(form[name]) for name in ("due_date", "effective_at") if name in form}
        own: Json = {"id": self._new_id("in"), "created": self.clock, "status": "draft", "currency": form["currency"]}
        invoice: Json = (
            _example("invoice") | form | numbers | own | {"auto_advance": form.get("auto_advance") == "true"}
        )
        invoice |= {"number": form.get("number"), "hosted_invoice_url": None, "discounts": []}
        self.invoices[invoice["id"]], self.lines[invoice["id"]] = invoice, []
        return self._shown(invoice["id"])

    def _shown(self, invoice_id: str) -> Json:
        invoice = _known(self.invoices, invoice_id)
        lines = self.lines[invoice_id]
        total = sum(line["amount"] for line in lines) + (1 if invoice_id in self._off_by else 0)
        first = {
            "object": "list",
            "data": lines[:10],
            "has_more": len(lines) > 10,
            "url": f"/v1/invoices/{invoice_id}/lines",
        }
        invoice |= {"lines": first, "subtotal": total, "total": total, "amount_due": total}
        return invoice

    def _add_lines(self, invoice_id: str, form: Json, fault: Fault | None) -> Json:
        _check(form, types.InvoiceAddLinesParams)
        if _known(self.invoices, invoice_id)["status"] != "draft":
            raise _RefusedError("Lines can only be added to a draft.")
        if len(form["lines"]) > 100:
            raise _RefusedError("Too many lines in one request.")
        new = [self._new_line(invoice_id, line) for line in form["lines"]]
        self.lines[invoice_id] += new[:-1] if fault == "lines lost" else new
        if fault == "total off by a cent":
            self._off_by.add(invoice_id)
        return self._shown(invoice_id)

    def _new_line(self, invoice_id: str, line: Json) -> Json:
        period = {
            name: int(value) for name, value in line.get("period", {"start": self.clock, "end": self.clock}).items()
        }
        own = {"id": self._new_id("il"), "amount": int(line["amount"]), "invoice": invoice_id, "period": period}
        return _example("line_item") | line | own | {"currency": self.invoices[invoice_id]["currency"]}

    def _finalise(self, invoice_id: str, form: Json) -> Json:
        _check(form, types.InvoiceFinalizeInvoiceParams)
        invoice = self._shown(invoice_id)
        if invoice["status"] != "draft":
            raise _RefusedError("This invoice is already finalized.")
        invoice |= {"status": "open", "auto_advance": form.get("auto_advance") == "true"}
        invoice["amount_remaining"] = invoice["total"]
        invoice["hosted_invoice_url"] = f"https://invoice.stripe.example/{invoice_id}"
        self._emit("invoice.finalized", invoice)
        return invoice

    def _void(self, invoice_id: str) -> Json:
        invoice = self._shown(invoice_id)
        if invoice["status"] not in ("open", "uncollectible"):
            raise _RefusedError("Only an open or uncollectible invoice can be voided.")
        invoice["status"] = "void"
        self._emit("invoice.voided", invoice)
        return invoice

    def _pay(self, invoice_id: str, form: Json) -> Json:
        _check(form, types.InvoicePayParams)
        if self._shown(invoice_id)["status"] != "open":
            raise _RefusedError("Only an open invoice can be paid.")
        self.pay(invoice_id)
        return self._shown(invoice_id)

    def _credits_of(self, invoice_id: str | None) -> list[Json]:
        return [each for each in self.credit_notes.values() if invoice_id in (None, each["invoice"])]

    def _credit(self, form: Json) -> Json:
        """Less than what is left of the invoice; of a paid one with what becomes of the money."""
        _check(form, types.CreditNoteCreateParams)
        invoice = self._shown(form["invoice"])
        amount = int(form.get("amount", "0"))
        credited = sum(each["amount"] for each in self._credits_of(form["invoice"]))
        if invoice["status"] not in ("open", "paid"):
            raise _RefusedError("Only an open or paid invoice can be credited.")
        if not 0 < amount <= invoice["total"] - credited:
            raise _RefusedError("The amount exceeds what is left of the invoice.")
        back = [name for name in ("refund_amount", "credit_amount", "out_of_band_amount") if form.get(name)]
        if invoice["status"] == "paid" and sum(int(form[name]) for name in back) != amount:
            raise _RefusedError("The sum of refund, credit and out of band amounts must equal the amount.")
        note: Json = form | {"id": self._new_id("cn"), "object": "credit_note", "amount": amount, "status": "issued"}
        note |= {"currency": invoice["currency"], "created": self.clock, "total": amount}
        self.credit_notes[note["id"]] = note
        if invoice["status"] == "open":
            invoice["amount_remaining"] = invoice["total"] - credited - amount
        self._emit("credit_note.created", note)
        return note

    def _refund(self, form: Json) -> Json:
        _check(form, types.RefundCreateParams)
        about = form.get("payment_intent") or form.get("charge")
        if about is None:
            raise _RefusedError("A refund needs a payment_intent or a charge.")
        refund: Json = form | {"id": self._new_id("re"), "object": "refund", "status": "succeeded"}
        refund |= {"amount": int(form["amount"]) if "amount" in form else None, "created": self.clock}
        self.refunds[refund["id"]] = refund
        self._emit("refund.created", refund)
        return refund

    def _delete_invoice(self, invoice_id: str) -> Json:
        if _known(self.invoices, invoice_id)["status"] != "draft":
            raise _RefusedError("Only a draft can be deleted.")
        del self.invoices[invoice_id]
        return {"id": invoice_id, "object": "invoice", "deleted": True}


def parse_form(body: str) -> Json:
    """Stripe's bracket notation as nested values: ``lines[0][amount]=5`` is ``{"lines": [{"amount": "5"}]}``."""
    tree: Json = {}
    for name, value in parse_qsl(body, keep_blank_values=True):
        steps = re.findall(r"[^\[\]]+", name)
        place = tree
        for step in steps[:-1]:
            place = place.setdefault(step, {})
        place[steps[-1]] = value
    return {name: _with_lists(value) for name, value in tree.items()}


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _with_lists(part) for name, part in value.items()}
    return list(inner.values()) if inner and all(name.isdigit() for name in inner) else inner


def _check(form: Json, params: type[Any]) -> None:
    unknown = unknown_parameter(form, params)
    if unknown:
        raise _RefusedError(f"Received unknown parameter: {unknown}", code="parameter_unknown", param=unknown)


def _known(things: dict[str, Json], thing_id: str) -> Json:
    if thing_id not in things:
        raise _RefusedError(f"No such object: '{thing_id}'", status=404, code="resource_missing")
    return things[thing_id]


def _example(name: str) -> Json:
    example: Json = json.loads((_EXAMPLES / f"{name}.json").read_text())
    return example


def _json(status: int, body: object) -> Response:
    return Response(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


def _error(status: int, message: str, **more: str) -> Response:
    return _json(status, {"error": {"message": message} | more})
