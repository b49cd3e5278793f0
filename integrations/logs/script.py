"""Home-made scripts and cron jobs around dumps and copies: what is certain from their envelope and marker lines.

A script says how it went by a line ``BACKLEDGER outcome=success ..`` (docs/own-mail.md). Without one, only the exit
code that the wrapper sends tells it, and only where no pipe hides it; a cron mail has none, so that its outcome is
unknown unless the shell itself complained. Never asked before the formats of products, and never claims their logs.
"""

from __future__ import annotations

import re
from dataclasses import replace

from integrations.logs.around_dumps import shell_error, tells_itself
from integrations.logs.bytes_to_text import log_lines
from integrations.logs.command_line import MAX_COMMAND
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Outcome, UnreadableLog
from integrations.logs.script_markers import MARKER, run_of
from integrations.logs.troubles import Troubles

LABEL = "Scripts and cron"
MARKS = (
    "BACKLEDGER ", "Cron <", ".sh", ".bash", ".zsh", ".py", ".pl", ".rb", ".php", ".ps1", ".bat", ".cmd", "cp ",
    "scp ", "dd ",
    "cpio", "zip", "mongodump", "sqlite3", "redis-cli", "robocopy", "sftp", "7z",
)  # fmt: skip
GUIDE = Guide(
    releases="any script; marker lines of version 1",
    written_from="our own description, docs/own-mail.md",
    operations=("backup", "copy", "replicate", "restore", "verify", "prune", "inventory"),
    basis="the one the marker line names",
    sizes=(("protected_bytes", "protected_bytes of the marker line"),),
    cannot_tell=(
        "Without a marker line: anything but success or failure, and these only with the exit code (use the wrapper).",
        "The outcome of a cron mail without a marker line: cron sends no exit code.",
        "Sizes that the script does not tell.",
    ),
    ways=(
        Way(
            "wrapper",
            "With the wrapper",
            "backledger-run --job nightly -- /usr/local/bin/nightly.sh",
            note="Let the script begin with set -eo pipefail: its exit code then tells of every step.",
        ),
        Way(
            "wrapper",
            "With figures of its own",
            'size=$(du -sb /srv/data | cut -f1)\necho "BACKLEDGER outcome=success job=nightly '
            'protected_bytes=$size basis=logical-once complete=true"',
            note="The line that the script prints when all is done; its keys are described in own-mail.md.",
        ),
        Way(
            "email",
            "By mail",
            'echo "BACKLEDGER outcome=success job=nightly" | mail -s "nightly backup" @ADDRESS@',
        ),
    ),
)

_CRON = re.compile(r"Cron <[^<>@\s]{1,64}@[^<>\s]{1,255}> \S")
_SCRIPT = re.compile(r"\S{1,400}\.(?:sh|bash|zsh|ksh|py|pl|rb|php|ps1|bat|cmd)(?=[\s\"';|&)]|$)")
_GENERIC = frozenset({
    "cp", "scp", "dd", "cpio", "pax", "zip", "7z", "mongodump", "sqlite3", "redis", "robocopy", "xcopy", "sftp",
    "lftp", "ldapsearch",
    "slapcat", "influxd", "etcdctl",
})  # fmt: skip
_PRODUCTS = re.compile(
    r"\b(?:restic|borg(?:matic|backup)?|rsync|rsnapshot|rclone|duplic\w+|kopia|bup|burp|dar|tar|mysqldump"
    r"|mariadb-dump|mariabackup"
    r"|mariadb-backup|xtrabackup|innobackupex|pg_\w+|pgbackrest|barman|rdiff-backup|backupninja|bacula|bareos"
    r"|vzdump|wbadmin|bconsole"
    r"|managesnapshots|proxmox-backup\w*|veeam\w*|tarsnap|aws (?:backup|ec2)|az backup|urbackup\w*|hyper-?backup"
    r"|n-?able|acronis\w*)\b",
    re.I,
)
_HIDING = re.compile(r"(?<![|>])\|(?!\|)|\|\||;|&\s*$")
_SOFT = re.compile(r"(?:Permission denied|Keine Berechtigung|Permission non accordée|Permiso denegado)$")


def recognises(head: Head) -> bool:
    """A marker line, a cron mail, or a command that runs a script or a plain copy; never another product's command."""
    if tells_itself(head):
        return True
    if not head.command or len(head.command) > MAX_COMMAND or _PRODUCTS.search(head.command):
        return False
    if _CRON.match(head.subject):
        return True
    return _SCRIPT.search(head.command) is not None or bool(_GENERIC & set(head.programs))


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run per marker line; without any, the one run that the exit code and the shell's words tell of."""
    runs: list[JobLog] = []
    troubles = Troubles()
    for line in log_lines(body.stdout, body.stderr):
        if "BACKLEDGER " in line.text and (match := MARKER.match(line.text)):
            _refuse_cut_off(body, line.stream, line.number)
            found = run_of(match.group(1), number=line.number, context=context)
            runs.append(replace(found, lines=(line.number, line.number)))
        elif told := shell_error(line.text):
            soft = _SOFT.search(told[0]) is not None
            troubles.add(told[0], severity="warning" if soft else "error", kind=told[1])
    if not runs:
        return (_run_of_envelope(body, troubles),)
    return _told_runs(runs, body)


def _refuse_cut_off(body: Delivery, stream: str, number: int) -> None:
    """A marker line that ends where the log ends may be cut off in the middle of a figure."""
    content = body.stdout if stream == "stdout" else body.stderr
    if not content.endswith((b"\n", b"\r")) and content.count(b"\n") == number - 1:
        raise UnreadableLog("The last BACKLEDGER line has no end of line: it may be cut off.", number)


def _told_runs(runs: list[JobLog], body: Delivery) -> tuple[JobLog, ...]:
    """Runs as the script told them; a script that then fails contradicts lines that told only of success."""
    alone = len(runs) == 1
    shown = [replace(run, lines=None, exit_code=body.exit_code) if alone else run for run in runs]
    if body.exit_code in (None, 0) or any(run.outcome not in ("success", "warning", "skipped") for run in runs):
        return tuple(shown)
    note = f"the script told of success, and then ended with exit code {body.exit_code}"
    return tuple(
        replace(run, outcome="unknown", complete=None, protected_bytes=None, basis=None, notes=(*run.notes, note))
        for run in shown
    )


def _run_of_envelope(body: Delivery, troubles: Troubles) -> JobLog:
    outcome = _outcome(body, troubles)
    hidden = outcome == "unknown"
    return JobLog(
        product="script",
        operation="backup",
        outcome=outcome,
        complete=False if outcome == "failure" else None,
        errors=troubles.kept,
        errors_total=troubles.total,
        exit_code=body.exit_code,
        notes=("no marker line, and no exit code that is certainly the script's own",) if hidden else (),
    )


def _outcome(body: Delivery, troubles: Troubles) -> Outcome:
    if troubles.errors or body.exit_code not in (None, 0):
        return "failure"
    if body.exit_code is None or _is_hidden(body.command):
        return "unknown"
    return "warning" if troubles.warnings else "success"


def _is_hidden(command: str) -> bool:
    """True where a later command, or the right end of a pipe, may have given the exit code."""
    found = _HIDING.search(command)
    if found is None:
        return False
    only_pipes = not re.search(
        r"\|\||;(?!\s*$)|&\s*$", command.replace("set -o pipefail;", "").replace("set -eo pipefail;", "")
    )
    return not ("pipefail" in command and only_pipes)
