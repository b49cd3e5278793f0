"""No binary floating point in billing: its source is searched for it, and the search is tested too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

BILLING = Path(__file__).parents[3] / "billing"
PURE = ("exact.py", "money.py", "units.py", "days.py", "taking.py", "params.py", "working.py", "metering", "pricing")
EXACT_CALLS = {"Decimal", "Fraction", "round_money", "rounded", "quantity_of", "round_quantity", "from_minor"}
WHOLE_CALLS = {"len", "sum", "int", "to_minor", "size_of", "ord"}
INEXACT_NAMES = {"float", "FloatField", "FloatParam", "fsum", "mean"}
INEXACT_MODULES = {"math", "statistics", "random", "numpy", "cmath"}


def sources() -> list[Path]:
    return [path for path in sorted(BILLING.rglob("*.py")) if "migrations" not in path.parts]


def pure_sources() -> list[Path]:
    return [path for path in sources() if path.relative_to(BILLING).parts[0] in PURE]


def called(node: ast.expr) -> str:
    """The name of what an expression calls, or nothing."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def is_whole(node: ast.expr) -> bool:
    return (isinstance(node, ast.Constant) and isinstance(node.value, int)) or called(node) in WHOLE_CALLS


def inexact(tree: ast.AST, *, pure: bool) -> Iterator[tuple[int, str]]:
    """Line and reason of everything that is, makes, or may make a binary floating point number."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            yield node.lineno, f"the literal {node.value}"
        if isinstance(node, ast.Call) and called(node) in INEXACT_NAMES:
            yield node.lineno, f"a call of {called(node)}"
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            yield from _divided(node, pure=pure)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and _is_negative(node.right):
            yield node.lineno, "a negative power"
        for module in _imported(node):
            if module.split(".")[0] in INEXACT_MODULES:
                yield getattr(node, "lineno", 0), f"an import of {module}"


def _divided(node: ast.BinOp | ast.AugAssign, *, pure: bool) -> Iterator[tuple[int, str]]:
    sides = [node.left, node.right] if isinstance(node, ast.BinOp) else [node.target, node.value]
    is_exact = any(called(side) in EXACT_CALLS for side in sides)
    if pure or (any(is_whole(side) for side in sides) and not is_exact):
        yield node.lineno, "a true division"


def _is_negative(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(BILLING)))
def test_billing_holds_no_binary_floating_point(path: Path) -> None:
    found = list(inexact(ast.parse(path.read_text(encoding="utf-8")), pure=path in pure_sources()))
    assert found == []


def test_the_search_reads_the_files_it_should() -> None:
    names = {str(path.relative_to(BILLING)) for path in pure_sources()}
    assert {"money.py", "days.py", "metering/daily_average.py", "pricing/rate.py"} <= names
    assert all((BILLING / name).exists() for name in PURE)


@pytest.mark.parametrize(
    "source",
    [
        "rate = 0.05",
        "x = 1e-9",
        "x = float(amount)",
        "x = builtins.float(amount)",
        "x = models.FloatField()",
        "x = 1 / n",
        "x = total / 31",
        "x = sum(days) / len(days)",
        "x /= 2",
        "import math",
        "from statistics import mean",
        "x = 10 ** -2",
    ],
)
def test_the_search_finds_what_is_not_exact(source: str) -> None:
    assert list(inexact(ast.parse(source), pure=False))


@pytest.mark.parametrize(
    "source",
    [
        "x = Decimal('0.05')",
        "x = Decimal(total) / 31",
        "x = Fraction(a, b)",
        "x = total // 31",
        "x = 'float(1.5)'",
        "x = a / b",
    ],
)
def test_the_search_leaves_what_is_exact_or_cannot_be_told(source: str) -> None:
    assert not list(inexact(ast.parse(source), pure=False))


def test_a_pure_module_does_not_divide_with_a_slash_at_all() -> None:
    assert list(inexact(ast.parse("x = a / b"), pure=True))
