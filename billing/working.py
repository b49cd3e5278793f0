"""The working of an amount: every step from a day's bytes to the cent, written by the code that computes it.

A working is a JSON object; ``steps`` is a list in order, each with a sentence (label, formula, amount) for people and
the same operation with its operands for ``recompute``, which derives the total anew from the steps alone. Numbers are
exact text; one whose decimals never end is a fraction. Meters begin a working, prices go on with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from billing.exact import Number, Rounding, decimal_of, number_text, read_number, rounded

Working = dict[str, Any]
Operation = Literal[
    "add", "subtract", "excess", "multiply", "divide", "larger", "smaller", "ranked", "packages", "round_half_up",
    "round_up", "round_down",
]  # fmt: skip

#: Daily figures a formula spells out; beyond that many different ones it refers to the list of days.
MOST_SPELLED_OUT = 6
#: Decimals shown of a number that has no last one.
ABOUT_PLACES = 6


class WorkingDisagrees(ValueError):
    """A working whose steps do not lead to what it states: ``step`` is the key of the first that does not."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"step {step!r}: {reason}")
        self.step = step
        self.reason = reason


@dataclass(frozen=True)
class Ref:
    """The result of an earlier step, by its key."""

    key: str


@dataclass(frozen=True)
class Day:
    """What a day of the working's list is charged by, by the day's key."""

    key: str


@dataclass(frozen=True)
class Term:
    """A number of its own, with the unit it is shown with."""

    value: Number
    unit: str = ""


Operand = Ref | Day | Term


class Steps:
    """Builds the steps of a working and computes them on the way, so that words and amount cannot differ."""

    def __init__(self, *, days: Sequence[Mapping[str, Any]] = (), steps: Sequence[Mapping[str, Any]] = ()) -> None:
        self._days = {day["key"]: day for day in days}
        self._steps = {step["key"]: dict(step) for step in steps}
        self._values = {key: read_number(step["amount"]) for key, step in self._steps.items()}

    def add(self, key: str, operation: Operation, *operands: Operand, label: str, unit: str = "") -> Fraction:
        """Compute one step and write it down. ``unit`` is that of its result."""
        if key in self._steps:
            raise ValueError(f"the working has a step {key!r} already")
        value = evaluate(operation, [self._value(operand) for operand in operands])
        self._steps[key] = {
            "key": key,
            "label": label,
            "formula": _formula(operation, operands, [self._text(operand) for operand in operands]),
            "operation": operation,
            "of": [_written(operand) for operand in operands],
            "amount": _amount_text(operation, value, [self._value(operand) for operand in operands]),
            "unit": unit,
        }
        self._values[key] = value
        return value

    def has(self, key: str) -> bool:
        """Whether there is a step of this key already."""
        return key in self._steps

    def value(self, key: str) -> Fraction:
        """The result of a step."""
        return self._values[key]

    def written(self) -> list[dict[str, Any]]:
        """The steps so far, as they go into a working."""
        return list(self._steps.values())

    def _value(self, operand: Operand) -> Fraction:
        if isinstance(operand, Ref):
            return self._values[operand.key]
        return read_number(self._days[operand.key]["charged"]) if isinstance(operand, Day) else Fraction(operand.value)

    def _text(self, operand: Operand) -> str:
        if isinstance(operand, Ref):
            return _with_unit(self._steps[operand.key]["amount"], self._steps[operand.key]["unit"])
        if isinstance(operand, Day):
            return _with_unit(self._days[operand.key]["charged"], self._days[operand.key]["unit"])
        return _with_unit(number_text(operand.value), operand.unit)


def round_step(mode: Rounding) -> Operation:
    """The operation that rounds this way; its second operand is the number of decimals."""
    operations: dict[Rounding, Operation] = {"half-up": "round_half_up", "up": "round_up", "down": "round_down"}
    return operations[mode]


