"""Every error of the API as ``application/problem+json`` (RFC 9457): type, title, status, detail, errors by field.

``answer_problem`` is named in the settings and is the one place where errors of the domain become answers. What nobody
foresaw is logged with its trace and answered 500 without a word about the inside.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import DataError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from alerts.acting import CannotAct
from alerts.params import BadParams
from billing.refusals import NotFound as NoSuchDocument
from billing.refusals import Refused
from integrations.configuration import BadConfig
from msp.api.refusals import BadQuery, ScopeMissing
from msp.backups.schedule import BadSchedule
from msp.estate.spans import BadChange, Taken

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
#: What a problem's ``type`` begins with; docs/api.md lists the names that follow.
TYPES = "urn:backledger:problem:"


@dataclass(frozen=True)
class Problem:
    """One error as the caller gets it. ``extra`` are further members, as RFC 9457 allows."""

    status: int
    detail: str
    name: str = ""
    errors: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_body(self) -> dict[str, Any]:
        title = HTTPStatus(self.status).phrase
        name = self.name or title.lower().replace(" ", "-")
        body = {"type": TYPES + name, "title": title, "status": self.status, "detail": self.detail}
        return body | ({"errors": dict(self.errors)} if self.errors else {}) | dict(self.extra)


def answer_problem(error: Exception, context: Mapping[str, Any]) -> Response:
    """The answer to an exception that left a view; registered as DRF's exception handler."""
    problem = problem_of(error)
    if problem is None:
        log.error("the API failed on %s", _where(context), exc_info=error)
        problem = Problem(500, "Something went wrong on our side. It is logged; please try again later.")
    elif problem.status == 503:
        log.warning("the database refused %s: %s", _where(context), error)
    set_rollback()
    return Response(problem.as_body(), status=problem.status, headers=dict(problem.headers), content_type=CONTENT_TYPE)


def problem_of(error: Exception) -> Problem | None:
    """What an error means for the caller; None for what nobody foresaw."""
    if isinstance(error, exceptions.APIException):
        return _of_framework(error)
    for kind, made in DOMAIN.items():
        if isinstance(error, kind):
            return made(error)
    return None


def _of_framework(error: exceptions.APIException) -> Problem:
    headers = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]
    if getattr(error, "wait", None):
        headers["Retry-After"] = str(int(error.wait))  # type: ignore[attr-defined]
    if isinstance(error, exceptions.ValidationError):
        return Problem(422, "Some values cannot be accepted.", "invalid", errors=_by_field(error.detail))
    extra = {"scope": error.scope} if isinstance(error, ScopeMissing) else {}
    return Problem(error.status_code, str(error.detail), _name_of(error), extra=extra, headers=headers)


def _name_of(error: exceptions.APIException) -> str:
    return "scope-missing" if isinstance(error, ScopeMissing) else ""


def _by_field(detail: Any) -> dict[str, Any]:
    """Sentences by field; what is about the whole body stands under ``body``."""
    if not isinstance(detail, dict):
        return {"body": [str(each) for each in detail]}
    return {"body" if name == "non_field_errors" else str(name): _texts(each) for name, each in detail.items()}


def _texts(detail: Any) -> Any:
    if isinstance(detail, dict):
        return {str(name): _texts(each) for name, each in detail.items()}
    return [str(each) for each in detail] if isinstance(detail, list) else [str(detail)]


def _of_field(error: Any) -> Problem:
    return Problem(422, error.reason, "invalid", errors={error.field or "body": [error.reason]})


def _of_taken(error: Any) -> Problem:
    return Problem(409, error.reason, "exists", extra={"existing": str(error.uid)} if error.uid else {})


#: Errors of the domain, the special ones before those they derive from.
DOMAIN: Mapping[type[Exception], Callable[[Any], Problem]] = {
    Http404: lambda error: Problem(404, "There is nothing here, or it is not yours to see."),
    NoSuchDocument: lambda error: Problem(404, "There is nothing here, or it is not yours to see."),
    PermissionDenied: lambda error: Problem(403, "This is not allowed."),
    RequestDataTooBig: lambda error: Problem(413, "The body is too large."),
    BadQuery: lambda error: Problem(400, "The address has parameters we cannot read.", "query", errors=error.errors),
    CannotAct: lambda error: Problem(409, str(error), "refused"),
    Refused: lambda error: Problem(409, error.reason, "refused"),
    Taken: _of_taken,
    BadChange: _of_field,
    BadParams: _of_field,
    BadConfig: _of_field,
    BadSchedule: lambda error: Problem(422, error.reason, "invalid", errors={"schedule": [error.reason]}),
    OperationalError: lambda error: Problem(
        503, "The database is busy; please try again.", headers={"Retry-After": "1"}
    ),
    DataError: lambda error: Problem(422, "A value is outside what can be stored.", "invalid"),
}


def _where(context: Mapping[str, Any]) -> str:
    request = context.get("request")
    return f"{request.method} {request.path}" if request is not None else "a request"
