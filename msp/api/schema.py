"""The OpenAPI schema: how keys are sent, what a problem looks like, and ``described``, which documents an operation.

Served at ``/api/v1/schema``; made by drf-spectacular from the serializers that the views use, so it cannot lag behind.
Each operation says what it does, which scope it needs, what it refuses, and shows an example.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from drf_spectacular.drainage import set_override
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from drf_spectacular.views import SpectacularAPIView
from rest_framework import serializers
from rest_framework.permissions import AllowAny

from msp.api.paging import LARGEST_PAGE, PAGE_SIZE
from msp.api.problems import CONTENT_TYPE

PROBLEMS = {
    400: "The body is no JSON, or a query parameter cannot be read.",
    401: "No key, or one that is unknown, revoked or expired.",
    403: "The key lacks the scope that this needs, or is a reseller's and this is not its business.",
    404: "There is nothing here, or it belongs to somebody else.",
    409: "It is there already, or cannot be done in its present state.",
    413: "The body is larger than 1 MiB.",
    415: "The body is not sent as application/json.",
    422: "Some values cannot be accepted; `errors` says which and why.",
}
READS, WRITES = (401, 403), (400, 401, 403, 413, 415, 422)


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # its base registers it untyped
    """How ApiKeyAuthentication is told to readers of the schema."""

    target_class = "msp.api.authentication.ApiKeyAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A key made in the dashboard: `bl_...`."}


class WordField(serializers.ChoiceField):
    """One of a few words; in the schema an enum of its own place, since words such as state differ by resource."""

    def __init__(self, words: Sequence[str], **options: Any) -> None:
        super().__init__(choices=list(words), **options)
        set_override(self, "field", {"oneOf": [{"type": "string", "enum": list(words)}]})


class ProblemSerializer(serializers.Serializer[Any]):
    """An error as RFC 9457 describes it."""

    type = serializers.CharField(help_text="urn:backledger:problem: and a short name; docs/api.md lists them.")
    title = serializers.CharField(help_text="The HTTP status in words.")
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="A sentence about what is wrong and what would help.")
    errors = serializers.DictField(  # type: ignore[assignment]  # a field here, not the errors of validating
        required=False, help_text="Sentences by field or parameter."
    )


class SchemaView(SpectacularAPIView):
    """The schema itself; the same for everybody, so it needs no key."""

    authentication_classes = ()
    permission_classes = (AllowAny,)


def page_of(shape: type[serializers.Serializer[Any]]) -> Any:
    """A page of a list: the items and the address of the next page."""
    return inline_serializer(
        name=f"{shape.__name__.removesuffix('Serializer')}Page",
        fields={
            "items": shape(many=True),
            "next": serializers.CharField(allow_null=True, help_text="Path of the next page; null at the end."),
        },
    )


def page_example(*items: Any, path: str = "") -> dict[str, Any]:
    """An example of a page whose list goes on if ``path`` is given."""
    return {"items": list(items), "next": f"/api/v1/{path}?cursor=WzQyXQ" if path else None}


PAGING = [
    OpenApiParameter("limit", int, description=f"Rows of a page, 1 to {LARGEST_PAGE}; {PAGE_SIZE} if not given."),
    OpenApiParameter("cursor", str, description="Where the page begins; taken from `next` of the page before."),
]


def described(
    summary: str,
    text: str,
    *,
    name: str,
    tag: str,
    answer: Any,
    shows: Any = None,
    status: int = 200,
    sends: Any = None,
    sent: Any = None,
    query: Any = None,
    paged: bool = False,
    path: Sequence[OpenApiParameter] = (),
    refuses: Sequence[int] = (),
) -> Callable[[Any], Any]:
    """Documents one operation. ``sends``/``sent``: the body and an example of it; ``answer``/``shows``: of the answer.

    ``answer`` None is 204. ``query`` is the serializer of the filters. ``refuses`` adds to the problems that
    follow from the rest.
    """
    problems = {*refuses, *(WRITES if sends else READS), *((400,) if query or paged else ())}
    responses: dict[Any, Any] = {status: OpenApiResponse(answer, description=summary)}
    for code in sorted(problems):
        responses[code, CONTENT_TYPE] = OpenApiResponse(ProblemSerializer, description=PROBLEMS[code])
    return extend_schema(
        operation_id=name,
        summary=summary,
        description=text,
        tags=[tag],
        parameters=[*path, *([query] if query else []), *(PAGING if paged else [])],
        request=sends,
        responses=responses,
        examples=_examples(status, shows=shows, sent=sent),
    )


def _examples(status: int, *, shows: Any, sent: Any) -> list[OpenApiExample]:
    examples = []
    if sent is not None:
        examples.append(OpenApiExample("Request", value=sent, request_only=True))
    if shows is not None:
        examples.append(OpenApiExample("Answer", value=shows, response_only=True, status_codes=[str(status)]))
    return examples


def changed(example: Mapping[str, Any], **values: Any) -> dict[str, Any]:
    """An example with some values replaced."""
    return {**example, **values}