def evaluate(operation: str, values: Sequence[Fraction]) -> Fraction:
    """The result of one operation. Raises ValueError for one that does not exist or cannot be done."""
    if operation not in _OPERATIONS:
        raise ValueError(f"there is no operation {operation!r}")
    try:
        return _OPERATIONS[operation](values)
    except (IndexError, ZeroDivisionError) as error:
        raise ValueError(f"{operation!r} cannot be done with {[str(value) for value in values]}") from error


def explain(working: Mapping[str, Any]) -> list[str]:
    """One line a step for a page: ``Price: 120.5 GB x 0.05 EUR = 6.025 EUR``."""
    return [
        f"{step['label']}: {step['formula']} = {_with_unit(step['amount'], step['unit'])}" for step in working["steps"]
    ]


def recompute(working: Mapping[str, Any]) -> Decimal:
    """The total derived anew from the steps and days alone, trusting no stated result.

    Raises WorkingDisagrees if a step, a pooled day or the total states something else, or if it has no steps.
    """
    steps: Sequence[Mapping[str, Any]] = working["steps"]
    if not steps:
        raise WorkingDisagrees("", "there are no steps")
    days = {day["key"]: _recomputed_day(day) for day in working.get("days", ())}
    values: dict[str, Fraction] = {}
    for step in steps:
        values[step["key"]] = _recomputed_step(step, values, days)
    return _total(working, last_step=steps[-1]["key"], value=values[steps[-1]["key"]])


