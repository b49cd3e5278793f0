"""A backup under the wrapper is the same backup: output, exit code, signals; and what is told of it is complete."""

from __future__ import annotations

import ast
import base64
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from integrations.logs.delivery import from_envelope
from tests.wrapper.loading import WRAPPER, Service, environment, load_wrapper, run_wrapper, waiting

AWAY = "http://127.0.0.1:9"


def works(python: str) -> bool:
    return subprocess.run([python, "-c", "import ssl"], capture_output=True, check=False).returncode == 0


#: Interpreters that some machine may have; those at hand are tried, the running one always.
NAMES = [f"python3.{minor}" for minor in (6, 7, 8, 9, 10, 12, 13)]
PYTHONS = [sys.executable, *(found for found in map(shutil.which, NAMES) if found and works(found))]


def test_output_passes_through_and_streams_are_told_apart(tmp_path: Path) -> None:
    with Service() as service:
        done = run_wrapper(
            tmp_path, "--job", "files", "--", "sh", "-c", "echo out; echo err >&2; exit 3", url=service.url
        )
        assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
        (told,) = service.envelopes()
        ((headers, _),) = service.got
    delivery = from_envelope(told)
    assert (delivery.stdout, delivery.stderr, delivery.exit_code, delivery.job) == (b"out\n", b"err\n", 3, "files")
    assert (delivery.timezone, delivery.host) == ("Europe/Berlin", os.uname().nodename)
    assert delivery.command == "sh -c 'echo out; echo err >&2; exit 3'"
    assert delivery.started_at is not None
    assert delivery.ended_at is not None
    assert delivery.started_at <= delivery.ended_at
    assert headers["idempotency-key"] == delivery.run_id
    assert headers["authorization"] == "Bearer bl_test"
    assert waiting(tmp_path) == []


@pytest.mark.parametrize("python", PYTHONS)
def test_every_interpreter_at_hand_runs_it(python: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    with Service() as service:
        arguments = ["--measure", str(tmp_path / "file"), "--measure-list", "--", "sh", "-c", "exit 4"]
        assert run_wrapper(tmp_path, *arguments, url=service.url, python=python).returncode == 4
        assert service.envelopes()[0]["attachments"][0]["name"] == "selection.inventory.gz"


def test_it_uses_nothing_newer_than_python_3_6() -> None:
    source = WRAPPER.read_text()
    tree = ast.parse(source, feature_version=(3, 6))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.NamedExpr | ast.Match)]
    assert not re.search(
        r"from __future__ import annotations|f\"[^\"]*=\}|removeprefix|missing_ok|capture_output", source
    )
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names


def test_a_service_that_is_away_costs_a_few_seconds_and_never_the_exit_code(tmp_path: Path) -> None:
    began = time.monotonic()
    done = run_wrapper(tmp_path, "--", "sh", "-c", "exit 7", url="http://192.0.2.1:9", BACKLEDGER_WAIT_SECONDS="1")
    assert done.returncode == 7
    assert time.monotonic() - began < 60  # the network alone would try for minutes
    assert [each["exit_code"] for each in waiting(tmp_path)] == [7]


def test_without_any_settings_the_backup_runs_and_its_log_is_kept(tmp_path: Path) -> None:
    done = run_wrapper(tmp_path, "--", "echo", "ran", url="", BACKLEDGER_KEY="")
    assert (done.returncode, done.stdout) == (0, b"ran\n")
    assert b"no url is set" in done.stderr
    assert len(waiting(tmp_path)) == 1


def test_without_a_place_to_write_the_backup_runs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    places = {"BACKLEDGER_SPOOL": str(tmp_path / "file" / "x"), "TMPDIR": str(tmp_path)}
    with Service() as service:
        done = run_wrapper(tmp_path, "--", "sh", "-c", "exit 5", url=service.url, **places)
        assert done.returncode == 5
        assert len(service.envelopes()) == 1


