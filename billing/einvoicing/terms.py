"""The business terms (BT) and groups (BG) of EN 16931 for a document, read from its frozen snapshot.

Pure. What the standard demands and the snapshot lacks, or what it cannot say, is refused in one sentence that names
all of it. Amounts are exact text; nothing is rounded here, as the document's figures are rounded already.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from stdnum import iban

from billing.exporting.documents import ExportedDocument, ExportedLine, described, exact_price, exported
from billing.money import currency_of, money_text
from billing.refusals import Refused
from billing.taxes import TaxTotal

Terms = dict[str, Any]

#: UN/ECE Recommendation 20; what is counted one by one, or has no code, is a piece.
UNIT_CODES: Mapping[str, str] = {
    "byte": "AD", "MB": "4L", "MiB": "E63", "GB": "E34", "GiB": "E62", "TB": "E35", "TiB": "E61", "each": "C62",
    "%": "P1",
}  # fmt: skip
PIECE = "C62"
INVOICE, CREDIT_NOTE = "380", "381"
#: Why no tax is charged, in words and by the code list of the standard (VATEX).
EXEMPTIONS: Mapping[str, tuple[str, str]] = {
    "E": ("Exempt from VAT", ""),
    "AE": ("Reverse charge", "VATEX-EU-AE"),
    "K": ("Intra-community supply", "VATEX-EU-IC"),
    "G": ("Export outside the EU", "VATEX-EU-G"),
    "O": ("Not subject to VAT", "VATEX-EU-O"),
}
VAT_NUMBER = re.compile(r"[A-Z]{2}[A-Z0-9+*]{2,13}")
#: What XML 1.0 has no place for.
UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
CREDIT_TRANSFER, SEPA_TRANSFER = "30", "58"


class NotPossible(Refused):
    """The document cannot be an e-invoice; the sentence says all that is missing."""


def business_terms(snapshot: Mapping[str, Any]) -> Terms:
    """The terms of a document, keyed as the standard numbers them. Raises NotPossible."""
    document = exported(snapshot, void=False, customer_number="")
    seller, buyer = snapshot["seller"], snapshot["bill_to"]
    problems = list(_problems(document, seller, buyer))
    if problems:
        raise NotPossible(f"{document.number} cannot be an e-invoice: {'; '.join(problems)}.")
    sign = _sign(document)
    untaxed = any(tax.category == "O" for tax in document.taxes)
    terms: Terms = {
        "BT-1": document.number,
        "BT-2": document.issued_on,
        "BT-3": CREDIT_NOTE if sign < 0 or document.kind == "credit" else INVOICE,
        "BT-5": document.currency,
        "BT-9": document.due_on,
        "BT-20": f"Payable by {document.due_on.isoformat()}",
        "BT-72": document.last_day - timedelta(days=1),
        "BT-73": document.first_day,
        "BT-74": document.last_day - timedelta(days=1),
        "BG-4": _party(seller, vat=not untaxed),
        "BG-7": _party(buyer, vat=not untaxed),
        "BG-23": [_tax(tax, document, buyer, sign=sign) for tax in document.taxes],
        "BG-25": [_line(line, place, document, sign=sign) for place, line in enumerate(document.lines, start=1)],
        **_sums(document, sign=sign),
        **_payment(document, seller),
    }
    return terms | _optional(snapshot, document, buyer)


def _problems(document: ExportedDocument, seller: Mapping[str, Any], buyer: Mapping[str, Any]) -> Iterable[str]:
    """What is missing or cannot be said, each as a part of a sentence."""
    if currency_of(document.currency).decimals > 2:
        yield f"{document.currency} has three decimals, the standard allows two"
    for who, party in (("the seller", seller), ("the payer", buyer)):
        if not re.fullmatch(r"[A-Z]{2}", party["country"].upper()):
            yield f"{who} has no country"
    if not seller["tax_id"].strip():
        yield "the seller has no tax number"
    categories = {tax.category for tax in document.taxes}
    if categories & {"AE", "K"}:
        missing = [who for who, party in (("seller", seller), ("payer", buyer)) if not _vat_number(party)]
        if missing:
            which = ", ".join(sorted(categories & {"AE", "K"}))
            yield f"tax category {which} needs the VAT number of {' and '.join(missing)}"
    if "O" in categories and len(categories) > 1:
        yield "what is not subject to VAT cannot stand beside taxed lines"
    if not document.lines:
        yield "it has no lines"


def _sign(document: ExportedDocument) -> int:
    """A credit note says in positive amounts what it takes back; an invoice below zero is one."""
    return -1 if document.total < 0 else 1


def _party(party: Mapping[str, Any], *, vat: bool) -> Terms:
    address = [_text(line) for line in party["address"].splitlines() if line.strip()]
    terms: Terms = {"name": _text(party["legal_name"]), "country_code": party["country"].upper()}
    terms |= {f"addr_l{place}": line for place, line in enumerate(address[:3], start=1)}
    number = _vat_number(party)
    if number and vat:
        terms["vat_identifier"] = number
    elif number or party["tax_id"].strip():
        # without VAT the standard wants no VAT number; the seller is then named by the same number as a company's
        terms["legal_identifier"] = number or _text(party["tax_id"])
        if not number and "bank" in party:
            terms["tax_identifier"] = _text(party["tax_id"])
    if party["email"]:
        terms["contacts"] = [{"name": _text(party["legal_name"]), "email": _text(party["email"])}]
    return terms


def _vat_number(party: Mapping[str, Any]) -> str:
    """The number with the country before it, as the standard wants it (BR-CO-9); "" if it is none."""
    number = re.sub(r"[\s.-]", "", party["tax_id"].upper())
    return number if VAT_NUMBER.fullmatch(number) and any(letter.isdigit() for letter in number) else ""


def _tax(tax: TaxTotal, document: ExportedDocument, buyer: Mapping[str, Any], *, sign: int) -> Terms:
    terms: Terms = {
        "BT-116": _amount(tax.net * sign, document),
        "BT-117": _amount(tax.tax * sign, document),
        "BT-118": tax.category,
    }
    if tax.category != "O":
        terms["BT-119"] = _percent(tax.rate)
    words, code = EXEMPTIONS.get(tax.category, ("", ""))
    if words:
        terms["BT-120"] = _text(buyer.get("tax_note") or words)
    return terms | ({"BT-121": code} if code else {})


def _line(line: ExportedLine, place: int, document: ExportedDocument, *, sign: int) -> Terms:
    """A price is never negative (BR-27): what is taken off is a negative quantity."""
    quantity, price = exact_price(line)
    unit = UNIT_CODES.get(line.unit, PIECE) if quantity == line.quantity else PIECE
    if price < 0:
        quantity, price = -quantity, -price
    terms: Terms = {
        "BT-126": str(place),
        "BT-129": format(quantity * sign, "f"),
        "BT-130": unit,
        "BT-131": _amount(line.amount * sign, document),
        "BT-134": document.first_day,
        "BT-135": document.last_day - timedelta(days=1),
        "BT-146": format(price, "f"),
        "BT-151": line.tax_category,
        "BT-153": _text(described(line, document.currency))[:200],
    }
    return terms if line.tax_category == "O" else terms | {"BT-152": _percent(line.tax_rate)}


def _sums(document: ExportedDocument, *, sign: int) -> Terms:
    net, tax, total = document.net * sign, document.tax * sign, document.total * sign
    return {
        "BT-106": _amount(net, document),
        "BT-109": _amount(net, document),
        "BT-110": _amount(tax, document),
        "BT-112": _amount(total, document),
        "BT-115": _amount(total, document),
    }


def _payment(document: ExportedDocument, seller: Mapping[str, Any]) -> Terms:
    """A transfer to the account that the seller's bank details name, if one does."""
    account = _iban(seller.get("bank", ""))
    if not account:
        return {}
    means = SEPA_TRANSFER if document.currency == "EUR" else CREDIT_TRANSFER
    return {"BT-81": means, "BT-83": document.number, "BT-84": account}


