"""Answers every address of the API that is none, as a problem like all others."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from msp.api.resources.base import ApiView


@extend_schema(exclude=True)
class MissingView(ApiView):
    """404 by any method; with a key or without, so that an address that is none tells nothing of keys."""

    authentication_classes = ()
    permission_classes = ()

    def answer(self, request: Request, *args: Any, **values: Any) -> Response:
        raise Http404

    get = post = put = patch = delete = head = answer
    options = answer  # type: ignore[assignment]  # its base tells of a wider request