@pytest.mark.parametrize(("command", "code"), [("/nowhere/restic", 127), ("/etc/passwd", 126)])
def test_a_command_that_cannot_start_is_a_failed_run(command: str, code: int, tmp_path: Path) -> None:
    with Service() as service:
        assert run_wrapper(tmp_path, "--", command, url=service.url).returncode == code
        (told,) = service.envelopes()
    assert told["exit_code"] == code
    assert "cannot be started" in told["stderr"]


def start(folder: Path, *arguments: str, url: str = AWAY) -> subprocess.Popen[bytes]:
    given = environment(folder, url, BACKLEDGER_WAIT_SECONDS="0")
    process = subprocess.Popen([sys.executable, str(WRAPPER), *arguments], env=given, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    return process


def test_a_signal_reaches_the_command_and_ends_us_as_it_ended_the_command(tmp_path: Path) -> None:
    process = start(tmp_path, "--", sys.executable, "-uc", "import time; print('begun'); time.sleep(60)")
    process.terminate()
    assert process.wait(20) == -signal.SIGTERM
    (told,) = waiting(tmp_path)
    assert told["exit_code"] == 128 + signal.SIGTERM


def test_a_command_that_handles_the_signal_ends_in_its_own_way(tmp_path: Path) -> None:
    script = "trap 'echo tidied; exit 9' TERM; echo begun; while :; do sleep 0.05; done"
    process = start(tmp_path, "--", "sh", "-c", script)
    process.terminate()
    assert process.wait(20) == 9
    assert waiting(tmp_path)[0]["stdout"] == "begun\ntidied\n"


def test_what_a_killed_wrapper_had_caught_is_told_as_cut_short(tmp_path: Path) -> None:
    process = start(tmp_path, "--job", "night", "--", "sh", "-c", "echo begun; exec sleep 3")
    process.kill()
    process.wait(20)
    with Service() as service:
        done = run_wrapper(tmp_path, "--flush", url=service.url)
        assert (done.returncode, done.stdout) == (0, b"1 sent, 0 still waiting\n")
        (told,) = service.envelopes()
    assert "exit_code" not in told
    assert (told["job"], told["stdout"]) == ("night", "begun\n")
    assert "killed before the command ended" in told["stderr"]
    assert list((tmp_path / "spool" / "running").iterdir()) == []


def test_a_run_in_progress_is_left_alone_by_another_flush(tmp_path: Path) -> None:
    process = start(tmp_path, "--", "sh", "-c", "echo begun; exec sleep 60")
    with Service() as service:
        assert run_wrapper(tmp_path, "--flush", url=service.url).returncode == 0
        assert service.got == []
    process.terminate()
    assert process.wait(20) == -signal.SIGTERM
    assert waiting(tmp_path)[0]["stdout"] == "begun\n"


def test_a_daemon_that_keeps_the_output_open_does_not_hold_us(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(WRAPPER), "--", "sh", "-c", "echo started; sleep 200 & exit 0"],
        env=environment(tmp_path, AWAY, BACKLEDGER_WAIT_SECONDS="0"),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert waiting(tmp_path)[0]["stdout"] == "started\n"


def test_much_output_is_kept_by_its_ends_and_says_what_is_missing(tmp_path: Path) -> None:
    script = "import sys\nfor n in range(200000): sys.stdout.write('line %d\\n' % n)"
    with Service() as service:
        more = {"BACKLEDGER_MAX_OUTPUT_BYTES": "100000"}
        done = run_wrapper(tmp_path, "--", sys.executable, "-c", script, url=service.url, **more)
        (told,) = service.envelopes()
    assert done.stdout.endswith(b"line 199999\n")
    assert len(done.stdout) > 2_000_000
    lines = told["stdout"].splitlines()
    assert (lines[0], lines[-1]) == ("line 0", "line 199999")
    assert len(told["stdout"]) <= 100_200
    (mark,) = [line for line in lines if not line.startswith("line ")]
    left_out = int(mark.split()[1])
    assert left_out + len(told["stdout"]) - len(mark) - 1 == len(done.stdout)


def test_bytes_that_are_no_text_arrive_as_they_were(tmp_path: Path) -> None:
    with Service() as service:
        run_wrapper(tmp_path, "--", "printf", r"\377\000\033[1mx\n", url=service.url)
        (told,) = service.envelopes()
    assert base64.b64decode(told["stdout_base64"]) == b"\xff\x00\x1b[1mx\n"


def test_a_closed_output_does_not_stop_the_backup(tmp_path: Path) -> None:
    script = f"{sys.executable} {WRAPPER} -- sh -c 'seq 100000; echo done > {tmp_path}/done' | head -n 1"
    subprocess.run(["sh", "-c", script], env=environment(tmp_path, AWAY), capture_output=True, timeout=60, check=False)
    wait = time.monotonic() + 10
    while not waiting(tmp_path) and time.monotonic() < wait:
        time.sleep(0.05)
    assert (tmp_path / "done").exists()
    assert waiting(tmp_path)[0]["stdout"].endswith("\n100000\n")


SECRETS = [
    ["mysqldump", "-pS3cret", "-u", "root", "db"],
    ["restic", "-r", "rest:https://u:S3cret@h/repo", "backup", "/srv"],
    ["sh", "-c", "RESTIC_PASSWORD=S3cret restic backup '/srv/my data' && mysqldump -pS3cret x"],
    ["sh", "-c", "export BORG_PASSPHRASE='S3cret S3cret'; borg create ::x /srv"],
    ["bash", "-lc", 'PGPASSWORD="S3cret" pg_dump -h x'],
    ["env", "AWS_SECRET_ACCESS_KEY=S3cret", "restic", "backup"],
    ["duplicati-cli", "backup", "s3://b?auth-password=S3cret&x=1", "--passphrase=S3cret S3cret"],
    ["curl", "-u", "me:S3cret", "http://x"],
    ["sshpass", "-p", "S3cret", "rsync", "-p", "/a"],
    ["x", "--token", "S3cret", "--api-key=S3cret"],
    ["sh", "-c", "7z a -pS3cret x.7z | openssl enc -k S3cret"],
    ["wbadmin", "-user:x", "-password:S3cret"],
]
PLAIN = [
    ["restic", "-p", "/etc/p", "--password-file", "/etc/p", "--keep-daily", "7"],
    ["rsync", "-ap", "--password-file=/x", "u@h::m"],
    ["borg", "create", "ssh://u@h:22/./r::a", "/srv"],
    ["mysqldump", "--no-password", "db"],
    ["sh", "-c", "restic backup '/srv/my data' | tee log; exit 3"],
]


@pytest.mark.parametrize("command", SECRETS, ids=" ".join)
def test_secrets_are_masked(command: list[str]) -> None:
    told = load_wrapper().masked_command(command)
    assert "S3cret" not in told
    assert "***" in told
    assert told.startswith(command[0])


@pytest.mark.parametrize("command", PLAIN, ids=" ".join)
def test_what_is_no_secret_stays(command: list[str]) -> None:
    wrapper = load_wrapper()
    assert wrapper.masked_command(command) == " ".join(wrapper.shlex.quote(word) for word in command)


@pytest.mark.parametrize(
    ("told", "zone"),
    [("Europe/Berlin", "Europe/Berlin"), (":America/New_York", "America/New_York"), ("", "UTC"), ("UTC", "UTC"),
     ("CET-1CEST", ""), ("/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo"), ("Not/AZone", "")],
)  # fmt: skip
def test_the_zone_of_the_environment(told: str, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/usr/share/zoneinfo/Asia/Tokyo").exists():
        pytest.skip("this machine has no time zones (package tzdata)")
    monkeypatch.setenv("TZ", told)
    assert load_wrapper().local_zone() == zone
