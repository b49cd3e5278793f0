"""Which backup programs are missing is told, and none is installed against the person's will."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch import tools


def test_what_is_missing_is_named_and_nothing_installed_where_that_is_forbidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[list[str]] = []
    monkeypatch.setattr(tools, "install", installed.append)
    program = tmp_path / "rsync"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert tools.find_or_install_tools({"PATH": str(tmp_path), "NO_APT": "1"}) == ["restic", "borg"]
    assert installed == []


def test_root_installs_the_packages_of_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[list[str]] = []
    monkeypatch.setattr(tools, "install", installed.append)
    monkeypatch.setattr(tools, "may_install", lambda variables: True)
    assert tools.find_or_install_tools({"PATH": str(tmp_path)}) == ["restic", "borg", "rsync"]
    assert installed == [["restic", "borgbackup", "rsync"]]
