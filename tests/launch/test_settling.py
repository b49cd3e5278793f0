"""Where data lies, which port is taken, which keys are kept: what is decided before anything starts."""

from __future__ import annotations

import base64
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch.failure import LaunchError
from launch.keys import keep_keys
from launch.logs import ErrorFilter, append
from launch.places import Places, choose_data_folder, claim, make_places, read_signature, sign
from launch.ports import choose_port

CHECKOUT = Path("/home/a person/backledger")


def test_a_user_keeps_data_in_the_checkout() -> None:
    assert choose_data_folder({}, checkout=CHECKOUT, is_root=False) == CHECKOUT / ".data"


def test_root_keeps_data_outside_and_apart_for_each_checkout() -> None:
    first = choose_data_folder({}, checkout=CHECKOUT, is_root=True)
    second = choose_data_folder({}, checkout=CHECKOUT.parent / "other", is_root=True)
    assert first.parent == Path("/var/lib")
    assert first != second
    assert first == choose_data_folder({}, checkout=CHECKOUT, is_root=True)


def test_the_setting_wins() -> None:
    chosen = choose_data_folder({"BACKLEDGER_DATA_DIR": "/srv/b"}, checkout=CHECKOUT, is_root=True)
    assert chosen == Path("/srv/b")


def test_data_is_closed_to_others(tmp_path: Path) -> None:
    places = make_places(tmp_path / "data", is_root=False)
    for folder in (places.data, places.logs, places.redis, places.processes):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_root_is_told_when_nobody_could_not_get_in(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(LaunchError, match=r"closed, which other users may not enter.*BACKLEDGER_DATA_DIR"):
        make_places(closed / "data", is_root=True)
    assert list(closed.iterdir()) == []


def test_a_data_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LaunchError, match="cannot use the data folder"):
        make_places(tmp_path / "file" / "data", is_root=False)


def test_only_one_holds_the_data(tmp_path: Path) -> None:
    places = Places(tmp_path)
    first = claim(places)
    assert first is not None
    sign(first, text="process 7, http://localhost:8000")
    assert claim(places) is None
    assert read_signature(places) == "process 7, http://localhost:8000"
    os.close(first)
    again = claim(places)
    assert again is not None
    os.close(again)


def test_keys_are_generated_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys = keep_keys(path)
    assert keep_keys(path) == keys
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(keys.secret_key) >= 50
    assert len(base64.urlsafe_b64decode(keys.encryption_key)) == 32


def test_unreadable_keys_are_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("{")
    with pytest.raises(LaunchError, match="restore it from a backup"):
        keep_keys(path)
    assert path.read_text() == "{"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens while the test runs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_default_is_replaced_and_told(taken: int) -> None:
    port, remark = choose_port("", host="127.0.0.1", default=taken)
    assert port != taken
    assert remark == f"Port {taken} is taken, so this start uses {port}. PORT=... chooses another."


def test_a_taken_port_asked_for_is_refused(taken: int) -> None:
    with pytest.raises(LaunchError, match=f"port {taken} on 127.0.0.1 cannot be used"):
        choose_port(str(taken), host="127.0.0.1")


def test_port_zero_is_any_free_one() -> None:
    port, remark = choose_port("0", host="127.0.0.1")
    assert port > 0
    assert remark == ""


@pytest.mark.parametrize("wanted", ["http", "-1", "65536", "8000 "])
def test_what_is_no_port_is_refused(wanted: str) -> None:
    with pytest.raises(LaunchError, match="PORT is"):
        choose_port(wanted, host="127.0.0.1")


def test_errors_are_shown_with_their_traceback() -> None:
    shows = ErrorFilter()
    lines = [
        "2026-11-22 10:00:00,000 INFO msp.tasks swept",
        "2026-11-22 10:00:01,000 ERROR msp.tasks cannot",
        "Traceback (most recent call last):",
        "KeyError: 'x'",
        "INFO:     Shutting down",
        "Traceback (most recent call last):",
        "ValueError",
        "2026-11-22 10:00:02,000 WARNING msp.tasks slow",
    ]
    assert [shows(line) for line in lines] == [False, True, True, True, False, True, True, False]


def test_a_long_log_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_bytes(b"x" * 10_000_001)
    append(log, "new")
    assert log.read_text() == "new\n"
    assert (tmp_path / "web.log.1").stat().st_size == 10_000_001
