"""VAT numbers: whether one has the form and the check digits of its country, by python-stdnum; nobody is asked.

A number with a country before it must be good; one without is the number of a tax office, which has no common form.
"""

from __future__ import annotations

import re

from stdnum import get_cc_module
from stdnum.eu.vat import MEMBER_STATES

from billing.refusals import Refused

#: Two letters before a number that are not the country's own code.
PREFIXES = {"EL": "gr", "XI": "gb"}
#: Countries beyond the EU whose numbers are written with their letters and have check digits.
FURTHER = ("gb", "ch", "no")
EU_PREFIXES = frozenset(code.upper() for code in MEMBER_STATES) | {"EL"}


def compact(text: str) -> str:
    """The number in capital letters without spaces, dots and dashes."""
    return re.sub(r"[\s.-]", "", text.upper())


def is_vat_number(text: str) -> bool:
    """Whether it is a VAT number with its country before it, form and check digits right."""
    number = compact(text)
    country = _country(number)
    module = get_cc_module(country, "vat") if country else None
    return module is not None and bool(module.is_valid(number))


def check_tax_number(text: str) -> str:
    """The number as it is kept. Raises Refused for one that begins as a VAT number does and is none."""
    number = text.strip()
    country = _country(compact(number))
    if country and not is_vat_number(number):
        raise Refused(
            f"{number} is not a VAT number of {compact(number)[:2]}: its form or its check digits are wrong. A number "
            "of a tax office is written without the country."
        )
    return number


def _country(number: str) -> str:
    """The module's name of the country it begins with, "" if with none that has check digits."""
    letters = number[:2]
    if letters in EU_PREFIXES:
        return PREFIXES.get(letters, letters.lower())
    return letters.lower() if letters.lower() in FURTHER else ""
