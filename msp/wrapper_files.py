"""Serves the wrapper's two files to whoever wants to install them: public, at addresses that never change.

Read from the checkout's ``wrapper`` folder once, at the first request. They hold no secret: a key comes from the
settings of the machine they run on.
"""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe


@require_safe
def send_wrapper(request: HttpRequest, name: str) -> HttpResponse:
    """``name`` comes from the address pattern, which knows the two files only."""
    answer = HttpResponse(read_wrapper(name), content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "public, max-age=300"
    return answer


@cache
def read_wrapper(name: str) -> bytes:
    return (settings.BASE_DIR / "wrapper" / name).read_bytes()
