"""The ticket systems for the tests are installed once, again when what is pinned changed, and what failed is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch import bootstrap, desks
from launch.failure import LaunchError

Ran = list[list[str]]


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """The commands of pip, none of which is really run; the environments are really made."""
    commands: Ran = []

    def succeed(command: list[str]) -> bool:
        commands.append(command)
        return True

    monkeypatch.setattr(desks, "FOLDER", tmp_path / "desks")
    monkeypatch.setattr(desks, "LOCKS", tmp_path)
    monkeypatch.setattr(desks, "DESKS", ("plain", "built"))
    monkeypatch.setattr(desks, "run_pip", succeed)
    for name in ("plain", "built", "built-build"):
        (tmp_path / f"requirements-{name}.txt").write_text("x==1\n")
    return commands


def installed(ran: Ran) -> list[str]:
    return [Path(command[command.index("-r") + 1]).name for command in ran]


def test_each_desk_is_installed_once(ran: Ran) -> None:
    assert desks.find_or_install_desks() == []
    assert desks.find_or_install_desks() == []
    assert installed(ran) == ["requirements-plain.txt", "requirements-built-build.txt", "requirements-built.txt"]
    python = desks.python_of("built")
    assert python is not None
    assert bootstrap.python_version(python) is not None


def test_only_what_has_its_tools_pinned_is_built_and_by_these_alone(ran: Ran) -> None:
    desks.find_or_install_desks()
    assert ["--only-binary" in command for command in ran] == [True, True, False]
    assert ["--no-build-isolation" in command for command in ran] == [False, False, True]
    assert all("--require-hashes" in command for command in ran)


def test_what_is_pinned_anew_is_installed_again(ran: Ran, tmp_path: Path) -> None:
    desks.find_or_install_desks()
    ran.clear()
    (tmp_path / "requirements-built-build.txt").write_text("x==2\n")
    assert desks.python_of("built") is None
    assert desks.find_or_install_desks() == []
    assert installed(ran) == ["requirements-built-build.txt", "requirements-built.txt"]


def test_an_environment_that_was_moved_is_made_anew(ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desks.find_or_install_desks()
    (tmp_path / "desks").rename(tmp_path / "moved")
    monkeypatch.setattr(desks, "FOLDER", tmp_path / "moved")
    assert desks.python_of("plain") is None
    assert desks.find_or_install_desks() == []
    assert desks.python_of("plain") is not None


def test_what_cannot_be_installed_is_named_and_tried_again(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "run_pip", lambda command: installed([command]) != ["requirements-built.txt"])
    assert desks.find_or_install_desks() == ["built"]
    assert desks.python_of("built") is None
    assert desks.find_or_install_desks() == ["built"]
    assert desks.python_of("plain") is not None


def test_the_desks_of_the_repository_have_their_packages_pinned_with_hashes() -> None:
    for name in desks.DESKS:
        for lock in desks.locks_of(name):
            text = lock.read_text(encoding="utf-8")
            pinned = [line for line in text.splitlines() if line and not line.startswith(("#", " "))]
            assert pinned
            assert all("==" in line and line.endswith("\\") for line in pinned), lock.name


def test_what_only_root_may_install_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        desks, "PACKAGES", {tmp_path: ("is-here",), tmp_path / "nowhere": ("redmine", "redmine-sqlite")}
    )
    monkeypatch.setenv("PATH", str(tmp_path))  # no apt-get there
    with pytest.raises(LaunchError, match="install redmine redmine-sqlite first"):
        desks.find_or_install_packaged_desks()
    monkeypatch.setattr(desks, "PACKAGES", {tmp_path: ("is-here",)})
    desks.find_or_install_packaged_desks()


def test_what_is_missing_is_installed_with_debians_bundler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tmp_path / "said"
    for name, does in {
        "apt-get": f'echo "$* $BUNDLER_VERSION" >> {said}', "apt-cache": "echo 'Version: 1:2.3.15-2+deb12u1'",
        "debconf-set-selections": f"cat >> {said}",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(desks, "REDMINE", tmp_path / "nowhere")
    monkeypatch.setattr(desks, "PACKAGES", {tmp_path / "nowhere": ("redmine", "redmine-sqlite")})
    desks.find_or_install_packaged_desks()
    assert said.read_text().splitlines() == [
        "redmine redmine/instances/default/dbconfig-install boolean false",
        "update -qq 2.3.15",
        "install -y -qq --no-install-recommends redmine redmine-sqlite 2.3.15",
    ]
