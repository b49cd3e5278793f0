"""What a command line says, however it is wrapped; and that nothing in it can break the reading."""

from __future__ import annotations

import pytest

from integrations.logs.command_line import invocations, positional, tool_name


@pytest.mark.parametrize(
    ("command", "arguments", "masked"),
    [
        ("restic backup /srv", ("backup", "/srv"), False),
        ("timeout 60 restic backup /srv", ("backup", "/srv"), False),
        ("HOME=/x nice -n 19 ionice -c 3 /usr/bin/restic backup /srv", ("backup", "/srv"), False),
        ("sudo -u backup restic_0.17.3_linux_amd64 backup /srv", ("backup", "/srv"), False),
        ("docker run --rm -v /srv:/srv restic/restic backup /srv", ("backup", "/srv"), False),
        ("bash -c 'restic backup /srv'", ("backup", "/srv"), False),
        ("restic backup /srv >log 2>&1", ("backup", "/srv"), False),
        ("restic backup /srv 2>&1 | tee log", ("backup", "/srv"), True),
        ("set -o pipefail; restic backup /srv | tee log", ("backup", "/srv"), False),
        ("restic backup /srv || true", ("backup", "/srv"), True),
        ("restic backup /srv && echo good", ("backup", "/srv"), False),
        ("cd /x\nrestic backup /srv\necho end", ("backup", "/srv"), True),
        ("n=$(date); restic backup /srv", ("backup", "/srv"), False),
        ("restic.exe backup C:\\Users\\me", ("backup", "C:\\Users\\me"), False),
    ],
)
def test_a_call_is_found_in_its_wrapping(command: str, arguments: tuple[str, ...], masked: bool) -> None:
    (call,) = invocations(command, ("restic",))
    assert call.arguments == arguments
    assert call.masked is masked


@pytest.mark.parametrize(
    "command",
    [
        "",
        "tar cf /backup/restic /srv",
        "cp x /srv/backup/restic",
        "echo restic",
        "resticprofile backup",
        "x" * 9000,
        "cat 'a",
    ],
)
def test_a_path_or_another_program_is_no_call(command: str) -> None:
    assert invocations(command, ("restic",)) == ()


def test_every_call_of_a_script_is_found_in_order() -> None:
    calls = invocations("restic backup /a && restic forget --prune; restic check", ("restic",))
    assert [call.arguments[0] for call in calls] == ["backup", "forget", "check"]


def test_values_of_options_are_no_arguments() -> None:
    arguments = ("-e", "*.tmp", "--tag=x", "-vv", "backup", "--", "-odd", "/srv")
    assert positional(arguments, {"-e"}) == ("backup", "-odd", "/srv")


def test_names_of_tools() -> None:
    assert tool_name("/opt/bin/rsync") == "rsync"
    assert tool_name("C:\\Tools\\RESTIC.EXE") == "restic"
    assert tool_name("borg-linux64") == "borg-linux64"
