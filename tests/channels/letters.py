"""Mails as tests send them: a log of ours in them, so that each becomes a run."""

from __future__ import annotations

import json
from email.message import EmailMessage
from email.policy import SMTP


def own_log(*, job: str = "files", run_id: str = "2026-11-22") -> str:
    """A log in our own format: a good backup that ended on 22 November 2026 at 22:04:30 UTC."""
    run = {
        "operation": "backup",
        "outcome": "success",
        "job": job,
        "run_id": run_id,
        "started_at": "2026-11-22T22:00:00Z",
        "ended_at": "2026-11-22T22:04:30Z",
        "protected_bytes": 48318382080,
        "basis": "dump",
        "complete": True,
    }
    return json.dumps({"backledger": 1, "runs": [run]})


def letter(
    text: str | None = None,
    *,
    message_id: str | None = "<night-1@client.example>",
    date: str | None = "Sun, 22 Nov 2026 22:05:00 +0000",
    subject: str = "Backup of files",
    to: str = "backups@msp.example",
) -> bytes:
    """A mail with this text (else ``own_log``), with CR LF line ends."""
    message = EmailMessage(policy=SMTP)
    message["From"] = "Backup <backup@client.example>"
    message["To"] = to
    message["Subject"] = subject
    if date is not None:
        message["Date"] = date
    if message_id is not None:
        message["Message-ID"] = message_id
    message.set_content(own_log() if text is None else text)
    return message.as_bytes()
