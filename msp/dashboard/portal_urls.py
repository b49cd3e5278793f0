"""Addresses of the client portal, below /portal/."""

from __future__ import annotations

from django.urls import URLPattern, path

from msp.dashboard.views import billing_portal as links
from msp.dashboard.views import portal

urlpatterns: list[URLPattern] = [
    path("portal/", portal.list_documents, name="portal"),
    path("portal/leave/", portal.leave, name="portal-leave"),
    path("portal/enter/<str:key>/", portal.enter, name="portal-enter"),
    path("portal/size-contract/<str:version>/", portal.show_size_contract, name="portal-size-contract"),
    path("portal/<uuid:uid>/", portal.show_document, name="portal-document"),
    path("portal/<uuid:uid>/lines/<uuid:line_uid>/", portal.show_line, name="portal-line"),
    path("portal/<uuid:uid>/document.pdf", portal.download_pdf, name="portal-pdf"),
    path("portal/<uuid:uid>/factur-x.pdf", portal.download_hybrid, name="portal-factur-x"),
    path("portal/<uuid:uid>/days.csv", portal.download_annex, name="portal-annex"),
    path("portal/<uuid:uid>/<slug:syntax>.xml", portal.download_einvoice, name="portal-xml"),
    path("billing/bill-tos/<uuid:uid>/portal/", links.make, name="portal-link-new"),
    path("billing/bill-tos/<uuid:uid>/portal/<uuid:link_uid>/end/", links.end, name="portal-link-end"),
]
