"""What every view of the API shares: limits, the moment, the caller, the scope a method needs, ETags.

A view reads its input with ``self.body`` and ``self.query``, asks ``msp.api.queries`` within ``self.caller.reach``, and
answers with a serializer. GET answers carry an ETag: a caller that sends it back gets 304 without a body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar, cast

from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import conditional_page
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from msp.api.authentication import Caller
from msp.api.paging import PAGE_PARAMETERS, Order, read_page
from msp.api.reading import MAX_JSON_BYTES, BoundedJSONParser, StrictSerializer, read_body, read_query, refuse_large
from msp.estate.spans import Actor

T = TypeVar("T")
SAFE = ("GET", "HEAD", "OPTIONS")


class NoFilters(StrictSerializer):
    """A list or an object that takes no filters."""


@method_decorator(conditional_page, name="dispatch")
class ApiView(APIView):
    """``reads`` and ``writes`` name the scopes for looking and changing; None: any key will do.

    ``most_bytes`` is the largest body that is taken.
    """

    parser_classes: tuple[type[BaseParser], ...] = (BoundedJSONParser,)
    reads: str | None = "read"
    writes: str | None = "write"
    most_bytes = MAX_JSON_BYTES
    now: datetime

    def initial(self, request: Request, *args: Any, **values: Any) -> None:
        refuse_large(request, most=self.most_bytes)
        self.now = timezone.now()
        super().initial(request, *args, **values)

    def finalize_response(self, request: Any, response: Any, *args: Any, **values: Any) -> Any:
        response.headers.setdefault("Cache-Control", "private, no-cache")
        return super().finalize_response(request, response, *args, **values)

    def scope_for(self, method: str) -> str | None:
        """The scope that a request by this method needs."""
        return self.reads if method in SAFE else self.writes

    @property
    def caller(self) -> Caller:
        """Whoever sent the request; HasScope has made sure that there is one."""
        return cast("Caller", self.request.auth)

    def actor(self, *, reason: str = "") -> Actor:
        """The same for events and the audit."""
        return Actor(name=self.caller.actor, now=self.now, reason=reason)

    def query(self, shape: type[StrictSerializer] = NoFilters, *, paged: bool = False) -> dict[str, Any]:
        """The query parameters, checked. Raises BadQuery."""
        return read_query(self.request, shape, besides=PAGE_PARAMETERS if paged else frozenset())

    def body(self, shape: type[StrictSerializer], *, partial: bool = False) -> dict[str, Any]:
        """The body, checked. Raises ValidationError."""
        return read_body(self.request, shape, partial=partial)

    def page(
        self,
        rows: QuerySet[Any],
        order: Order,
        shape: type[serializers.Serializer[Any]],
        *,
        dressed: Callable[[list[Any]], Any] = list,
    ) -> Response:
        """A page of the rows in this order; ``dressed`` turns those of the page into what the serializer shows."""
        page = read_page(self.request, rows, order)
        return Response({"items": shape(dressed(page.rows), many=True).data, "next": page.next})


def found(thing: T | None) -> T:
    """The thing, or 404: what lies beyond the caller's reach is not there either."""
    if thing is None:
        raise Http404
    return thing


def only_given(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Those of the values that were sent."""
    return {name: values[name] for name in names if name in values}
