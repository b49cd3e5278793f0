"""Plug-ins: each listed module has what its Protocol asks for, none lies about unlisted, each is in the docs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest

from alerts.rules import RULES, Rule
from billing.metering import METERS, Meter
from billing.pricing import PRICES, Price
from integrations.logs import FORMATS, Format
from integrations.pulling import CONNECTORS, Connector
from integrations.tickets import GATEWAYS
from integrations.tickets.contract import Gateway
from tests.architecture.sources import ROOT


@dataclass(frozen=True)
class Family:
    """``entry`` is a name that only a plug-in of this family has; ``pages`` are where each must be described."""

    folder: str
    members: Mapping[str, Any]
    protocol: type
    entry: str
    pages: tuple[str, ...]


FAMILIES = (
    Family("integrations/logs", FORMATS, Format, "recognises", ("formats.md",)),
    Family("integrations/tickets", GATEWAYS, Gateway, "read_webhook", ("destinations.md", "destinations/{name}.md")),
    Family("integrations/pulling", CONNECTORS, Connector, "fetch", ("pull.md",)),
    Family("alerts/rules", RULES, Rule, "closing_words", ("rules.md",)),
    Family("billing/metering", METERS, Meter, "measure", ("billing-arithmetic.md",)),
    Family("billing/pricing", PRICES, Price, "price", ("billing-arithmetic.md",)),
)
MEMBERS = [(family, name) for family in FAMILIES for name in family.members]


def required_names(protocol: type) -> set[str]:
    """What a module of the family must have: the members of its Protocol."""
    names = set(protocol.__annotations__) | set(vars(protocol))
    return {name for name in names if not name.startswith("_")}


def named(value: Any) -> str:
    return value if isinstance(value, str) else str(value.folder)


@pytest.mark.parametrize(("family", "name"), MEMBERS, ids=named)
def test_a_plug_in_is_a_module_with_everything_its_family_needs(family: Family, name: str) -> None:
    module = cast(ModuleType, family.members[name])
    assert Path(str(module.__file__)).resolve() == ROOT / family.folder / f"{name.replace('-', '_')}.py"
    assert required_names(family.protocol) - set(vars(module)) == set()
    for settings in ("Params", "Config"):
        if settings in required_names(family.protocol):
            assert is_dataclass(getattr(module, settings))


@pytest.mark.parametrize("family", FAMILIES, ids=named)
def test_the_family_asks_for_something(family: Family) -> None:
    assert {"LABEL", family.entry} <= required_names(family.protocol)


@pytest.mark.parametrize("family", FAMILIES, ids=named)
def test_no_plug_in_lies_there_unlisted(family: Family) -> None:
    assert {path.stem for path in plug_in_files(family)} == {name.replace("-", "_") for name in family.members}


def plug_in_files(family: Family) -> Iterator[Path]:
    """The modules of the folder that define the family's own function at their top."""
    for path in sorted((ROOT / family.folder).glob("[a-z]*.py")):
        if f"\ndef {family.entry}(" in path.read_text(encoding="utf-8"):
            yield path


@pytest.mark.parametrize(("family", "name"), MEMBERS, ids=named)
def test_a_plug_in_has_its_place_in_the_docs(family: Family, name: str) -> None:
    label = family.members[name].LABEL.lower()
    pages = [ROOT / "docs" / page.format(name=name) for page in family.pages]
    text = " ".join(page.read_text(encoding="utf-8").lower() for page in pages if page.exists())
    assert label in text or f"`{name}`" in text
