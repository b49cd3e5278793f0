"""What every page's template gets besides its own values."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from msp.dashboard.queries import NavCounts, read_nav
from msp.dashboard.scope import scope_of
from msp.tenants.models import Membership

THEMES = ("light", "dark")


def page(request: HttpRequest) -> dict[str, Any]:
    """Who looks and what they may do, the moment, the chosen theme, the numbers beside the navigation (when shown)."""
    membership: Membership | None = getattr(request, "membership", None)
    theme = request.COOKIES.get("theme", "")
    return {
        "membership": membership,
        "scope": None if membership is None else scope_of(membership),
        "now": getattr(request, "now", None) or timezone.now(),
        "theme": theme if theme in THEMES else "",
        "nav": SimpleLazyObject(lambda: _count(membership)),
    }


def _count(membership: Membership | None) -> NavCounts:
    return NavCounts(0, 0, 0) if membership is None else read_nav(scope_of(membership).reach)
