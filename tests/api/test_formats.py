"""GET /formats: every product with its snippets, for any key."""

from __future__ import annotations

import pytest
from django.conf import settings

from integrations.logs import FORMATS
from tests.api.conftest import Caller
from tests.world import World


@pytest.fixture
def listed(api: Caller) -> dict[str, dict[str, object]]:
    return {each["name"]: each for each in api.get("/formats").json()["items"]}


def test_every_format_is_listed_with_its_guide(listed: dict[str, dict[str, object]]) -> None:
    assert set(listed) == set(FORMATS)
    for name, module in FORMATS.items():
        guide = listed[name]["guide"]
        assert isinstance(guide, dict)
        assert listed[name]["label"] == module.LABEL
        assert [way["channel"] for way in guide["ways"]] == [way.channel for way in module.GUIDE.ways]
        assert guide["cannot_tell"] == list(module.GUIDE.cannot_tell)


def test_snippets_name_this_installation_and_leave_room_for_the_key(listed: dict[str, dict[str, object]]) -> None:
    guide = listed["restic"]["guide"]
    assert isinstance(guide, dict)
    snippet = guide["ways"][1]["snippet"]
    assert f'"{settings.BACKLEDGER.base_url}/api/v1/logs?format=restic"' in snippet
    assert "Bearer @KEY@" in snippet
    assert "@URL@" not in str(listed)


def test_any_key_may_ask_and_nobody_without_one(world: World) -> None:
    assert Caller(world.server_key).get("/formats").status_code == 200
    assert Caller("").get("/formats").status_code == 401
    assert Caller(world.api_key).get("/formats?x=1").status_code == 400
