"""Reads what a request brings: JSON bodies within limits, and query parameters, none of them ignored in silence.

A misspelled filter would otherwise answer with everything, a misspelled field would change nothing: both are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from json import JSONDecodeError
from typing import Any, TypeVar

from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request

from msp.api.refusals import BadQuery, BodyTooLarge

#: Job logs go through a door of their own; nothing else that is posted here is large.
MAX_JSON_BYTES = 1024 * 1024
S = TypeVar("S", bound=serializers.BaseSerializer[Any])


class BoundedJSONParser(JSONParser):
    """JSON up to a size; nesting that exhausts the stack is bad JSON, not our failure."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("The body is JSON that is nested too deeply.") from error
        except ParseError as error:
            raise ParseError(where_json_ends(error.__context__)) from error


def where_json_ends(cause: BaseException | None) -> str:
    """A sentence about why a body is no JSON."""
    if isinstance(cause, JSONDecodeError):
        return f"The body is not JSON: {cause.msg} in line {cause.lineno}, column {cause.colno}."
    return "The body is not JSON in UTF-8 whose numbers are finite and of a reasonable length."


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer of input that refuses fields it does not know."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(str(name) for name in data if name not in self.fields)
            if unknown:
                sentence = f"There is no such field; known are {', '.join(self.fields)}."
                raise serializers.ValidationError({name: [sentence] for name in unknown})
        return super().to_internal_value(data)


def refuse_large(request: Request, *, most: int = MAX_JSON_BYTES) -> None:
    """Raises BodyTooLarge before a byte of the body is read."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > most:
        raise BodyTooLarge(f"The body is larger than {most} bytes.")


def read_query(
    request: Request, shape: type[StrictSerializer], *, besides: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The query parameters that ``shape`` declares, checked; ``besides`` are read by others. Raises BadQuery."""
    given = {name: value for name, value in request.query_params.items() if name not in besides}
    repeated = [name for name, values in request.query_params.lists() if len(values) > 1]
    if repeated:
        raise BadQuery({name: ["Give this parameter once."] for name in repeated})
    read = shape(data=given)
    if not read.is_valid():
        raise BadQuery(read.errors)
    values: dict[str, Any] = read.validated_data
    return values


def read_body(request: Request, shape: type[StrictSerializer], *, partial: bool = False) -> dict[str, Any]:
    """The checked body. Raises ValidationError, ParseError."""
    read = shape(data=request.data, partial=partial)
    read.is_valid(raise_exception=True)
    values: dict[str, Any] = read.validated_data
    return values
