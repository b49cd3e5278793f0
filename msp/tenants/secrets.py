"""Secrets at rest: fields that are encrypted in the database, and hashes of keys that are never stored.

The keys come from BACKLEDGER_ENCRYPTION_KEYS, newest first; older ones still decrypt, so keys can be rotated.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


@lru_cache(maxsize=4)
def cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(text: str) -> str:
    return cipher(settings.BACKLEDGER.encryption_keys).encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    """The text behind ``token``; raises ImproperlyConfigured when no configured key fits."""
    try:
        return cipher(settings.BACKLEDGER.encryption_keys).decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise ImproperlyConfigured(
            "A stored secret cannot be decrypted: add the key it was written with to BACKLEDGER_ENCRYPTION_KEYS."
        ) from error


class EncryptedJSONField(models.TextField):  # type: ignore[type-arg]  # not subscriptable at run time
    """A JSON value that is encrypted in its column; it cannot be searched."""

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Any:
        return None if value is None else json.loads(decrypt(value))

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else encrypt(json.dumps(value, sort_keys=True))

    def to_python(self, value: Any) -> Any:
        return value


def new_key(prefix: str) -> str:
    """A fresh API key, 43 random characters behind a readable prefix; shown once, stored as a hash."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def key_hash(key: str) -> str:
    """SHA-256 in hex; keys are random, so a slow hash would add nothing."""
    return hashlib.sha256(key.encode()).hexdigest()
