"""What the API itself refuses: a scope that is missing, a body too large, a query that cannot be read.

``msp.api.problems`` turns them into answers. They stand apart because authentication, which the framework loads before
its own views, raises one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rest_framework import exceptions


class ScopeMissing(exceptions.PermissionDenied):
    """The key is good, but not for this."""

    def __init__(self, scope: str) -> None:
        super().__init__(f'This key lacks the scope "{scope}".')
        self.scope = scope


class BodyTooLarge(exceptions.APIException):
    """A request body above the limit."""

    status_code = 413
    default_detail = "The body is too large."
    default_code = "too_large"


class BadQuery(Exception):
    """A query parameter that cannot be understood; ``errors`` are sentences by parameter."""

    def __init__(self, errors: Mapping[str, Iterable[str]]) -> None:
        super().__init__("bad query")
        self.errors = {name: [str(each) for each in sentences] for name, sentences in errors.items()}
