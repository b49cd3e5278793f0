"""Parameters of a rule: how a field is declared, read from stored JSON, told in words and refused with a sentence.

Each rule has a frozen ``Params`` dataclass whose fields are made by ``whole_number``, ``yes_no`` or ``choice``; forms,
the API schema and the documentation are derived from their metadata. Every limit of reading stands on one field alone:
so values that were valid when each was saved can always be read together, whichever levels they are inherited from.
What must fit together (warn before over) is a ``check_together`` of the class: ``alerts.agreeing`` asks it before a
setting is saved, and the rule itself puts what does not fit into a harmless order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

P = TypeVar("P")


class BadParams(ValueError):
    """A parameter is refused: ``field`` is its name, ``reason`` a sentence for the person who set it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


def whole_number(default: int, *, label: str, help: str, unit: str, at_least: int, at_most: int) -> Any:
    """A dataclass field for a whole number within limits, both included."""
    metadata = {"label": label, "help": help, "unit": unit, "at_least": at_least, "at_most": at_most}
    return dataclasses.field(default=default, metadata=metadata)


def yes_no(default: bool, *, label: str, help: str) -> Any:
    """A dataclass field for a switch."""
    return dataclasses.field(default=default, metadata={"label": label, "help": help, "unit": ""})


def choice(default: str, *, options: tuple[tuple[str, str], ...], label: str, help: str) -> Any:
    """A dataclass field for one of a few words; ``options`` are (stored word, words for people)."""
    metadata = {"label": label, "help": help, "unit": "", "options": options}
    return dataclasses.field(default=default, metadata=metadata)


def check_limits(params: Any) -> None:
    """Raise BadParams for the first field that has the wrong type or is outside its limits."""
    for field in dataclasses.fields(params):
        _check_value(field, getattr(params, field.name))


def read_params(params_class: type[P], values: Mapping[str, Any]) -> P:
    """The rule's parameters from stored values, defaults where none is stored. Raises BadParams."""
    known = {field.name for field in dataclasses.fields(params_class)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise BadParams(name, f"This rule has no parameter {name!r}; it has {', '.join(sorted(known)) or 'none'}.")
    return params_class(**values)


def check_together(params: Any, *, chosen: Collection[str]) -> None:
    """Raise BadParams where values that are fine one by one make no sense together.

    ``chosen`` are the names of those that people set at any level: the rule's own defaults yield to them.
    """
    check = getattr(params, "check_together", None)
    if check is not None:
        check(chosen)


def value_words(field: dataclasses.Field[Any], value: Any, *, with_unit: bool = True) -> str:
    """A value as a person reads it: "3 runs", "1 run", "yes", "stored size"."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if "options" in field.metadata:
        return str(dict(field.metadata["options"]).get(value, value))
    unit = str(field.metadata.get("unit", "")) if with_unit else ""
    return f"{value} {unit[:-1] if value == 1 and unit.endswith('s') else unit}".strip()


def _check_value(field: dataclasses.Field[Any], value: Any) -> None:
    label = field.metadata["label"]
    if isinstance(field.default, bool):
        if not isinstance(value, bool):
            raise BadParams(field.name, f"{label} is yes or no, not {value!r}.")
        return
    if "options" in field.metadata:
        words = [word for word, _ in field.metadata["options"]]
        if value not in words:
            raise BadParams(field.name, f"{label} is one of {', '.join(words)}, not {value!r}.")
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadParams(field.name, f"{label} is a whole number of {field.metadata['unit']}, not {value!r}.")
    low, high = field.metadata["at_least"], field.metadata["at_most"]
    if not low <= value <= high:
        raise BadParams(field.name, f"{label} must be from {low} to {high} {field.metadata['unit']}, not {value}.")
