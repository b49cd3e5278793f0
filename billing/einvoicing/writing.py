"""Writes an e-invoice as XML, in the two syntaxes of EN 16931; the XML itself is made and checked by ``facturx``.

Every document is checked against the schema before it is given out; the rules (schematron) are run over every kind of
document by the tests and by ``manage.py check_einvoice``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import facturx

from billing.einvoicing.terms import business_terms

Syntax = Literal["ubl", "cii"]
SYNTAXES: tuple[Syntax, ...] = ("ubl", "cii")
LEVEL = "en16931"


def einvoice(snapshot: Mapping[str, Any], *, syntax: Syntax) -> bytes:
    """The document as UTF-8 XML. Raises NotPossible for what cannot be one."""
    terms = business_terms(snapshot)
    write = facturx.generate_ubl_xml if syntax == "ubl" else facturx.generate_cii_xml
    # schematron by this library would send the document to a server over HTTP
    written: bytes = write(terms, level=LEVEL, check_xsd=True, check_schematron=False)
    return written
