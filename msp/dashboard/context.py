"""What every page's template gets besides its own values."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def page(request: HttpRequest) -> dict[str, Any]:
    """The membership of whoever looks."""
    return {"membership": getattr(request, "membership", None)}
