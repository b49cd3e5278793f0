"""A seller at hand in the small world."""

from __future__ import annotations

import pytest

from billing.models import Seller
from tests.billing.months import Month
from tests.world import World


@pytest.fixture
def month(world: World) -> Month:
    """The first tenant of the world with a seller; nothing measured, nobody on a plan."""
    seller = Seller.objects.of(world.tenant).create(legal_name="Northwind MSP GmbH", country="DE")
    return Month(tenant=world.tenant, seller=seller)
