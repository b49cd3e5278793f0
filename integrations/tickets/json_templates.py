"""Fills ``{{ name }}`` placeholders in JSON, URLs and headers, and picks values out of JSON answers.

There is no expression language: a placeholder is a name and nothing else, a value is never looked into for further
placeholders. A JSON text that is only one placeholder keeps the type of its value; in a URL every value is
percent-encoded. Used by the REST gateway.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote

from integrations.configuration import BadConfig
from integrations.errors import PermanentFailure

MAX_DEPTH = 20
MISSING = object()  # what ``pick`` answers where nothing is

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_FREE_NAME = re.compile(r"values\.[A-Za-z0-9_-]+")


def check_template(template: object, *, field: str, known: frozenset[str]) -> None:
    """Refuse unknown placeholders, half-open braces and bottomless nesting; raises ``BadConfig`` for ``field``."""
    for text in _texts_in(template, field=field, depth=0):
        for name in _PLACEHOLDER.findall(text):
            if name not in known and not _FREE_NAME.fullmatch(name):
                names = ", ".join(sorted(known))
                raise BadConfig(field, f"There is no placeholder {{{{ {name} }}}}; known are {names}, values.<key>.")
        if "{{" in _PLACEHOLDER.sub("", text) or "}}" in _PLACEHOLDER.sub("", text):
            raise BadConfig(field, "A placeholder is not closed; write {{ name }}.")


def fill_json(template: object, values: Mapping[str, object]) -> object:
    """The template with every placeholder replaced, in texts at any depth; keys stay as they are."""
    if isinstance(template, dict):
        return {key: fill_json(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [fill_json(value, values) for value in template]
    if not isinstance(template, str):
        return template
    alone = _PLACEHOLDER.fullmatch(template)
    return _value_of(alone.group(1), values) if alone else fill_text(template, values)


def fill_text(template: str, values: Mapping[str, object]) -> str:
    """The text with every placeholder replaced by its value as it is."""
    return _fill(template, values, as_is)


def fill_url(template: str, values: Mapping[str, object]) -> str:
    """The URL or path with every placeholder replaced by its percent-encoded value."""
    return _fill(template, values, lambda value: quote(value, safe=""))


def as_is(value: str) -> str:
    return value


def pick(document: object, path: str) -> object:
    """The value at a dotted path (``ticket.id``, ``0.id``) or JSON pointer (``/ticket/id``), else ``MISSING``.

    An empty path is the document itself.
    """
    for step in _steps(path):
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list) and step.isascii() and step.isdigit() and int(step) < len(document):
            document = document[int(step)]
        else:
            return MISSING
    return document


def _steps(path: str) -> list[str]:
    if path.startswith("/"):
        return [step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/")]
    return path.split(".") if path else []


def _fill(template: str, values: Mapping[str, object], encode: Callable[[str], str]) -> str:
    return _PLACEHOLDER.sub(lambda found: encode(str(_value_of(found.group(1), values))), template)


def _value_of(name: str, values: Mapping[str, object]) -> object:
    if name not in values:
        raise PermanentFailure(f"The template asks for {{{{ {name} }}}}, which this ticket does not have.")
    return values[name]


def _texts_in(template: object, *, field: str, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise BadConfig(field, f"The template is nested more than {MAX_DEPTH} levels deep.")
    if isinstance(template, str):
        yield template
    elif isinstance(template, dict):
        for value in template.values():
            yield from _texts_in(value, field=field, depth=depth + 1)
    elif isinstance(template, list):
        for value in template:
            yield from _texts_in(value, field=field, depth=depth + 1)
