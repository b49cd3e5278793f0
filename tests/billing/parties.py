"""A seller and payers of each kind that taxes tell apart, as snapshots keep them."""

from __future__ import annotations


def seller_named(legal_name: str) -> dict[str, str]:
    """A seller of Hamburg with a VAT number and an account."""
    return {
        "legal_name": legal_name, "address": "Hafenstr. 1\n20457 Hamburg", "country": "DE", "tax_id": "DE123456788",
        "bank": "Northwind Bank\nIBAN DE89 3704 0044 0532 0130 00 BIC COBADEFFXXX", "email": "pay@northwind.example",
    }  # fmt: skip


def buyer_for(category: str) -> dict[str, str]:
    """A payer whom this tax category fits: of the same country, another of the EU, or outside."""
    buyer = {
        "legal_name": "Müller & Söhne <Zahnärzte> \"GmbH\" 🦷", "address": "Main St 5\n2. Stock\n10115 Berlin",
        "country": "DE", "tax_id": "DE811907980", "email": "books@mueller.example", "order_number": "PO-7",
        "tax_note": "",
    }  # fmt: skip
    elsewhere = {
        "AE": {"country": "FR", "tax_id": "FR40303265045"},
        "K": {"country": "FR", "tax_id": "FR40303265045"},
        "G": {"country": "CH", "tax_id": ""},
        "O": {"tax_id": ""},
        "E": {"tax_note": "Exempt by § 4 UStG"},
    }
    return buyer | elsewhere.get(category, {})
