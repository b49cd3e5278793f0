"""Reads Backledger's own settings from the environment and refuses what it does not understand.

Called by ``msp.settings`` once, at the start of every process. A setting of ours begins with ``BACKLEDGER_``; an
unknown one (most often a misspelling that would otherwise be ignored in silence) or a bad value stops the start with a
sentence that says what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

PREFIX = "BACKLEDGER_"

#: Our settings: name -> (default, what it is). The docs' table is made from this.
SETTINGS: dict[str, tuple[str, str]] = {
    "BACKLEDGER_SECRET_KEY": ("", "signs sessions and links; 50 random characters or more"),
    "BACKLEDGER_ENCRYPTION_KEYS": ("", "Fernet keys that encrypt stored secrets, newest first, separated by commas"),
    "BACKLEDGER_DEBUG": ("false", "true shows error pages with code; never in production"),
    "BACKLEDGER_ALLOWED_HOSTS": ("localhost,127.0.0.1", "host names this service answers to, separated by commas"),
    "BACKLEDGER_BASE_URL": ("http://localhost:8000", "address under which people reach the dashboard; used in tickets"),
    "BACKLEDGER_DATA_DIR": (".data", "folder of the embedded servers and logs; used by make run only"),
    "BACKLEDGER_ALLOW_PRIVATE_DESTINATIONS": ("false", "true lets calls go to private network addresses"),
    "BACKLEDGER_MAX_BODY_BYTES": ("26214400", "largest accepted request body and largest decompressed log"),
    "BACKLEDGER_DOOR_QUEUE": ("2000", "receipts a web process holds before it answers 429"),
    "BACKLEDGER_MAIL_DOMAIN": ("localhost", "domain of mail addresses for logs and answers, and of our Message-IDs"),
    "BACKLEDGER_SMTP_PORT": ("2525", "port of the mail listener; 0 runs none"),
    "BACKLEDGER_SMTP_HOST": ("127.0.0.1", "address the mail listener binds to; 0.0.0.0 for every one"),
    "BACKLEDGER_SMTP_CERTIFICATE": ("", "certificate chain (PEM file) that the mail listener offers STARTTLS with"),
    "BACKLEDGER_SMTP_KEY": ("", "key of that certificate (PEM file), if it is not in the same file"),
    "BACKLEDGER_DROP_FOLDER": ("", "folder that is watched for dropped logs; empty watches none"),
    "BACKLEDGER_DROP_SECONDS": ("10", "seconds in which a dropped file must stay as it is before it is taken"),
    "BACKLEDGER_DROP_KEEP_DAYS": ("30", "days for which taken files are kept in done/"),
    "BACKLEDGER_CALL_LOG_DAYS": ("90", "days for which it is kept what was sent and received about each ticket"),
    "BACKLEDGER_PROCESS_IN_DOOR": ("true", "false leaves waking the worker to the scheduler (once a minute)"),
    "BACKLEDGER_PG_BIN": (
        "",
        "folder with initdb and postgres to use instead of the embedded ones (make run, make test)",
    ),
    "BACKLEDGER_LOG_LEVEL": ("INFO", "DEBUG, INFO, WARNING or ERROR"),
    "BACKLEDGER_SECURE_COOKIES": ("auto", "true, false, or auto: true when BACKLEDGER_BASE_URL is https"),
}


@dataclass(frozen=True)
class Configuration:
    """The checked settings of one process."""

    secret_key: str
    encryption_keys: tuple[str, ...]
    debug: bool
    allowed_hosts: tuple[str, ...]
    base_url: str
    data_dir: Path
    allow_private_destinations: bool
    max_body_bytes: int
    door_queue: int
    mail_domain: str
    smtp_port: int
    smtp_host: str
    smtp_certificate: Path | None
    smtp_key: Path | None
    drop_folder: Path | None
    drop_seconds: int
    drop_keep_days: int
    call_log_days: int
    process_in_door: bool
    log_level: str
    secure_cookies: bool
    database: dict[str, object]
    redis_url: str

    @property
    def database_options(self) -> dict[str, object]:
        """What DATABASE_URL says behind its question mark, such as sslmode=verify-full."""
        options = self.database.get("OPTIONS")
        return options if isinstance(options, dict) else {}


def read_configuration(variables: Mapping[str, str]) -> Configuration:
    """Check every setting in ``variables`` (an environment); raises ImproperlyConfigured with what to do."""
    refuse_unknown(variables)
    values = {name: variables.get(name, default) for name, (default, _) in SETTINGS.items()}
    base_url = checked_base_url(values["BACKLEDGER_BASE_URL"])
    return Configuration(
        secret_key=checked_secret(values["BACKLEDGER_SECRET_KEY"]),
        encryption_keys=checked_encryption_keys(values["BACKLEDGER_ENCRYPTION_KEYS"]),
        debug=checked_bool("BACKLEDGER_DEBUG", values["BACKLEDGER_DEBUG"]),
        allowed_hosts=tuple(part.strip() for part in values["BACKLEDGER_ALLOWED_HOSTS"].split(",") if part.strip()),
        base_url=base_url,
        data_dir=Path(values["BACKLEDGER_DATA_DIR"]),
        allow_private_destinations=checked_bool(
            "BACKLEDGER_ALLOW_PRIVATE_DESTINATIONS", values["BACKLEDGER_ALLOW_PRIVATE_DESTINATIONS"]
        ),
        max_body_bytes=checked_int("BACKLEDGER_MAX_BODY_BYTES", values["BACKLEDGER_MAX_BODY_BYTES"], least=1024),
        door_queue=checked_int("BACKLEDGER_DOOR_QUEUE", values["BACKLEDGER_DOOR_QUEUE"], least=1),
        mail_domain=values["BACKLEDGER_MAIL_DOMAIN"],
        smtp_port=checked_port("BACKLEDGER_SMTP_PORT", values["BACKLEDGER_SMTP_PORT"]),
        smtp_host=values["BACKLEDGER_SMTP_HOST"],
        smtp_certificate=path_or_none(values["BACKLEDGER_SMTP_CERTIFICATE"]),
        smtp_key=path_or_none(values["BACKLEDGER_SMTP_KEY"] or values["BACKLEDGER_SMTP_CERTIFICATE"]),
        drop_folder=checked_folder("BACKLEDGER_DROP_FOLDER", values["BACKLEDGER_DROP_FOLDER"]),
        drop_seconds=checked_int("BACKLEDGER_DROP_SECONDS", values["BACKLEDGER_DROP_SECONDS"], least=1),
        drop_keep_days=checked_int("BACKLEDGER_DROP_KEEP_DAYS", values["BACKLEDGER_DROP_KEEP_DAYS"], least=1),
        call_log_days=checked_int("BACKLEDGER_CALL_LOG_DAYS", values["BACKLEDGER_CALL_LOG_DAYS"], least=1),
        process_in_door=checked_bool("BACKLEDGER_PROCESS_IN_DOOR", values["BACKLEDGER_PROCESS_IN_DOOR"]),
        log_level=checked_choice(
            "BACKLEDGER_LOG_LEVEL", values["BACKLEDGER_LOG_LEVEL"].upper(), ("DEBUG", "INFO", "WARNING", "ERROR")
        ),
        secure_cookies=checked_cookies(values["BACKLEDGER_SECURE_COOKIES"], base_url=base_url),
        database=checked_database(variables.get("DATABASE_URL", "")),
        redis_url=checked_redis(variables.get("REDIS_URL", "")),
    )


def refuse_unknown(variables: Mapping[str, str]) -> None:
    for name in sorted(variables):
        if name.startswith(PREFIX) and name not in SETTINGS:
            near = difflib.get_close_matches(name, SETTINGS, n=1)
            hint = f" Did you mean {near[0]}?" if near else " docs/running.md lists the settings."
            raise ImproperlyConfigured(f"{name} is not a setting of Backledger: remove it from the environment.{hint}")


def checked_bool(name: str, value: str) -> bool:
    if value.lower() in ("true", "1", "yes", "on"):
        return True
    if value.lower() in ("false", "0", "no", "off", ""):
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}: set it to true or false.")


def checked_int(name: str, value: str, *, least: int) -> int:
    if not value.isascii() or not value.isdigit() or int(value) < least:
        raise ImproperlyConfigured(f"{name} is {value!r}: set it to a whole number of {least} or more.")
    return int(value)


def checked_port(name: str, value: str) -> int:
    port = checked_int(name, value, least=0)
    if port > 65535:
        raise ImproperlyConfigured(f"{name} is {value!r}: set it to a port up to 65535, or 0 for none.")
    return port


def path_or_none(value: str) -> Path | None:
    return Path(value) if value else None


def checked_folder(name: str, value: str) -> Path | None:
    """An absolute path, since every process of the product may stand elsewhere; None for no folder."""
    if value and not Path(value).is_absolute():
        raise ImproperlyConfigured(f"{name} is {value!r}: set it to an absolute path.")
    return Path(value) if value else None


def checked_choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ImproperlyConfigured(f"{name} is {value!r}: set it to one of {', '.join(choices)}.")
    return value


def checked_cookies(value: str, *, base_url: str) -> bool:
    if value.lower() == "auto":
        return base_url.startswith("https://")
    return checked_bool("BACKLEDGER_SECURE_COOKIES", value)


def checked_base_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ImproperlyConfigured(
            f"BACKLEDGER_BASE_URL is {value!r}: set it to an address such as https://backups.example.com."
        )
    return value.rstrip("/")


def checked_secret(value: str) -> str:
    if len(value) < 50:
        raise ImproperlyConfigured(
            "BACKLEDGER_SECRET_KEY is missing or shorter than 50 characters: set it to the output of "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(60))' and keep it. (make run does this for you.)"
        )
    return value


def checked_encryption_keys(value: str) -> tuple[str, ...]:
    keys = tuple(part.strip() for part in value.split(",") if part.strip())
    try:
        for key in keys:
            Fernet(key)
    except ValueError:
        keys = ()
    if not keys:
        raise ImproperlyConfigured(
            "BACKLEDGER_ENCRYPTION_KEYS is missing or not a Fernet key: set it to the output of "
            "python3 -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())' and keep it: "
            "stored passwords cannot be read without it."
        )
    return keys


def checked_database(url: str) -> dict[str, object]:
    if not url:
        raise ImproperlyConfigured(
            "DATABASE_URL is missing: set it to postgres://USER:PASSWORD@HOST/NAME, or use make run, which brings its "
            "own PostgreSQL."
        )
    try:
        database: dict[str, object] = dict(environ.Env.db_url_config(url))
    except (ValueError, ImproperlyConfigured) as error:
        raise ImproperlyConfigured("DATABASE_URL cannot be read: use postgres://USER:PASSWORD@HOST/NAME.") from error
    if "postgresql" not in str(database.get("ENGINE", "")):
        raise ImproperlyConfigured(
            "DATABASE_URL does not name a PostgreSQL server: Backledger runs on PostgreSQL only."
        )
    return database


def checked_redis(url: str) -> str:
    if not url.startswith(("redis://", "rediss://", "unix://", "redis+socket://")):
        raise ImproperlyConfigured(
            "REDIS_URL is missing or not an address such as redis://HOST:6379/0: set it, or use make run, which brings "
            "its own server."
        )
    return url
