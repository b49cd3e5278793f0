"""The client portal: what a payer was invoiced and how each amount is reached, opened by a link instead of a login.

The link's key is taken out of the address at once and its uid kept in the session; every page looks again whether the
link is still good. Nothing of other payers, other sellers, drafts or decisions is within reach.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from billing import portal
from billing.following import what_followed
from billing.queries import InvoicePage
from billing.refusals import NotFound, Refused
from billing.size_contract import size_contract
from msp.dashboard import money
from msp.dashboard.portal_scope import SESSION_LINK, PortalRequest, come_in, portal_page, show_over, show_page
from msp.dashboard.views.billing_contract import as_html
from msp.dashboard.views.billing_invoices import SYNTAX_NAMES, annex_file, einvoice_file, hybrid_file, pdf_file


@never_cache
@require_safe
def enter(request: HttpRequest, key: str) -> HttpResponse:
    """Take the key out of the address; what follows goes by the session."""
    return redirect("portal") if come_in(request, key) else show_over(request)


@portal_page
@require_safe
def list_documents(request: PortalRequest) -> HttpResponse:
    """What was invoiced, the newest month first."""
    rows = portal.documents_of(request.link)
    return show_page(request, "portal/documents.html", {"rows": rows, "limit": portal.LIST_LIMIT})


@portal_page
@require_safe
def show_document(request: PortalRequest, uid: uuid.UUID) -> HttpResponse:
    """One document, each line with its working."""
    return _document(request, portal.document_of(request.link, uid))


@portal_page
@require_safe
def show_line(request: PortalRequest, uid: uuid.UUID, line_uid: uuid.UUID) -> HttpResponse:
    """The working of one line, as a page or, for htmx, alone."""
    page = portal.document_of(request.link, uid)
    line = next((each for each in page.lines if each.uid == line_uid), None)
    if line is None:
        raise NotFound("There is no such line.")
    alone = "HX-Request" in request.headers
    return show_page(request, "billing/working.html" if alone else "portal/line.html", {"page": page, "line": line})


@portal_page
@require_safe
def download_pdf(request: PortalRequest, uid: uuid.UUID) -> HttpResponse:
    """The document as a PDF."""
    return pdf_file(request.link.tenant, portal.document_of(request.link, uid))


@portal_page
@require_safe
def download_hybrid(request: PortalRequest, uid: uuid.UUID) -> HttpResponse:
    """The PDF with the e-invoice in it; what it lacks for that is said on its page."""
    page = portal.document_of(request.link, uid)
    try:
        return hybrid_file(request.link.tenant, page)
    except Refused as refusal:
        return _document(request, page, problem=refusal.reason)


@portal_page
@require_safe
def download_annex(request: PortalRequest, uid: uuid.UUID) -> HttpResponse:
    """Every day of every line as CSV."""
    return annex_file(portal.document_of(request.link, uid))


@portal_page
@require_safe
def download_einvoice(request: PortalRequest, uid: uuid.UUID, syntax: str) -> HttpResponse:
    """The document as XML; what it lacks for that is said on its page."""
    page = portal.document_of(request.link, uid)
    chosen = SYNTAX_NAMES.get(syntax)
    if chosen is None:
        raise NotFound("There is no such syntax.")
    try:
        return einvoice_file(request.link.tenant, uid, syntax=chosen)
    except Refused as refusal:
        return _document(request, page, problem=refusal.reason)


@portal_page
@require_safe
def show_size_contract(request: PortalRequest, version: str) -> HttpResponse:
    """How sizes are counted, in the version that an invoice names."""
    contract = size_contract(version)
    return show_page(request, "portal/contract.html", {"contract": contract, "text": as_html(contract.text)})


@never_cache
@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    """Forget the link in this browser."""
    request.session.pop(SESSION_LINK, None)
    return render(request, "portal/over.html", {"reason": "You have left. Your link opens this again."})


def _document(request: PortalRequest, page: InvoicePage, *, problem: str = "") -> HttpResponse:
    context = {
        "page": page,
        "last_day": page.row.last_day - timedelta(days=1),
        "lines": money.shown_lines(page, route="portal-line"),
        "problem": problem,
        "after": what_followed(request.link.tenant, page.row.uid),
    }
    return show_page(request, "portal/document.html", context, status=409 if problem else 200)
