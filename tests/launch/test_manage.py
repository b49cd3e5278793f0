"""``make manage``: commands get the settings that ``make run`` left, and nobody else can read them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from launch import manage as managing
from launch.failure import LaunchError
from launch.manage import keep_environment, manage
from launch.places import Places


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.setenv("BACKLEDGER_DATA_DIR", str(tmp_path))
    return Places(tmp_path)


def test_a_command_runs_with_the_kept_settings(places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "manage.py"
    program.write_text("import os, sys; sys.exit(7 if (os.environ['KEPT'], sys.argv[1]) == ('yes', 'census') else 1)")
    monkeypatch.setattr(managing, "CHECKOUT", tmp_path)
    keep_environment(places, environment={"KEPT": "yes", "OTHER": "no"}, names=("KEPT", "ABSENT"))
    assert manage(["census"]) == 7
    assert stat.S_IMODE(places.environment.stat().st_mode) == 0o600
    assert "OTHER" not in places.environment.read_text()


def test_without_a_start_or_a_command_it_says_what_to_do(places: Places) -> None:
    with pytest.raises(LaunchError, match="make run first"):
        manage(["census"])
    with pytest.raises(LaunchError, match="which command"):
        manage([])
