"""Takes secrets out of texts that people may read: failures, logs, and what was sent and received.

A known secret is found as it was given, word by word, and as URLs, JSON, HTML, Basic credentials and base64 write it.
What was not known before, such as the token in an answer to a log-in, is found by the name that stands before it.
Whoever cuts a text cuts it afterwards: half a secret would not be found.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote

MARK = "…"

#: Words shorter than this are everyday ones, and stay when they are only a part of a secret.
_SHORTEST_PART = 6
#: As long as an encoding can make one character of a secret, but for JSON that is many times inside JSON.
_WIDEST = 8
#: Backslashes that JSON inside JSON may have put before one character.
_DEEPEST = 15

_NAME = (
    r"[\w.-]{0,60}(?:token|secret|passwo?r?d|passphrase|pwd|api_?-?key|access_?-?key|private_?-?key|authoriz|credential|"
    r"signature|session|cookie|csrf|jwt)[\w.-]{0,60}"
)
_NAMED = (
    # JSON, and JSON inside a text of JSON
    re.compile(
        rf"""(["']{_NAME}\\{{0,15}}["']\s{{0,9}}:\s{{0,9}})("(?:[^"\\]|\\.)*"?|\\{{1,15}}"[^"]*"?|-?\d[\d.eE+-]*)""",
        re.I,
    ),
    re.compile(rf"((?:^|[?&;\s\"']){_NAME}=)([^&\s\"'<>]+)", re.I),
    re.compile(rf"(<{_NAME}>)([^<]+)", re.I),
    re.compile(rf"""(name=["']?{_NAME}["']?[^<>]{{0,200}}?value=["']?)([^"'<>]+)""", re.I),
    re.compile(rf"(^[ \t]*{_NAME}[ \t]*:[ \t]*)(\S[^\r\n]*)", re.I | re.M),
    re.compile(r"(\bBearer )([\w.~+/=-]{8,})", re.I),
)
_IN_QUERIES = re.compile(rf"([?&](?:{_NAME}|key|code|sig|auth|pass|pw)=)([^&#]+)", re.I)


def redact(text: str, secrets: tuple[str, ...], *, mark: str = MARK) -> str:
    """``text`` with ``mark`` for every form of every secret."""
    known = tuple(sorted(set(secrets)))
    for pattern in _patterns_of_all(known):
        text = pattern.sub(mark, text)
    for form in _forms_of_all(known):
        text = text.replace(form, mark)
    return text


def redact_named(text: str) -> str:
    """``text`` without the values of what is named like a secret."""
    for pattern in _NAMED:
        text = pattern.sub(rf"\1{MARK}", text)
    return text


def redact_address(url: str, secrets: tuple[str, ...]) -> str:
    """A URL without secrets, also those that only its query's names give away."""
    return _IN_QUERIES.sub(rf"\1{MARK}", redact(url, secrets))


def text_of(body: bytes, *, is_cut: bool) -> str:
    """A body as text: UTF-8. What is none is read byte by byte, so that a secret in it is still found."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        if is_cut and error.start >= len(body) - 3:
            return body[: error.start].decode()
        return body.decode("latin-1")


def margin_of(secrets: tuple[str, ...]) -> int:
    """Characters at the end of a text that was cut which may be the beginning of a secret."""
    return _WIDEST * max(map(len, secrets), default=0)


@lru_cache(maxsize=16)
def _forms_of_all(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """The longest first, so that none is found inside another."""
    forms = _plain_forms(secrets)
    parts = {part for secret in secrets for part in _parts_of(secret)}
    forms |= {form.replace("/", "\\/") for form in forms} | set(map(_all_escaped, parts))
    return tuple(sorted(forms - {""}, key=len, reverse=True))


@lru_cache(maxsize=16)
def _patterns_of_all(secrets: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """For those forms that JSON may write otherwise in more than slashes; most secrets have none."""
    forms = sorted(_plain_forms(secrets), key=len, reverse=True)
    return tuple(_escaped(form) for form in forms if any(map(_is_escaped, form.replace("/", ""))))


def _plain_forms(secrets: tuple[str, ...]) -> set[str]:
    parts = {part for secret in secrets for part in _parts_of(secret)}
    parts |= {form for part in parts for form in _as_bytes(part)}
    return parts | {form for part in parts for form in _written(part)}


def _parts_of(secret: str) -> Iterator[str]:
    """The secret, its words, those of a URL decoded, and name and password where words are Basic credentials."""
    words = [word for word in secret.split() if len(word) >= _SHORTEST_PART]
    for word in (secret, *words):
        yield word
        yield unquote(word)
        decoded = _decode_basic(word)
        yield from (part for part in (decoded, decoded.partition(":")[2]) if len(part) >= _SHORTEST_PART)


def _decode_basic(word: str) -> str:
    try:
        return base64.b64decode(word, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _as_bytes(text: str) -> Iterator[str]:
    """Its bytes read as Latin-1, in hexadecimal, and in base64: alone and as a part of something longer."""
    raw = text.encode("utf-8", "replace")
    yield raw.decode("latin-1")
    yield base64.b64encode(raw).decode()
    yield base64.urlsafe_b64encode(raw).decode()
    if len(raw) < _SHORTEST_PART:
        return
    yield raw.hex()
    for before in range(3):
        # Only those characters that depend on nothing that stands before or behind.
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        yield base64.b64encode(b"\0" * before + raw).decode()[first:last]
        yield base64.urlsafe_b64encode(b"\0" * before + raw).decode()[first:last]


def _written(text: str) -> Iterator[str]:
    """As URLs, forms and HTML have it."""
    yield text
    for encoded in (quote(text, safe=""), quote(text), quote_plus(text), _all_encoded(text)):
        yield encoded
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), encoded)
    escaped = html.escape(text)
    yield escaped
    yield html.escape(text, quote=False)
    yield escaped.replace("&#x27;", "&#39;")
    yield escaped.replace("&quot;", "&#34;")


def _all_encoded(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "replace"))


def _is_escaped(character: str) -> bool:
    """Whether some JSON writes it otherwise."""
    return character in "\"\\/<>&'" or not " " <= character <= "~"


def _escaped(form: str) -> re.Pattern[str]:
    """As JSON has it, and JSON inside JSON, however deep: each time there are more backslashes."""
    return re.compile("".join(map(_escaped_character, form)))


def _escaped_character(character: str) -> str:
    if not _is_escaped(character):
        return re.escape(character)
    if character == "\\":
        return rf"\\{{1,{_DEEPEST}}}"
    utf16 = character.encode("utf-16-be", "surrogatepass").hex()
    coded = "".join(rf"\\{{1,{_DEEPEST}}}u(?i:{utf16[at : at + 4]})" for at in range(0, len(utf16), 4))
    return rf"(?:\\{{0,{_DEEPEST}}}{re.escape(character)}|{coded})"


def _all_escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)
