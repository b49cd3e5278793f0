"""Reads payments from a bank's file: camt.053 (ISO 20022), or a CSV with named columns. Pure: no clock, no database.

A file is read as a whole or refused with sentences. What is no payment received (debits, pending, reversed) is counted,
not taken. Each entry has an id made of what the bank says of it, so that an overlapping file brings nothing twice.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from billing.paying import LARGEST, LONGEST_REFERENCE, PaymentEntry
from billing.refusals import Refused

MOST_BYTES = 10_000_000
MOST_ENTRIES = 50_000
#: What banks call the columns, in lower case.
KNOWN_HEADS: Mapping[str, tuple[str, ...]] = {
    "date": ("date", "booking date", "buchungstag", "buchungsdatum", "value date", "valuta", "received_on"),
    "amount": ("amount", "betrag", "umsatz", "credit", "betrag (eur)"),
    "reference": ("reference", "description", "verwendungszweck", "details", "remittance information", "memo"),
    "payer": (
        "payer",
        "name",
        "counterparty",
        "auftraggeber",
        "beguenstigter/zahlungspflichtiger",
        "zahlungspflichtiger",
    ),
    "currency": ("currency", "waehrung", "währung"),
    "id": ("id", "transaction id", "transaction_id"),
}
NEEDED = ("date", "amount", "reference")
DATE_FORMATS: Mapping[str, str] = {"iso": "%Y-%m-%d", "dmy": "%d.%m.%Y", "mdy": "%m/%d/%Y"}


@dataclass(frozen=True, kw_only=True)
class CsvColumns:
    """The heading of each column, "" to find it by its usual names; how days and decimals are written."""

    date: str = ""
    amount: str = ""
    reference: str = ""
    payer: str = ""
    currency: str = ""
    id: str = ""
    dates: str = "iso"
    decimal: str = "."
    default_currency: str = "EUR"


@dataclass(frozen=True, kw_only=True)
class ReadPayments:
    """The payments of a file in its order; ``passed_over`` counts entries that are no payment received."""

    entries: tuple[PaymentEntry, ...]
    passed_over: int


def read_payments(content: bytes, *, columns: CsvColumns) -> ReadPayments:
    """By what the content is. Raises Refused."""
    if len(content) > MOST_BYTES:
        raise Refused(f"The file has {len(content):,} bytes; at most {MOST_BYTES:,} are read.")
    head = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    read = read_camt(content) if head == b"<" else read_csv(content, columns=columns)
    if len(read.entries) > MOST_ENTRIES:
        raise Refused(f"The file has {len(read.entries):,} payments; at most {MOST_ENTRIES:,} are taken at once.")
    return replace(read, entries=_numbered(read.entries))


def read_camt(content: bytes) -> ReadPayments:
    """A camt.053 statement; DTDs and entities are refused. Raises Refused."""
    try:
        root = fromstring(content, forbid_dtd=True)
    except DefusedXmlException as hostile:
        raise Refused("The file declares a DTD or entities, which no bank statement does.") from hostile
    except (ParseError, ValueError, LookupError) as error:
        raise Refused(f"The file is no XML that can be read: {error}.") from error
    statements = _all(root, "Stmt")
    if _name(root) != "Document" or not statements:
        raise Refused("The file is no camt.053: it holds no statement (Document/BkToCstmrStmt/Stmt).")
    entries: list[PaymentEntry] = []
    passed_over = 0
    for statement in statements:
        account = _text(statement, "Acct/Id/IBAN") or _text(statement, "Acct/Id/Othr/Id")
        for entry in _children(statement, "Ntry"):
            taken = _camt_entry(entry, account) if _is_received(entry) else ()
            passed_over += not taken
            entries += taken
    return ReadPayments(entries=tuple(entries), passed_over=passed_over)


def read_csv(content: bytes, *, columns: CsvColumns) -> ReadPayments:
    """Rows of a CSV in UTF-8 or Windows-1252, parted by semicolon, comma or tab. Raises Refused naming bad rows."""
    text = _decoded(content)
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text), delimiter=max(";,\t", key=first.count), strict=True)
    try:
        rows = [row for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise Refused(f"The file is no CSV that can be read: {error}.") from error
    if not rows:
        raise Refused("The file is empty.")
    places = _places(rows[0], columns)
    entries, problems, passed_over = [], [], 0
    for number, row in enumerate(rows[1:], start=2):
        try:
            entry = _csv_entry(row, places, columns)
        except ValueError as error:
            problems.append(f"Line {number}: {error}.")
            continue
        if entry.amount > 0:
            entries.append(entry)
        passed_over += entry.amount <= 0
    if problems:
        more = f" And {len(problems) - 20} more." if len(problems) > 20 else ""
        raise Refused("Nothing was taken. " + " ".join(problems[:20]) + more)
    return ReadPayments(entries=tuple(entries), passed_over=passed_over)


def _numbered(entries: Sequence[PaymentEntry]) -> tuple[PaymentEntry, ...]:
    """Entries of which the bank says the same are told apart by their order, the same in every file."""
    seen: Counter[str] = Counter()
    numbered = []
    for entry in entries:
        seen[entry.source_id] += 1
        numbered.append(replace(entry, source_id=f"{entry.source_id}/{seen[entry.source_id]}"))
    return tuple(numbered)


def _identity(source: str, *parts: object) -> str:
    told = "\x1f".join(str(part) for part in parts)
    return f"{source}:{hashlib.sha256(told.encode()).hexdigest()}"


# ---- camt.053 ----


def _is_received(entry: Element) -> bool:
    """Booked, to our credit, and no reversal; the state is a text or a code of its own, by version."""
    state = _text(entry, "Sts/Cd") or _text(entry, "Sts")
    return _text(entry, "CdtDbtInd") == "CRDT" and state == "BOOK" and _text(entry, "RvslInd") not in ("true", "1")


def _camt_entry(entry: Element, account: str) -> tuple[PaymentEntry, ...]:
    """One payment, or those of a batch if their amounts add up to the entry's."""
    whole, currency = _camt_amount(entry.find("{*}Amt"))
    details = [detail for part in _children(entry, "NtryDtls") for detail in _children(part, "TxDtls")]
    amounts = [_detail_amount(detail) for detail in details]
    known = [amount for amount in amounts if amount is not None and amount[1] == currency]
    if len(details) > 1 and len(known) == len(details) and sum((each[0] for each in known), Decimal(0)) == whole:
        parts = [(detail, amount[0]) for detail, amount in zip(details, known, strict=True)]
        return tuple(_camt_payment(entry, [detail], amount, currency, account) for detail, amount in parts)
    return (_camt_payment(entry, details, whole, currency, account),)


