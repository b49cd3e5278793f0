"""The wall between tenants: where it is passed by, and that no SQL on a tenant's rows forgets whose they are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

import pytest
from django.apps import apps

from tests.architecture.sources import Source, product_sources

#: Who may read across tenants, and why.
UNWALLED = {
    "msp/tenants/wall.py": "defines it",
    "msp/tenants/middleware.py": "finds the tenants of whoever is logged in, before one is chosen",
    "msp/dashboard/views/entry.py": "offers a person the tenants to choose from",
    "alerts/reports/mailing.py": "finds the morning reports that are due, of whichever tenant; the rest is within it",
    "msp/dashboard/changes/people.py": "sees that a login belongs to other tenants too, so that it is not renamed",
}
#: Statements on tenants' rows that name no tenant, by file and beginning, and why.
WITHOUT_TENANT = {
    ("msp/ingest/taking.py", "UPDATE ingest_receiptqueue SET attempts"): "ids that were locked by tenant just before",
    ("msp/outbox/lanes.py", "SELECT next_attempt_at FROM outbox_lane"): "a moment alone: how long a worker may nap",
}
TABLE = re.compile(r"\b(?:FROM|JOIN|UPDATE|INTO)\s+(?:ONLY\s+)?(\w+)", re.IGNORECASE)


def uses_unwalled(source: Source) -> bool:
    """A definition (``unwalled: models.Manager``) or the name in a Meta is no use."""
    return any(isinstance(node, ast.Attribute) and node.attr == "unwalled" for node in ast.walk(source.tree))


def test_only_these_modules_pass_by_the_wall() -> None:
    found = {source.name for source in product_sources() if uses_unwalled(source)}
    assert found == set(UNWALLED) - {"msp/tenants/wall.py"}


def test_the_search_for_uses_finds_one() -> None:
    text = "class A:\n    unwalled = 1\n\nrows = A.unwalled\n"
    assert uses_unwalled(Source("x.py", text, ast.parse(text)))
    assert not uses_unwalled(Source("x.py", "unwalled = 1", ast.parse("unwalled = 1")))


# --- SQL ---------------------------------------------------------------------------------------------------------


def owned_tables() -> frozenset[str]:
    """Tables whose rows belong to a tenant."""
    models = apps.get_models(include_auto_created=True)
    return frozenset(
        model._meta.db_table
        for model in models
        if {"tenant", "tenant_id"} & {field.name for field in model._meta.get_fields()}
    )


def constants(tree: ast.Module) -> dict[str, str]:
    """The texts that a module names; f-strings may use earlier ones."""
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = text_of(node.value, found)
    return found


def text_of(node: ast.AST, named: Mapping[str, str]) -> str:
    """The text of an expression as far as it can be read; what cannot is left out."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(value, named) for value in node.values)
    if isinstance(node, ast.FormattedValue):
        return text_of(node.value, named)
    if isinstance(node, ast.Name):
        return named.get(node.id, "")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left, named) + text_of(node.right, named)
    return ""


def statements(tree: ast.Module) -> Iterator[str]:
    """Every text of a module once, the longest expression it is part of."""
    named, seen = constants(tree), set[int]()
    for node in ast.walk(tree):
        if id(node) not in seen and (text := text_of(node, named)):
            seen.update(id(part) for part in ast.walk(node))
            yield " ".join(text.split())


def forgetful(source: Source, tables: frozenset[str]) -> list[tuple[str, str]]:
    """The statements on tenants' tables that name no tenant."""
    return [
        (source.name, statement)
        for statement in statements(source.tree)
        if tables & set(TABLE.findall(statement)) and "tenant_id" not in statement
    ]


def test_every_statement_on_tenants_rows_names_the_tenant() -> None:
    tables = owned_tables()
    assert "backups_jobrun" in tables
    assert "tenants_tenant" not in tables
    found = [one for source in product_sources() for one in forgetful(source, tables)]
    unexpected = [
        (name, statement)
        for name, statement in found
        if not any(name == known and statement.startswith(start) for known, start in WITHOUT_TENANT)
    ]
    assert unexpected == []


@pytest.mark.parametrize("known", WITHOUT_TENANT)
def test_no_exception_outlives_its_statement(known: tuple[str, str]) -> None:
    found = [one for source in product_sources() for one in forgetful(source, owned_tables())]
    assert any(name == known[0] and statement.startswith(known[1]) for name, statement in found)


def test_the_search_for_statements_finds_a_forgetful_one() -> None:
    text = (
        'WHO = "job.tenant_id = 1"\n'
        'cursor.execute("SELECT 1 FROM backups_backupjob " "WHERE id = 1")\n'
        'cursor.execute(f"SELECT 1 FROM backups_backupjob job WHERE {WHO}")\n'
        'cursor.execute("SELECT 1 FROM tenants_tenant")\n'
    )
    found = forgetful(Source("x.py", text, ast.parse(text)), owned_tables())
    assert found == [("x.py", "SELECT 1 FROM backups_backupjob WHERE id = 1")]
