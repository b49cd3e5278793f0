"""Addresses: health, the wrapper's files, callbacks of ticket systems, the REST API under /api/v1/, the dashboard.

The ingest door stands before Django.
"""

from __future__ import annotations

from django.urls import include, path

from msp.callbacks import take_callback
from msp.health import show_health
from msp.stripe_callbacks import take_stripe_callback
from msp.wrapper_files import send_wrapper

urlpatterns = [
    path("healthz", show_health, name="health"),
    path("wrapper/backledger-run", send_wrapper, {"name": "backledger-run"}, name="wrapper"),
    path("wrapper/backledger-run.ps1", send_wrapper, {"name": "backledger-run.ps1"}, name="wrapper-windows"),
    path("hooks/stripe/<str:key>/", take_stripe_callback, name="stripe-callback"),
    path("hooks/<str:key>/", take_callback, name="callback"),
    path("api/v1/", include("msp.api.urls")),
    path("", include("msp.dashboard.urls")),
]