def _camt_payment(
    entry: Element, details: Sequence[Element], amount: Decimal, currency: str, account: str
) -> PaymentEntry:
    reference = " ".join(word for detail in details for word in _references(detail)) or _text(entry, "AddtlNtryInf")
    payers = (_text(detail, path) for detail in details for path in ("RltdPties/Dbtr/Nm", "RltdPties/Dbtr/Pty/Nm"))
    payer = next((name for name in payers if name), "")[:200]
    day = _camt_day(entry)
    refs = [
        text
        for detail in details
        for part in _children(detail, "Refs")
        for text in (each.text for each in part)
        if text
    ]
    told = (account, day, amount.normalize(), currency, _text(entry, "AcctSvcrRef"), *refs, reference, payer)
    return PaymentEntry(
        amount=amount,
        currency=currency,
        received_on=day,
        source="camt",
        source_id=_identity("camt", *told),
        reference=reference[:LONGEST_REFERENCE],
        payer=payer,
    )


def _references(detail: Element) -> Iterable[str]:
    """What the payer wrote, and structured references."""
    for part in _children(detail, "RmtInf"):
        yield from (" ".join((each.text or "").split()) for each in _children(part, "Ustrd") if each.text)
        for structured in _children(part, "Strd"):
            yield from filter(None, (_text(structured, "CdtrRefInf/Ref"), _text(structured, "RfrdDocInf/Nb")))
    end_to_end = _text(detail, "Refs/EndToEndId")
    if end_to_end and end_to_end != "NOTPROVIDED":
        yield end_to_end


def _detail_amount(detail: Element) -> tuple[Decimal, str] | None:
    for path in ("{*}Amt", "{*}AmtDtls/{*}TxAmt/{*}Amt"):
        found = detail.find(path)
        if found is not None:
            return _camt_amount(found)
    return None


