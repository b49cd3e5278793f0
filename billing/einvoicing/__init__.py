"""E-invoices after EN 16931, made from a final document's frozen snapshot: UBL 2.1, and CII as Factur-X carries it."""

from __future__ import annotations

from billing.einvoicing.terms import NotPossible, business_terms
from billing.einvoicing.writing import SYNTAXES, Syntax, einvoice

__all__ = ["SYNTAXES", "NotPossible", "Syntax", "business_terms", "einvoice"]
