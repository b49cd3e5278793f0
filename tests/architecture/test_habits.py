"""The habits of the code: who reads the clock, no signals, what a module says of itself, how long things get."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.sources import Source, in_any, product_sources

#: Who may ask what time it is; everything else takes ``now``. Measuring how long a call takes is not asking.
CLOCKS = (
    "msp/tasks.py",
    "msp/management/commands/",
    "msp/api/resources/base.py",
    "msp/api/authentication.py",
    "msp/dashboard/scope.py",
    "msp/dashboard/context.py",
    "msp/dashboard/portal_scope.py",
    "msp/callbacks.py",
    "msp/stripe_callbacks.py",
    "msp/ingest/door.py",
)
CLOCK_NAMES = {"now", "utcnow", "today", "time", "time_ns"}
#: These read the clock only when they are given nothing.
CLOCK_CALLS = {"localtime", "gmtime", "localdate"}
CLOCK_OWNERS = {"datetime", "date", "time", "timezone"}

DOCSTRING_LINES = range(1, 10)
FUNCTION_LINES = 60
FILE_LINES = 450
#: Longer than one can read in a sitting, with what they may grow to: to be split, not to be added to.
LONG_FILES = {
    "alerts/queries.py": 700,
    "integrations/logs/borg.py": 820,
    "integrations/logs/duplicati.py": 480,
    "integrations/logs/restic.py": 820,
    "integrations/logs/rsync.py": 560,
    "msp/backups/queries.py": 530,
    "msp/demo/northern.py": 560,
}


def reads_clock(tree: ast.AST) -> bool:
    """``datetime.now()``, ``timezone.now()``, ``date.today()``, ``time.time()``, also when only handed on."""
    asked = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call) and not node.args]
    return any(is_clock(node, CLOCK_NAMES) for node in ast.walk(tree)) or any(
        is_clock(function, CLOCK_CALLS) for function in asked
    )


def is_clock(node: ast.AST, names: set[str]) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr in names
        and isinstance(node.value, ast.Name)
        and node.value.id in CLOCK_OWNERS
    )


def test_only_the_edges_of_the_product_read_the_clock() -> None:
    product = [source for source in product_sources() if not source.name.startswith("launch/")]
    reading = {source.name for source in product if reads_clock(source.tree)}
    assert {name for name in reading if not in_any(name, CLOCKS)} == set()


def test_no_clock_reader_is_listed_in_vain() -> None:
    reading = {source.name for source in product_sources() if reads_clock(source.tree)}
    assert [place for place in CLOCKS if not any(in_any(name, (place,)) for name in reading)] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("datetime.now(UTC)", True),
        ("clock = timezone.now", True),
        ("timezone.localdate()", True),
        ("timezone.localtime(then)", False),
        ("time.monotonic()", False),
        ("self.now()", False),
    ],
)
def test_the_search_for_clocks(text: str, expected: bool) -> None:
    assert reads_clock(ast.parse(text)) is expected


def imports(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    return found


SIGNALS = {"django.dispatch", "django.db.models.signals", "django.core.signals", "celery.signals"}


def test_nothing_happens_by_signals() -> None:
    assert [source.name for source in product_sources() if SIGNALS & imports(source.tree)] == []


def test_the_search_for_signals_finds_each_way_to_import_them() -> None:
    for text in ("from django.db.models import signals", "from django.dispatch import receiver"):
        assert SIGNALS & imports(ast.parse(text))


# --- size and words ----------------------------------------------------------------------------------------------


def has_code(source: Source) -> bool:
    return bool(source.text.strip())


def test_every_module_says_what_it_does_in_a_few_lines() -> None:
    told = {source.name: ast.get_docstring(source.tree) or "" for source in product_sources() if has_code(source)}
    assert {name for name, text in told.items() if not text.strip()} == set()
    assert {name: len(text.splitlines()) for name, text in told.items()
            if len(text.splitlines()) not in DOCSTRING_LINES} == {}  # fmt: skip


def test_every_function_fits_on_a_screen() -> None:
    long = {
        f"{source.name}: {function.name}": (function.end_lineno or 0) - function.lineno + 1
        for source in product_sources()
        for function in source.functions()
        if (function.end_lineno or 0) - function.lineno >= FUNCTION_LINES
    }
    assert long == {}


def test_every_file_can_be_read_in_a_sitting() -> None:
    lines = {source.name: len(source.text.splitlines()) for source in product_sources()}
    assert {name: count for name, count in lines.items() if count > LONG_FILES.get(name, FILE_LINES)} == {}


def test_no_long_file_is_listed_in_vain() -> None:
    lines = {source.name: len(source.text.splitlines()) for source in product_sources()}
    assert [name for name in LONG_FILES if lines.get(name, 0) <= FILE_LINES] == []


VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "services", "service", "manager", "managers"}


def test_modules_are_named_by_what_happens() -> None:
    parts = {(source.name, part) for source in product_sources() for part in source.name.removesuffix(".py").split("/")}
    assert [name for name, part in sorted(parts) if part in VAGUE] == []
