"""Addresses: health, the wrapper's files, the REST API under /api/v1/, the dashboard for the rest.

The ingest door stands before Django.
"""

from __future__ import annotations

from django.urls import include, path

from msp.health import show_health
from msp.wrapper_files import send_wrapper

urlpatterns = [
    path("healthz", show_health, name="health"),
    path("wrapper/backledger-run", send_wrapper, {"name": "backledger-run"}, name="wrapper"),
    path("wrapper/backledger-run.ps1", send_wrapper, {"name": "backledger-run.ps1"}, name="wrapper-windows"),
    path("api/v1/", include("msp.api.urls")),
    path("", include("msp.dashboard.urls")),
]
