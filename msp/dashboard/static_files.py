"""Serves the static files under ASGI: WhiteNoise finds, caches and compresses them; here they are sent whole.

WhiteNoise answers with a blocking iterator, which an ASGI server must collect anyway (and Django warns of each time).
The files are small, so they are read at once. Ranges and unmodified answers stay WhiteNoise's own.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFilesMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc]  # the library has no types
    """WhiteNoise with answers that need no thread to be sent."""

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponseBase:
        answer: HttpResponseBase = WhiteNoiseMiddleware.serve(static_file, request)
        if not answer.streaming:
            return answer
        whole = HttpResponse(b"".join(answer.streaming_content), status=answer.status_code)  # type: ignore[attr-defined]
        for name, value in answer.items():
            whole[name] = value
        answer.close()
        return whole