def under_name(working: Mapping[str, Any], name: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Steps and days of a working with their keys and labels put under a name, to stand beside others."""
    steps = [
        {
            **step,
            "key": f"{name}/{step['key']}",
            "label": f"{name}: {step['label']}",
            "of": [f"{text[0]}{name}/{text[1:]}" if text[0] in "=@" else text for text in step["of"]],
        }
        for step in working["steps"]
    ]
    return steps, [{**day, "key": f"{name}/{day['key']}"} for day in working["days"]]


def _recomputed_day(day: Mapping[str, Any]) -> Fraction | None:
    if day["charged"] is None:
        return None
    charged = read_number(day["charged"])
    parts = day.get("parts") or {}
    known = [read_number(part) for part in parts.values() if part is not None]
    if parts and len(known) == len(parts) and sum(known, Fraction(0)) != charged:
        raise WorkingDisagrees(day["key"], f"the parts add up to {sum(known, Fraction(0))}, not {charged}")
    return charged


def _recomputed_step(
    step: Mapping[str, Any], values: Mapping[str, Fraction], days: Mapping[str, Fraction | None]
) -> Fraction:
    key = step["key"]
    if key in values:
        raise WorkingDisagrees(key, "there are two steps of this key")
    try:
        derived = evaluate(step["operation"], [_operand_value(text, values, days) for text in step["of"]])
        stated = read_number(step["amount"])
    except (KeyError, ValueError) as error:
        raise WorkingDisagrees(key, f"this cannot be computed: {error}") from error
    if derived != stated:
        raise WorkingDisagrees(key, f"this comes to {number_text(derived)}, but {step['amount']} is stated")
    return derived


def _operand_value(text: str, values: Mapping[str, Fraction], days: Mapping[str, Fraction | None]) -> Fraction:
    if text.startswith("="):
        return values[text[1:]]
    if text.startswith("@"):
        charged = days[text[1:]]
        if charged is None:
            raise ValueError(f"day {text[1:]} is not charged")
        return charged
    return read_number(text)


def _total(working: Mapping[str, Any], *, last_step: str, value: Fraction) -> Decimal:
    stated = working.get("total")
    if stated is not None and read_number(stated) != value:
        raise WorkingDisagrees(last_step, f"the total is {number_text(value)}, but {stated} is stated")
    total = decimal_of(value)
    if total is None:
        return rounded(value, places=ABOUT_PLACES)
    return Decimal(stated) if stated is not None else total


def _rounding(mode: Rounding) -> Callable[[Sequence[Fraction]], Fraction]:
    return lambda values: Fraction(rounded(values[0], places=int(values[1]), mode=mode))


def _ranked(rank: Fraction, values: Sequence[Fraction]) -> Fraction:
    """The value at a rank (from 1) in rising order."""
    if rank.denominator != 1 or not 1 <= rank <= len(values):
        raise ValueError(f"there is no rank {rank} among {len(values)} values")
    return sorted(values)[rank.numerator - 1]


def _product(values: Sequence[Fraction]) -> Fraction:
    product = Fraction(1)
    for value in values:
        product *= value
    return product


_OPERATIONS: Mapping[str, Callable[[Sequence[Fraction]], Fraction]] = {
    "add": lambda values: sum(values, Fraction(0)),
    "subtract": lambda values: values[0] - values[1],
    "excess": lambda values: max(values[0] - values[1], Fraction(0)),
    "multiply": _product,
    "divide": lambda values: Fraction(values[0], values[1]),
    "larger": max,
    "smaller": min,
    "ranked": lambda values: _ranked(values[0], values[1:]),
    "packages": lambda values: Fraction(-(-values[0] // values[1])),
    "round_half_up": _rounding("half-up"),
    "round_up": _rounding("up"),
    "round_down": _rounding("down"),
}


def _written(operand: Operand) -> str:
    if isinstance(operand, Ref):
        return f"={operand.key}"
    return f"@{operand.key}" if isinstance(operand, Day) else number_text(operand.value)


def _formula(operation: Operation, operands: Sequence[Operand], texts: Sequence[str]) -> str:
    if operation in ("add", "larger", "smaller"):
        return _many(operation, _grouped(texts) if operation == "add" else list(dict.fromkeys(texts)), len(texts))
    if operation == "ranked":
        return f"number {texts[0]} of the {len(texts) - 1} figures listed by day"
    if operation.startswith("round_"):
        return f"{texts[0]} rounded {operation.removeprefix('round_').replace('_', '-')} to {texts[1]} places"
    joined = {"subtract": " - ", "excess": " - ", "multiply": " x ", "divide": " / ", "packages": " / "}[operation]
    ending = {"excess": ", not below 0", "packages": ", rounded up to whole packages"}.get(operation, "")
    return joined.join(texts) + ending


def _many(operation: Operation, texts: Sequence[str], count: int) -> str:
    listed = " + ".join(texts) if operation == "add" else " and ".join(texts)
    if len(texts) > MOST_SPELLED_OUT:
        listed = f"the {count} figures listed by day"
    summed = "the sum of " if len(texts) > MOST_SPELLED_OUT else ""
    words = {"add": summed, "larger": "the larger of ", "smaller": "the smaller of "}[operation]
    return words.replace("er of", "est of") + listed if count > 2 else words + listed


def _grouped(texts: Sequence[str]) -> list[str]:
    """Equal figures in a row as one product: "30 x 5 GB"."""
    groups: list[tuple[str, int]] = []
    for text in texts:
        if groups and groups[-1][0] == text:
            groups[-1] = (text, groups[-1][1] + 1)
        else:
            groups.append((text, 1))
    return [text if times == 1 else f"{times} x {text}" for text, times in groups]


def _amount_text(operation: Operation, value: Fraction, values: Sequence[Fraction]) -> str:
    """The exact result; of a rounding with all the places it was rounded to, such as 6.60."""
    if operation.startswith("round_"):
        return format(rounded(value, places=int(values[1])), "f")
    return number_text(value)


def _with_unit(text: str, unit: str) -> str:
    shown = _for_people(text)
    named = "bytes" if unit == "byte" and text != "1" else unit
    return f"{shown} {named}" if named else shown


def _for_people(text: str) -> str:
    """A number with its thousands marked: 3,751,000; a fraction gets its first decimals beside it."""
    if "/" not in text:
        return format(Decimal(text), ",f")
    over, under = text.split("/")
    return f"{int(over):,}/{int(under):,} (about {rounded(read_number(text), places=ABOUT_PLACES):,f})"
