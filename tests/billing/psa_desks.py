"""A destination whose system keeps agreements, with the double behind it."""

from __future__ import annotations

from contextlib import ExitStack
from importlib import import_module
from typing import Any

from alerts.models import ClientCompany, Destination
from tests.world import START, World


def connected(world: World, name: str, stack: ExitStack) -> tuple[Destination, Any]:
    made = import_module(f"tests.doubles.desks.{name}").bench(stack)
    row = Destination.objects.of(world.tenant).create(
        name="Desk", gateway=name, config=dict(made.stored), created_at=START
    )
    ClientCompany.objects.of(world.tenant).create(
        destination=row, client=world.client, company_id="17", name="Acme Dental", chosen_at=START
    )
    return row, made.desk
