"""Settings: unknown ones and bad values stop the start with a sentence that says what to do."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from msp.configuration import SETTINGS, read_configuration

GOOD = {
    "BACKLEDGER_SECRET_KEY": "s" * 50,
    "BACKLEDGER_ENCRYPTION_KEYS": "dGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtISE=",
    "DATABASE_URL": "postgres://user:secret@db.example/backledger",
    "REDIS_URL": "redis://redis.example:6379/0",
    "HOME": "/root",
}


def test_the_least_configuration_is_enough() -> None:
    read = read_configuration(GOOD)
    assert read.database["NAME"] == "backledger"
    assert not read.debug
    assert not read.allow_private_destinations
    assert not read.secure_cookies


def test_cookies_are_secure_behind_https() -> None:
    assert read_configuration({**GOOD, "BACKLEDGER_BASE_URL": "https://backups.example"}).secure_cookies


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("BACKLEDGER_SECRET_KEY", "", "python3 -c"),
        ("BACKLEDGER_SECRET_KEY", "short", "50 characters"),
        ("BACKLEDGER_ENCRYPTION_KEYS", "not a key", "Fernet"),
        ("BACKLEDGER_DEBUG", "maybe", "true or false"),
        ("BACKLEDGER_MAX_BODY_BYTES", "-1", "whole number"),
        ("BACKLEDGER_MAX_BODY_BYTES", "٣٣٣٣", "whole number"),
        ("BACKLEDGER_BASE_URL", "backups.example", "address such as"),
        ("BACKLEDGER_LOG_LEVEL", "LOUD", "one of"),
        ("BACKLEDGER_DEBUGG", "true", "Did you mean BACKLEDGER_DEBUG?"),
        ("BACKLEDGER_COLOUR", "red", "not a setting"),
        ("DATABASE_URL", "", "make run"),
        ("DATABASE_URL", "sqlite:///x.db", "PostgreSQL only"),
        ("REDIS_URL", "", "make run"),
        ("REDIS_URL", "localhost", "redis://"),
    ],
)
def test_what_cannot_be_used_stops_the_start_with_a_sentence(name: str, value: str, words: str) -> None:
    with pytest.raises(ImproperlyConfigured) as stopped:
        read_configuration({**GOOD, name: value})
    sentence = str(stopped.value)
    assert name.split("_URL")[0] in sentence
    assert words in sentence
    assert "secret@" not in sentence


def test_options_of_the_database_are_kept() -> None:
    read = read_configuration({**GOOD, "DATABASE_URL": f"{GOOD['DATABASE_URL']}?sslmode=verify-full"})
    assert read.database_options == {"sslmode": "verify-full"}


def test_every_setting_says_what_it_is() -> None:
    assert all(text for _, text in SETTINGS.values())
