"""Addresses: health, the REST API under /api/v1/, the dashboard for the rest. The ingest door stands before Django."""

from __future__ import annotations

from django.urls import include, path

from msp.health import show_health

urlpatterns = [
    path("healthz", show_health, name="health"),
    path("api/v1/", include("msp.api.urls")),
    path("", include("msp.dashboard.urls")),
]
