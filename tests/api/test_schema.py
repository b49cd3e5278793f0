"""The OpenAPI schema: valid without a warning, of every address, each operation documented with examples that fit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # comes without types
import pytest
import yaml
from django.core.management import call_command

from msp.api.urls import urlpatterns
from tests.api.conftest import Caller
from tests.world import World


@pytest.fixture(scope="module")
def schema() -> Any:
    told = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=told)
    return yaml.safe_load(told.getvalue())


def operations(schema: Any) -> Iterator[tuple[str, str, Any]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_address_is_in_it(schema: Any) -> None:
    ours = {"/api/v1/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(each.pattern)) for each in urlpatterns[:-2]}
    assert set(schema["paths"]) == ours
    assert len(ours) >= 25


def test_every_operation_says_what_it_does_and_what_it_refuses(schema: Any) -> None:
    for path, method, operation in operations(schema):
        assert operation["summary"], (method, path)
        assert operation["description"].endswith("."), (method, path)
        assert operation["security"] == [{"key": []}], (method, path)
        refused = {code for code in operation["responses"] if code >= "400"}
        assert {"401", "403"} <= refused, (method, path)
        assert ("404" in refused) or "{" not in path, (method, path)
        for code in refused:
            assert "application/problem+json" in operation["responses"][code]["content"]


def shown(schema: Any) -> Iterator[tuple[str, Any, Any]]:
    """(where, example, its schema) of every body and answer."""
    for path, method, operation in operations(schema):
        contents = [("sent", operation["requestBody"]["content"])] if "requestBody" in operation else []
        contents += [
            (code, answer["content"])
            for code, answer in operation["responses"].items()
            if code < "300" and "content" in answer
        ]
        for what, content in contents:
            told = content["application/json"]
            examples = list(told.get("examples", {}).values())
            assert examples, f"{method} {path} {what} has no example"
            yield from ((f"{method} {path} {what}", each["value"], told["schema"]) for each in examples)


def test_every_body_and_answer_has_an_example_that_fits(schema: Any) -> None:
    count = 0
    for where, example, shape in shown(schema):
        errors = list(
            jsonschema.Draft4Validator(as_json_schema({**shape, "components": schema["components"]})).iter_errors(
                example
            )
        )
        assert not errors, f"{where}: {errors[0].message} at {list(errors[0].path)}"
        count += 1
    assert count > 35


def as_json_schema(node: Any) -> Any:
    """OpenAPI 3.0 says nullable where JSON schema says null; unknown members are refused."""
    if isinstance(node, list):
        return [as_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {name: as_json_schema(value) for name, value in node.items() if name != "nullable"}
    if node.get("type") == "object" and "properties" in node:
        made.setdefault("additionalProperties", False)
    return {"anyOf": [made, {"type": "null"}]} if node.get("nullable") is True else made


def test_it_is_served_to_anybody(world: World) -> None:
    answer = Caller().get("/schema", headers={"Accept": "application/vnd.oai.openapi+json"})
    assert answer.status_code == 200
    assert answer.json()["info"]["title"] == "Backledger API"
