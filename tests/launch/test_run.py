"""What ``make run`` hands to the product, and what it says to the person."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from launch.failure import LaunchError
from launch.keys import generate_keys
from launch.places import Places
from launch.run import Address, product_environment, programs, read_login, refuse_unreachable
from msp.configuration import read_configuration

HERE = Address(host="127.0.0.1", port=8123)
SERVERS = {"DATABASE_URL": "postgres://u:p@127.0.0.1:1/b", "REDIS_URL": "redis://:p@127.0.0.1:2/0"}


def environment(given: dict[str, str], *, address: Address = HERE) -> dict[str, str]:
    return product_environment({**SERVERS, **given}, keys=generate_keys(), servers={}, address=address, data=Path("/d"))


def test_the_product_accepts_what_is_generated() -> None:
    configuration = read_configuration(environment({}))
    assert configuration.base_url == "http://localhost:8123"
    assert configuration.data_dir == Path("/d")


def test_settings_of_the_person_win() -> None:
    given = environment({"BACKLEDGER_BASE_URL": "https://backups.example.com", "BACKLEDGER_SECRET_KEY": "s" * 50})
    assert given["BACKLEDGER_BASE_URL"] == "https://backups.example.com"
    assert given["BACKLEDGER_SECRET_KEY"] == "s" * 50


def test_an_empty_setting_counts_as_none() -> None:
    assert environment({"BACKLEDGER_SECRET_KEY": ""})["BACKLEDGER_SECRET_KEY"] != ""


def test_the_host_that_is_listened_on_is_answered_to() -> None:
    given = environment({}, address=Address(host="192.0.2.7", port=80))
    assert given["BACKLEDGER_ALLOWED_HOSTS"] == "localhost,127.0.0.1,[::1],192.0.2.7"
    assert given["BACKLEDGER_BASE_URL"] == "http://192.0.2.7:80"


@pytest.mark.parametrize(
    ("host", "url", "probe"),
    [
        ("127.0.0.1", "http://localhost:80", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://localhost:80", "http://127.0.0.1:80"),
        ("::1", "http://localhost:80", "http://[::1]:80"),
        ("2001:db8::1", "http://[2001:db8::1]:80", "http://[2001:db8::1]:80"),
    ],
)
def test_addresses(host: str, url: str, probe: str) -> None:
    address = Address(host=host, port=80)
    assert (address.url, address.probe) == (url, probe)


def test_hung_deliveries_cannot_stop_ingest() -> None:
    """Each queue has a worker process of its own, and no worker serves both."""
    commands = [command for _, _, command in programs(HERE, places=Places(Path("/d")))]
    queues = [command[command.index("-Q") + 1] for command in commands if "-Q" in command]
    assert sorted(queues) == ["delivery", "line", "polling"]


def test_web_stops_first_and_workers_after_the_scheduler() -> None:
    order = {name: position for position, name, _ in programs(HERE, places=Places(Path("/d")))}
    assert order["web"] < order["beat"] < order["worker-line"] == order["worker-delivery"]


def test_the_login_is_read_from_among_other_lines() -> None:
    assert read_login('note\n{"email": "a@example.com", "password": "x"}\n') == {
        "email": "a@example.com",
        "password": "x",
    }
    assert read_login("") is None


def test_a_server_that_does_not_answer_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        refuse_unreachable("DATABASE_URL", url=f"postgres://u@127.0.0.1:{port}/b", default_port=5432)
    with pytest.raises(LaunchError, match="DATABASE_URL names 127.0.0.1, where no server answers"):
        refuse_unreachable("DATABASE_URL", url=f"postgres://u@127.0.0.1:{port}/b", default_port=5432)