def _camt_amount(element: Element | None) -> tuple[Decimal, str]:
    text = "" if element is None else (element.text or "").strip()
    currency = "" if element is None else element.get("Ccy", "")
    if not re.fullmatch(r"[0-9]{1,13}(\.[0-9]{1,5})?", text) or not re.fullmatch(r"[A-Z]{3}", currency):
        raise Refused(f"The file has an entry whose amount {text[:40]!r} {currency[:10]!r} cannot be read.")
    return Decimal(text), currency


def _camt_day(entry: Element) -> date:
    paths = ("BookgDt/Dt", "BookgDt/DtTm", "ValDt/Dt", "ValDt/DtTm")
    text = next((found for found in (_text(entry, path) for path in paths) if found), "")
    try:
        return date.fromisoformat(text[:10])
    except ValueError as error:
        raise Refused(f"The file has an entry whose day {text[:40]!r} cannot be read.") from error


def _text(element: Element, path: str) -> str:
    found = element.find("/".join(f"{{*}}{name}" for name in path.split("/")))
    return " ".join((found.text or "").split()) if found is not None else ""


def _children(element: Element, name: str) -> list[Any]:
    return element.findall(f"{{*}}{name}")


def _all(root: Element, name: str) -> list[Any]:
    return root.findall(f"{{*}}BkToCstmrStmt/{{*}}{name}")


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


# ---- CSV ----


def _decoded(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    if "\x00" in text:
        raise Refused("The file holds a character that no text has.")
    return text


def _places(head: Sequence[str], columns: CsvColumns) -> dict[str, int]:
    """Where each column stands. Raises Refused naming those that are needed and not there."""
    names = [cell.strip().lower() for cell in head]
    places: dict[str, int] = {}
    for role, usual in KNOWN_HEADS.items():
        named = getattr(columns, role).strip().lower()
        wanted = (named,) if named else usual
        found = next((name for name in wanted if name in names), None)
        if found is not None:
            places[role] = names.index(found)
        elif named or role in NEEDED:
            shown = ", ".join(head)[:200]
            raise Refused(
                f"There is no column for the {role}{f' named {named!r}' if named else ''}; the file has {shown}."
            )
    return places


def _csv_entry(row: Sequence[str], places: Mapping[str, int], columns: CsvColumns) -> PaymentEntry:
    """The payment of a row. Raises ValueError with what is wrong, as a part of a sentence."""
    cells = {role: row[place].strip() if place < len(row) else "" for role, place in places.items()}
    day, amount = _csv_day(cells["date"], columns.dates), _csv_amount(cells["amount"], columns.decimal)
    currency = (cells.get("currency") or columns.default_currency).upper()
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise ValueError(f"{currency[:10]!r} is no currency")
    reference, payer = " ".join(cells["reference"].split()), cells.get("payer", "")[:200]
    told = (cells["id"],) if cells.get("id") else (day, amount.normalize(), currency, reference, payer)
    return PaymentEntry(
        amount=amount,
        currency=currency,
        received_on=day,
        source="csv",
        source_id=_identity("csv", *told),
        reference=reference[:LONGEST_REFERENCE],
        payer=payer,
    )


def _csv_day(text: str, dates: str) -> date:
    try:
        return datetime.strptime(text, DATE_FORMATS[dates]).date()  # noqa: DTZ007  # a day has no zone
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no day written as {DATE_FORMATS[dates]}") from None


def _csv_amount(text: str, decimal: str) -> Decimal:
    thousands = "." if decimal == "," else ","
    plain = re.sub(r"[\s'\u00a0]", "", text)
    if not re.fullmatch(rf"[+-]?([0-9]{{1,3}}(\{thousands}[0-9]{{3}})+|[0-9]{{1,13}})(\{decimal}[0-9]{{1,4}})?", plain):
        raise ValueError(f"{text[:40]!r} is no amount with {decimal!r} before its decimals")
    amount = Decimal(plain.replace(thousands, "").replace(decimal, "."))
    if abs(amount) >= LARGEST:
        raise ValueError(f"{text[:40]!r} is too large")
    return amount
