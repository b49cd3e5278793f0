"""The repository as a whole: nothing of where it was written, nothing of where packages came from, docs in step."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.apps import apps
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from msp.configuration import SETTINGS
from tests.architecture.sources import ROOT, repository_files

#: Folders of the machine on which something was written, and the like. Put together so as not to find themselves.
PLACES = re.compile("|".join((r"(?<![\w.])/" + r"work/\w", r"\.\./" + r"shared/", r"/home/" + r"(?!backledger)\w+/")))
#: Tests that read further samples when the folder beside the checkout exists.
READS_SAMPLES = re.compile(r"\.\./" + "shared/samples|" + "shared" + r'" / "samples')
#: Recorded logs hold the paths of the machine that they were recorded on, as do the texts made after them.
RECORDED = ("tests/", "msp/demo/", "docs/")
HOSTS = re.compile(r"^\s*(?:--(?:extra-)?index-url|-i|--find-links|-f|--trusted-host)\b|://", re.MULTILINE)
DOCS = ROOT / "docs"


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def places_in(text: str, *, recorded: bool) -> list[str]:
    found = [match.group() for match in PLACES.finditer(READS_SAMPLES.sub("", text))]
    return [place for place in found if not (recorded and place.startswith("/home"))]


def test_no_file_tells_of_the_machine_it_was_written_on() -> None:
    told = {
        name_of(path): places_in(path.read_text(encoding="utf-8", errors="replace"), recorded=is_recorded(path))
        for path in repository_files()
    }
    assert {name: places for name, places in told.items() if places} == {}


def is_recorded(path: Path) -> bool:
    return name_of(path).startswith(RECORDED)


def test_the_search_for_places_finds_some() -> None:
    assert places_in("see /" + "work/main/x", recorded=True)
    assert places_in("see ../" + "shared/notes", recorded=True)
    assert places_in("see /home/" + "someone/x", recorded=False)
    assert not places_in("/srv/network/x and homework/x", recorded=False)


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("requirements*"), *ROOT.glob("tests/desks/requirements*")]), ids=name_of
)
def test_requirements_name_no_package_host(path: Path) -> None:
    assert HOSTS.findall(path.read_text(encoding="utf-8")) == []


def test_the_search_for_hosts_finds_some() -> None:
    for line in ("--index-url https://x.example/simple", "-i mirror", "x @ https://x.example/x.whl"):
        assert HOSTS.search(line)


def test_migrations_are_in_step_with_the_models() -> None:
    loader = MigrationLoader(None)
    wanted = ProjectState.from_apps(apps)
    changes = MigrationAutodetector(loader.project_state(), wanted).changes(graph=loader.graph)
    assert {app: [str(step) for each in steps for step in each.operations] for app, steps in changes.items()} == {}


def test_every_setting_is_documented() -> None:
    text = (DOCS / "running.md").read_text(encoding="utf-8")
    assert [name for name in SETTINGS if f"`{name}`" not in text] == []


def test_no_setting_is_documented_that_does_not_exist() -> None:
    told = {
        name
        for path in (*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md")
        for name in re.findall(r"\bBACKLEDGER_[A-Z_]+[A-Z]\b", path.read_text(encoding="utf-8"))
    }
    assert told <= set(SETTINGS)


def our_commands() -> list[str]:
    return sorted(path.stem for path in (ROOT / "msp/management/commands").glob("[a-z]*.py"))


@pytest.mark.parametrize("command", our_commands())
def test_every_command_is_documented(command: str) -> None:
    pages = (*DOCS.glob("*.md"), ROOT / "README.md")
    told = re.compile(rf"manage\.py {command}\b|`{command}\b")
    assert any(told.search(path.read_text(encoding="utf-8")) for path in pages)
