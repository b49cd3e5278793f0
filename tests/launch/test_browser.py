"""Which browser is taken, and that nothing is installed against the person's will."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from launch import browser
from launch import test as testing
from launch.failure import LaunchError


def program(folder: Path, *, name: str, code: int = 0) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\nexit {code}\n")
    path.chmod(0o755)
    return path


def test_the_setting_wins(tmp_path: Path) -> None:
    program(tmp_path, name="chromium")
    mine = program(tmp_path, name="mine")
    assert browser.find_browser({"CHROMIUM": str(mine), "PATH": str(tmp_path)}) == mine


def test_a_placeholder_that_does_not_start_is_passed_over(tmp_path: Path) -> None:
    program(tmp_path, name="chromium", code=1)
    real = program(tmp_path, name="google-chrome")
    assert browser.find_browser({"PATH": str(tmp_path)}) == real


def test_none_is_found(tmp_path: Path) -> None:
    assert browser.find_browser({"PATH": str(tmp_path)}) is None
    assert browser.find_browser({"CHROMIUM": str(tmp_path / "absent"), "PATH": str(tmp_path)}) is None


def test_no_apt_forbids_installing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert browser.may_install({})
    assert not browser.may_install({"NO_APT": "1"})
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert not browser.may_install({})


def test_without_a_browser_ci_fails_before_any_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "1")
    monkeypatch.setattr(testing, "find_or_install_browser", lambda variables: None)
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    with pytest.raises(LaunchError, match="no browser was found"):
        testing.test()


def test_browser_tests_see_no_browser_that_does_not_start() -> None:
    assert testing.with_browser({"CHROMIUM": "/broken"}, browser=None) == {}
    assert testing.with_browser({}, browser=Path("/usr/bin/chromium")) == {"CHROMIUM": "/usr/bin/chromium"}
