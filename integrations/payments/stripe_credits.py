"""Brings one final credit note to Stripe: a credit note on our invoice there, with the money back where it was paid.

Like a push of an invoice it looks first, by our id in the metadata of the invoice's listed credit notes, so that it can
be broken off and repeated at any point, also after Stripe has forgotten the idempotency keys: nothing is credited or
refunded twice. The amount is ours; Stripe says how much of it was not paid yet and only falls away.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import stripe

from integrations.errors import PermanentFailure
from integrations.payments.documents import FinishedCreditNote, to_minor_units
from integrations.payments.stripe import INVOICE_KEY, Call, Config, ReplayedError, Session, metadata_of, noon_of

if TYPE_CHECKING:
    from stripe.params import CreditNoteCreateParams

#: Keys of our metadata there.
_CREDIT: Final = "backledger_credit"
_HASH: Final = "backledger_hash"
#: What was to go back is kept with the note: a later look at the invoice would tell another figure.
_BACK: Final = "backledger_back"


@dataclass(frozen=True)
class Credited:
    """A credit note that exists there. ``back_minor`` is how much of it had been paid, in the smallest unit."""

    credit_note_id: str
    back_minor: int


def push_credit_note(config: Config, document: FinishedCreditNote, invoice_there: str, *, call: Call) -> Credited:
    """Make the credit note exist there once, on the invoice whose id there is ``invoice_there``."""
    minor = to_minor_units(document.total, currency=document.currency)
    if minor <= 0:
        raise PermanentFailure(f"Credit note {document.number} takes nothing back: its total is {document.total}.")
    try:
        return _push(Session(config, call), document, invoice_there, minor=minor)
    except ReplayedError:
        # The request that failed is over, so a look now is final, and another key cannot double anything.
        return _push(Session(config, call, key_suffix=":again"), document, invoice_there, minor=minor)


def _push(session: Session, document: FinishedCreditNote, invoice_there: str, *, minor: int) -> Credited:
    invoice = session.look(partial(session.client.v1.invoices.retrieve, invoice_there))
    if invoice is None or metadata_of(invoice).get(INVOICE_KEY) != document.invoice_id:
        raise PermanentFailure(f"{invoice_there} in Stripe is not our invoice {document.invoice_number}.")
    note = _find(session, document, invoice_there)
    if note is None:
        _refuse_unfit(document, invoice)
        note = _create(session, document, invoice, minor=minor)
    _refuse_difference(note, document, minor=minor)
    return Credited(note.id, int(metadata_of(note).get(_BACK, "0")))


def _find(session: Session, document: FinishedCreditNote, invoice_there: str) -> stripe.CreditNote | None:
    with session.explaining():
        listed = session.client.v1.credit_notes.list({"invoice": invoice_there, "limit": 100}).auto_paging_iter()
        ours = [note for note in listed if metadata_of(note).get(_CREDIT) == document.credit_id]
    if len(ours) > 1:
        ids = ", ".join(note.id for note in ours)
        raise PermanentFailure(
            f"Credit note {document.number} exists more than once in Stripe: {ids}. Void all but one."
        )
    return ours[0] if ours else None


def _refuse_unfit(document: FinishedCreditNote, invoice: stripe.Invoice) -> None:
    if invoice.currency.upper() != document.currency.upper():
        raise PermanentFailure(
            f"Credit note {document.number} is in {document.currency.upper()}, but {invoice.id} in Stripe is in "
            f"{invoice.currency.upper()}."
        )
    if invoice.status not in ("open", "paid"):
        raise PermanentFailure(
            f"Invoice {document.invoice_number} is {invoice.status} in Stripe: only open or paid ones can be credited."
        )


def _create(
    session: Session, document: FinishedCreditNote, invoice: stripe.Invoice, *, minor: int
) -> stripe.CreditNote:
    unpaid = invoice.amount_remaining if invoice.status == "open" else 0
    back = max(0, minor - unpaid)
    params: CreditNoteCreateParams = {
        "invoice": invoice.id,
        "amount": minor,
        "memo": f"Credit note {document.number}",
        "effective_at": noon_of(document.issued_on),
        "metadata": {_CREDIT: document.credit_id, _HASH: document.content_hash, _BACK: str(back)},
    }
    if back and document.money_back == "refund":
        params["refund_amount"] = back
    elif back and document.money_back == "balance":
        params["credit_amount"] = back
    elif back:
        params["out_of_band_amount"] = back
    with session.explaining():
        key = session.key(f"credit:{document.credit_id}:{document.content_hash[:32]}:{back}")
        return session.client.v1.credit_notes.create(params, key)


def _refuse_difference(note: stripe.CreditNote, document: FinishedCreditNote, *, minor: int) -> None:
    """Also a note that exists already: one id with two contents is told to a person."""
    if note.status == "void":
        raise PermanentFailure(f"Credit note {document.number} was voided in Stripe ({note.id}).")
    theirs = (metadata_of(note).get(_HASH), note.currency.upper(), note.total)
    if theirs != (document.content_hash, document.currency.upper(), minor):
        raise PermanentFailure(
            f"Credit note {document.number} is {minor} {document.currency.upper()} in minor units, but {note.id} in "
            f"Stripe is another version with {note.total} {note.currency.upper()}."
        )
