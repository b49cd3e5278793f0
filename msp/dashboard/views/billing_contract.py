"""The size contract as a page: the version that an agreement names, in words."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

from billing.refusals import NotFound
from billing.size_contract import VERSIONS, size_contract
from msp.dashboard.permits import INVOICES, needs
from msp.dashboard.scope import Refused, StaffRequest


@needs(INVOICES)
def show_size_contract(request: StaffRequest, version: str) -> HttpResponse:
    """A version's text."""
    try:
        contract = size_contract(version)
    except NotFound as missing:
        raise Refused(missing.reason, status=404) from missing
    context = {"contract": contract, "text": as_html(contract.text), "versions": tuple(VERSIONS)}
    return render(request, "billing/contract.html", context)


def as_html(text: str) -> SafeString:
    """The text is ours and comes with the program; markup in it is escaped all the same."""
    shown: SafeString = mark_safe(MarkdownIt("commonmark", {"html": False}).render(text))  # noqa: S308
    return shown
