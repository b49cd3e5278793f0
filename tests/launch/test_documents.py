"""The page on running and the deployment files say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from launch.bootstrap import CHECKOUT
from launch.places import Places
from launch.run import Address, programs
from msp.configuration import SETTINGS

PAGE = (CHECKOUT / "docs" / "running.md").read_text()
UNITS = CHECKOUT / "deploy" / "systemd"


def test_every_setting_is_in_the_table_with_its_default() -> None:
    for name, (default, meaning) in SETTINGS.items():
        shown = f"`{default}`" if default else "none"
        assert f"| `{name}` | {shown} | {meaning} |" in PAGE


def test_the_example_environment_holds_known_settings_only() -> None:
    text = (CHECKOUT / "deploy" / "backledger.env.example").read_text()
    names = set(re.findall(r"^([A-Z_]+)=", text, re.MULTILINE))
    assert {"BACKLEDGER_SECRET_KEY", "BACKLEDGER_ENCRYPTION_KEYS", "DATABASE_URL"} <= names
    assert names <= {*SETTINGS, "DATABASE_URL", "REDIS_URL"}


def test_every_process_of_make_run_has_a_unit_and_a_container() -> None:
    compose = (CHECKOUT / "deploy" / "compose.yaml").read_text()
    for _, name, command in programs(Address(host="127.0.0.1", port=8000), places=Places(Path("/d"))):
        unit = (UNITS / f"backledger-{name}.service").read_text()
        assert f"\n  {name}:\n" in compose
        for option in ("-Q", "-c", "-P", "--workers"):
            if option in command:
                assert f" {option} {command[command.index(option) + 1]} " in unit