def _iban(text: str) -> str:
    """The first valid IBAN in free text, "" if there is none."""
    for match in re.finditer(r"[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}", text.upper()):
        found = match[0].replace(" ", "")
        for length in range(len(found), 14, -1):
            if iban.is_valid(found[:length]):
                return found[:length]
    return ""


def _optional(snapshot: Mapping[str, Any], document: ExportedDocument, buyer: Mapping[str, Any]) -> Terms:
    terms: Terms = {}
    if buyer["order_number"]:
        terms["BT-13"] = _text(buyer["order_number"])
    preceding = snapshot.get("replaces") or snapshot.get("credits", {}).get("number")
    if preceding:
        terms["BG-3"] = [{"BT-25": preceding}]
    if any(tax.category == "K" for tax in document.taxes):
        terms["BG-13"] = {"name": _text(buyer["legal_name"]), "country_code": buyer["country"].upper()}
    contracts = _contracts(snapshot["lines"])
    return terms | ({"BG-1": [{"BT-22": contracts}]} if contracts else {})


def _contracts(lines: Sequence[Mapping[str, Any]]) -> str:
    """How sizes are counted, by the version of the size contract."""
    versions = sorted({line["size_contract"] for line in lines if line.get("size_contract")})
    return f"Sizes by size contract {', '.join(versions)}" if versions else ""


def _amount(amount: Decimal, document: ExportedDocument) -> str:
    return money_text(amount, document.currency).split()[0]


def _percent(rate: Decimal) -> str:
    return format((rate * 100).normalize(), "f")


def _text(text: str) -> str:
    """The text in one line, without what XML cannot hold."""
    return " ".join(UNWRITABLE.sub("", text).split())
