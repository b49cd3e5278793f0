"""Forwarded mails: from what a person's mail program wrote around a mail back to the mail itself.

Used by ``mail`` for texts in which the original stands inline, as Outlook, Gmail, Apple Mail and Thunderbird write it
in English, German, French and Spanish. The original's subject, sender and text take the place of the forwarder's; where
no such block is found the text stays as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_LEVELS = 3
#: The block stands near the beginning, after a few words of the forwarder at most.
HEAD_BYTES, HEAD_LINES, BLOCK_LINES = 32 * 1024, 150, 14

_PREFIX = re.compile(r"^(?:\s{0,5}(?:fwd?|wg|tr|rv)\s{0,2}:)+\s*", re.I)
_BEGINS = re.compile(
    r"^[\s>*_-]{0,40}(?:forwarded message|original message|begin forwarded message|weitergeleitete nachricht"
    r"|urspr(?:ü|ue)ngliche nachricht|anfang der weitergeleiteten (?:nachricht|e-mail)|message transf(?:é|e)r(?:é|e)"
    r"|message d['’]origine|d(?:é|e)but du message (?:transf(?:é|e)r(?:é|e)|r(?:é|e)exp(?:é|e)di(?:é|e))"
    r"|mensaje (?:reenviado|original)|inicio del mensaje reenviado)[\s:*_-]{0,40}$",
    re.I,
)
_LABELS = {
    "sender": ("from", "von", "de"),
    "subject": ("subject", "betreff", "objet", "asunto"),
    "other": (
        "sent", "date", "to", "cc", "bcc", "reply-to", "importance", "priority", "attachments", "gesendet", "datum",
        "an", "kopie", "antwort an", "wichtigkeit", "anlagen", "envoyé", "envoye", "à", "répondre à",
        "pièces jointes", "enviado", "enviado el", "fecha", "para", "responder a", "importancia",
    ),
}  # fmt: skip
_KIND = {label: kind for kind, labels in _LABELS.items() for label in labels}
_LINE = re.compile(
    r"^(?P<quote>>?) ?\*{0,2}(?P<label>[^\W\d_][\w -]{0,20}?)\*{0,2}[ \u00a0]?:\*{0,2}[ \t\u00a0]*(?P<value>.*)$"
)


@dataclass(frozen=True)
class Original:
    """A text as its first sender sent it; ``is_forwarded`` is False where nothing was undone."""

    text: bytes
    subject: str
    sender: str
    is_forwarded: bool = False


@dataclass(frozen=True)
class Block:
    """The header lines of an original within a text: how many bytes they end after, and what they say."""

    end: int
    subject: str
    sender: str
    is_quoted: bool


def undo_forwarding(text: bytes, *, subject: str, sender: str) -> Original:
    """The original of a forwarded text; forwards of forwards are undone a few times."""
    found = Original(text, subject, sender)
    for _ in range(MOST_LEVELS):
        block = _find_block(found.text, told_by_subject=_PREFIX.match(found.subject) is not None)
        if block is None:
            break
        rest = found.text[block.end :].lstrip(b"\r\n")
        found = Original(_unquoted(rest) if block.is_quoted else rest, block.subject, block.sender, is_forwarded=True)
    plain = _PREFIX.sub("", found.subject)
    return Original(found.text, plain or found.subject, found.sender, found.is_forwarded or plain != subject)


def _find_block(text: bytes, *, told_by_subject: bool) -> Block | None:
    begun, at = told_by_subject, 0
    lines = text[:HEAD_BYTES].splitlines(keepends=True)[:HEAD_LINES]
    for number, raw in enumerate(lines):
        line = _shown(raw)
        begun = begun or _BEGINS.match(line) is not None
        match = _LINE.match(line)
        if begun and match is not None and _KIND.get(match["label"].lower()) in ("sender", "subject"):
            block = _read_block(lines[number : number + BLOCK_LINES], at=at)
            if block is not None:
                return block
        at += len(raw)
    return None


def _read_block(lines: list[bytes], *, at: int) -> Block | None:
    """Header lines up to the first that is none; they must name sender and subject."""
    values: dict[str, str] = {}
    last, quoted = "", False
    for raw in lines:
        line = _shown(raw)
        match = _LINE.match(line)
        kind = _KIND.get(match["label"].lower()) if match is not None else None
        if match is not None and kind is not None:
            values.setdefault(kind, match["value"].strip().strip("*").strip())
            last, quoted = kind, quoted or bool(match["quote"])
        elif last and not line.strip("> \t"):
            at += len(raw)
            break
        elif last and line[:1] in (" ", "\t") and line.strip():
            values[last] = f"{values[last]} {line.strip()}"
        else:
            break
        at += len(raw)
    if not values.get("sender") or "subject" not in values:
        return None
    return Block(at, values["subject"], values["sender"], quoted)


def _shown(raw: bytes) -> str:
    return raw[:1000].decode("utf-8", "replace").rstrip("\r\n")


def _unquoted(text: bytes) -> bytes:
    return re.sub(rb"(?m)^> ?", b"", text)
