"""Secrets that are generated once and kept: session key, encryption key, the passwords of the private servers.

They lie in one file of mode 0600 in the data folder. The encryption key reads stored passwords: losing the file loses
them. So it is written to a temporary name and renamed, and an unreadable file stops the start and is not replaced.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from launch.failure import LaunchError


@dataclass(frozen=True)
class Keys:
    """``encryption_key`` is a Fernet key: 32 random bytes in URL-safe base 64."""

    secret_key: str
    encryption_key: str
    postgres_password: str
    redis_password: str


def generate_keys() -> Keys:
    return Keys(
        secret_key=secrets.token_urlsafe(60),
        encryption_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        postgres_password=secrets.token_hex(24),
        redis_password=secrets.token_hex(24),
    )


def keep_keys(path: Path) -> Keys:
    """Read the keys, or generate and store them on the first start."""
    try:
        return Keys(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError) as error:
        raise LaunchError(
            f"{path} cannot be read ({error}): restore it from a backup, or remove it to begin anew."
        ) from error
    keys = generate_keys()
    store(keys, path)
    return keys


def store(keys: Keys, path: Path) -> None:
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(keys), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
