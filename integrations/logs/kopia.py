"""Kopia: what snapshot create, verify and maintenance print, snapshot manifests as JSON, and its report mails.

A manifest is exact: sizes, counts, times and errors of one snapshot. Console output rounds, tells no clock, and names
each source, of which a run may have several: each is a run of its own. A snapshot with a reason why it is incomplete
is a failure; one with errors that the policy ignores is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from integrations.logs.api_rows import amount, moment, reached_all, rows_of, words
from integrations.logs.bytes_to_text import log_lines
from integrations.logs.context import Context
from integrations.logs.event_documents import documents
from integrations.logs.figures import printed_size
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.json_documents import nested
from integrations.logs.moments import to_utc
from integrations.logs.troubles import Troubles

LABEL = "Kopia"
MARKS = ("kopia", "Kopia", "Snapshotting ", '"rootEntry"', "Created snapshot with root", "maintenance...")
GUIDE = Guide(
    releases="0.8 to 0.21: snapshot create, verify and maintenance; manifests; notification mails since 0.19",
    written_from="the tool's source and test data",
    operations=("backup", "verify", "prune", "inventory"),
    basis="logical: the sum of all file sizes, hard links each time",
    sizes=(
        ("protected_bytes", "rootEntry.summ.size; text: hashed plus cached"),
        ("transferred_bytes", "text: uploaded"),
    ),
    cannot_tell=(
        "Times of console output: those of the wrapper are used.",
        "What was uploaded, in a manifest.",
        "Success of console output that is cut off before the line that says a snapshot was created: unknown.",
    ),
    ways=(
        Way("wrapper", "The wrapper", "backledger-run --job NAME -- kopia snapshot create --all --json --no-progress"),
        Way(
            "email",
            "Or its own mails (0.19 and later)",
            "kopia notification profile configure email --profile-name=backledger --smtp-server=SMTP "
            "--mail-from=kopia@example.com --mail-to=@ADDRESS@",
        ),
    ),
)

_SNAPSHOTTING = re.compile(r"^(?:\S+ )?Snapshotting (\S{1,200}?)@(\S{1,200}?):(.{1,1000}?) \.\.\.$")
_CREATED = re.compile(
    r"Created( partial)? snapshot with root (\S{1,100}) and ID (\S{1,100}) in ((?:[0-9.]{1,8}(?:h|ms|m|s|µs)){1,4})"
)
_PROGRESS = re.compile(
    r"([0-9]{1,12}) hashed \(([0-9.]{1,12} ?[KMGTP]?i?B)\), ([0-9]{1,12}) cached \(([0-9.]{1,12} ?[KMGTP]?i?B)\), "
    r"uploaded ([0-9.]{1,12} ?[KMGTP]?i?B)"
)
_IGNORED = re.compile(r"Ignored ([0-9]{1,9}) error\(s\) while snapshotting")
_FATAL = re.compile(r"Found ([0-9]{1,9}) fatal error\(s\) while snapshotting")
_ENTRY_ERROR = re.compile(r"[Ee]rror (?:when )?processing \"(.{1,1000}?)\": (.{1,2000})$")
_IGNORED_ENTRY = re.compile(r"[Ii]gnored error (?:when )?processing \"(.{1,1000}?)\": (.{1,2000})$")
_VERIFY_ERROR = re.compile(r"failed on (.{1,1000}?): (.{1,2000})$")
_VERIFIED = re.compile(r"(?:Finished (?:processing|verifying)|Processed|Verified) ([0-9]{1,12}) objects")
_SPAN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(h|ms|m|s|µs)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "µs": 0.000001}
_MAINTENANCE = re.compile(r"(?:Running|Finished) (?:full|quick) maintenance")
_REPORT = re.compile(r"^Generated at .{10,60} by Kopia ", re.M)
_LABELLED = re.compile(r"^ {0,8}(Status|Start|Duration|Size|Files|Directories|Error): {1,12}(\S.*)$")
_BAD = ("ERROR", "error:", "unable to", "invalid repository password", "Upload canceled")


def recognises(head: Head) -> bool:
    """A snapshot manifest, a report mail, or console lines that only Kopia prints."""
    if any(True for _ in _manifests(head.document)):
        return True
    text = head.text
    if '"rootEntry"' in text and '"userName"' in text and '"startTime"' in text:
        return True
    if any(_CREATED.search(part) for part in (text, head.tail)) or _REPORT.search(f"{text}{head.tail}"):
        return True
    if any(_SNAPSHOTTING.match(line.strip()) for line in text.split("\n", 60)[:60]):
        return True
    return head.calls("kopia") or ("kopia" in text and _MAINTENANCE.search(text) is not None)


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """A run for each manifest, each reported path, or each source of the console output."""
    manifests = [found for document in documents(body, context) for found in _manifests(document)]
    if manifests:
        listed = len(manifests) > 1 and "list" in context.head.command
        return tuple(_from_manifest(one, listed=listed) for one in manifests)
    if _REPORT.search(f"{context.head.text}{context.head.tail}"):
        return tuple(_from_report(body, context))
    return _from_console(body, context)


# ------------------------------------------------------------------------------------------------------------ manifests


def _manifests(document: Any) -> Iterator[dict[str, Any]]:
    for row in rows_of(document):
        told = nested(row, "data") or nested(row, "lastSnapshot") or row
        source = nested(told, "source")
        if source.get("path") and "startTime" in told and ("stats" in told or "rootEntry" in told):
            yield {**told, "id": words(told, "id") or words(row, "id")}
        elif isinstance(document, dict) and isinstance(row.get("sources"), list):
            yield from _manifests(row["sources"])


def _from_manifest(told: Mapping[str, Any], *, listed: bool) -> JobLog:
    source, summary = nested(told, "source"), nested(nested(told, "rootEntry"), "summ")
    reason = words(told, "incomplete")
    failed = amount(summary.get("numFailed")) or amount(nested(told, "stats").get("errorCount")) or 0
    ignored = amount(summary.get("numIgnoredErrors")) or amount(nested(told, "stats").get("ignoredErrorCount")) or 0
    outcome = _outcome_of(reason, failed, ignored, rooted=bool(nested(told, "rootEntry")))
    started, ended = moment(_nine(told.get("startTime"))), moment(_nine(told.get("endTime")))
    size = amount(summary.get("size"))
    protected = (
        (size if size is not None else amount(nested(told, "stats").get("totalSize"))) if _ended(outcome) else None
    )
    troubles = _manifest_troubles(reason, summary, failed, ignored)
    return JobLog(
        product="kopia",
        operation="inventory" if listed else "backup",
        action="list" if listed else "",
        outcome=outcome,
        run_id=words(told, "id"),
        source_job=words(source, "path"),
        item=f"{words(source, 'userName')}@{words(source, 'host')}:{words(source, 'path')}",
        host=words(source, "host"),
        archive=words(told, "id"),
        roots=(words(source, "path"),),
        started_at=started,
        ended_at=ended,
        duration_seconds=(ended - started).total_seconds() if started and ended else None,
        protected_bytes=protected,
        basis=None if protected is None else "logical-each",
        sources={} if protected is None else {"protected_bytes": "rootEntry.summ.size"},
        complete=reached_all(outcome) if outcome != "warning" else True,
        files=_manifest_counts(told, summary),
        dirs=_count("total", summary.get("dirs")),
        files_failed=failed + ignored,
        errors=troubles.kept,
        errors_total=max(troubles.total, failed + ignored),
    )


def _nine(value: Any) -> Any:
    """Go prints up to nine digits of fraction, and the zero time for never."""
    return None if isinstance(value, str) and value.startswith("0001-") else value


def _outcome_of(reason: str, failed: int, ignored: int, *, rooted: bool) -> Outcome:
    if reason == "checkpoint":
        return "running"
    if reason or failed or not rooted:
        return "cancelled" if reason == "canceled" else "failure"
    return "warning" if ignored else "success"


def _ended(outcome: Outcome) -> bool:
    return outcome in ("success", "warning")


def _manifest_troubles(reason: str, summary: Mapping[str, Any], failed: int, ignored: int) -> Troubles:
    troubles = Troubles()
    for one in rows_of(summary.get("errors")):
        severity: Any = "error" if failed else "warning"
        troubles.add(words(one, "error"), path=words(one, "path") or None, severity=severity)
    if reason and reason != "checkpoint":
        troubles.add(f"incomplete: {reason}")
    if (failed or ignored) and not troubles.total:
        troubles.add(f"{failed} fatal and {ignored} ignored errors", severity="error" if failed else "warning")
    return troubles


def _manifest_counts(told: Mapping[str, Any], summary: Mapping[str, Any]) -> dict[str, int]:
    stats = nested(told, "stats")
    return {
        **_count("total", summary.get("files")),
        **_count("read", stats.get("nonCachedFiles")),
        **_count("unmodified", stats.get("cachedFiles")),
    }


def _count(name: str, value: Any) -> dict[str, int]:
    found = amount(value)
    return {} if found is None else {name: found}


# --------------------------------------------------------------------------------------------------------- report mails


def _from_report(body: Delivery, context: Context) -> Iterator[JobLog]:
    host = re.search(r"(?:^| )on (\S{1,200})$", context.head.subject or "")
    values: dict[str, str] = {}
    troubles = Troubles()
    for line in log_lines(body.stdout):
        if line.text.startswith("Path: "):
            if values:
                yield _reported(values, troubles, host.group(1) if host else body.host)
            values, troubles = {"Path": line.text[6:].strip()}, Troubles()
        elif values and (match := _LABELLED.match(line.text)):
            values[match.group(1)] = match.group(2)
        elif values and line.text.lstrip().startswith("- ") and ": " in line.text:
            path, message = line.text.lstrip()[2:].rsplit(": ", 1)
            troubles.add(message, path=path, severity="warning")
    if not values:
        raise UnreadableLog("this report of Kopia names no path")
    yield _reported(values, troubles, host.group(1) if host else body.host)


def _reported(values: Mapping[str, str], troubles: Troubles, host: str) -> JobLog:
    status = values.get("Status", "").split(" ")[0].rstrip(":")
    known: dict[str, Outcome] = {"success": "success", "warnings": "warning", "warning": "warning", "error": "failure",
                                 "fatal": "failure", "incomplete": "failure"}  # fmt: skip
    outcome = known.get(status, "unknown")
    if outcome == "success" and troubles.total:
        outcome = "warning"
    if values.get("Error"):
        troubles.add(values["Error"])
    elif outcome == "failure" and not troubles.errors:
        troubles.add(f"Status: {values.get('Status', '')}")
    started, seconds = _mail_time(values.get("Start", "")), _span(values.get("Duration", ""))
    size = printed_size(values.get("Size", "").split(" (")[0]) if _ended(outcome) else None
    return JobLog(
        product="kopia",
        operation="backup",
        outcome=outcome,
        run_id=f"{values['Path']} {started.isoformat()}" if started else "",
        source_job=values["Path"],
        host=host,
        roots=(values["Path"],),
        started_at=started,
        ended_at=started + timedelta(seconds=seconds) if started and seconds is not None else None,
        duration_seconds=seconds,
        protected_bytes=size,
        basis=None if size is None else "logical-each",
        rounded=size is not None,
        complete=False if outcome == "failure" else True if _ended(outcome) else None,
        files=_count("total", values.get("Files", "").split(" ")[0]),
        dirs=_count("total", values.get("Directories", "").split(" ")[0]),
        errors=troubles.kept,
        errors_total=troubles.total,
    )


def _mail_time(told: str) -> datetime | None:
    try:
        found = to_utc(parsedate_to_datetime(told[:60]), None)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found and found.year > 1970 else None


def _span(told: str) -> float | None:
    """Seconds of a Go duration: ``1h2m3s``, ``1.1s``, ``12ms``."""
    parts = _SPAN.findall(told[:40])
    return sum(float(figure) * _UNITS[unit] for figure, unit in parts) if parts else None


# -------------------------------------------------------------------------------------------------------------- console


@dataclass
class _Run:
    """What the lines of one source said so far."""

    user: str = ""
    host: str = ""
    path: str = ""
    ended: Outcome | None = None
    archive: str = ""
    seconds: float | None = None
    sizes: tuple[str, ...] = ()
    checked: int | None = None
    first: int = 0
    last: int = 0
    troubles: Troubles = field(default_factory=Troubles)


def _from_console(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    runs = [_Run()]
    for line in log_lines(body.stdout, body.stderr):
        text = line.text.strip()
        match = _SNAPSHOTTING.match(text) if "Snapshotting " in text else None
        if match:
            runs.append(_Run(user=match[1], host=match[2], path=match[3], first=line.number))
        elif text:
            _read_line(runs[-1], text)
        runs[-1].last = line.number
    operation = _console_operation(context)
    sources = [run for run in runs if run.path]
    if operation != "backup" or not sources:
        return (_console_run(runs[-1] if sources else runs[0], operation, body, alone=True),)
    return tuple(_console_run(run, operation, body, alone=len(sources) == 1) for run in sources)


def _console_operation(context: Context) -> Operation:
    command = f" {context.head.command} "
    if " verify" in command or (
        not command.strip() and "objects" in context.head.text and "Snapshotting" not in context.head.text
    ):
        return "verify"
    if " maintenance" in command or (
        _MAINTENANCE.search(context.head.text) and "Snapshotting" not in context.head.text
    ):
        return "prune"
    if " snapshot create" in command or " snap create" in command or "Snapshotting " in context.head.text:
        return "backup"
    return "backup" if _CREATED.search(context.head.text) else "inventory"


def _read_line(run: _Run, text: str) -> None:
    if created := _CREATED.search(text):
        run.ended, run.archive, run.seconds = "failure" if created[1] else "success", created[3], _span(created[4])
    elif "hashed (" in text and (progress := _PROGRESS.search(text)):
        run.sizes = progress.groups()
    elif "Not saving snapshot because no files have been changed" in text:
        run.ended = "success"
    elif ignored := _IGNORED_ENTRY.search(text):
        run.troubles.add(ignored[2], path=ignored[1], severity="warning")
    elif entry := (_ENTRY_ERROR.search(text) or (_VERIFY_ERROR.search(text) if "failed on " in text else None)):
        run.troubles.add(entry[2], path=entry[1])
    elif _IGNORED.search(text):
        run.troubles.add(text, severity="warning")
    elif _FATAL.search(text) or any(sign in text for sign in _BAD):
        run.troubles.add(text)
    elif verified := _VERIFIED.search(text):
        run.checked = int(verified[1])
    elif "Finished full maintenance" in text or "Finished quick maintenance" in text:
        run.ended = "success"


def _console_run(run: _Run, operation: Operation, body: Delivery, *, alone: bool) -> JobLog:
    outcome = _console_outcome(run, operation, body.exit_code if alone else None)
    hashed, cached, uploaded = _printed(run.sizes)
    protected = hashed + cached if hashed is not None and cached is not None and _ended(outcome) else None
    return JobLog(
        product="kopia",
        operation=operation,
        action="" if operation != "inventory" else "command",
        outcome=outcome,
        run_id=run.archive,
        source_job=run.path,
        item=f"{run.user}@{run.host}:{run.path}" if run.path else "",
        host=run.host or body.host,
        archive=run.archive,
        roots=(run.path,) if run.path else (),
        started_at=body.started_at if alone else None,
        ended_at=body.ended_at if alone else None,
        duration_seconds=run.seconds,
        protected_bytes=protected,
        basis=None if protected is None else "logical-each",
        changed_bytes=hashed if _ended(outcome) else None,
        transferred_bytes=uploaded,
        rounded=bool(run.sizes),
        complete=reached_all(outcome),
        checksum_ok=_checksum(outcome) if operation == "verify" else None,
        files=_console_counts(run),
        errors=run.troubles.kept,
        errors_total=run.troubles.total,
        exit_code=body.exit_code if alone else None,
        lines=None if alone else (run.first, run.last),
    )


def _checksum(outcome: Outcome) -> bool | None:
    return True if outcome == "success" else False if outcome == "failure" else None


def _printed(sizes: tuple[str, ...]) -> tuple[int | None, int | None, int | None]:
    if not sizes:
        return None, None, None
    return printed_size(sizes[1]), printed_size(sizes[3]), printed_size(sizes[4])


def _console_counts(run: _Run) -> dict[str, int]:
    if run.checked is not None:
        return {"checked": run.checked}
    if not run.sizes:
        return {}
    read, unmodified = int(run.sizes[0]), int(run.sizes[2])
    return {"total": read + unmodified, "read": read, "unmodified": unmodified}


def _console_outcome(run: _Run, operation: Operation, code: int | None) -> Outcome:
    """The exit code and the errors printed, together with the line that says the work came to its end."""
    if run.troubles.errors or (code is not None and code != 0) or run.ended == "failure":
        return "failure"
    done = run.ended == "success" or (operation != "backup" and (code == 0 or run.checked is not None))
    if operation == "verify" and code is None:
        done = False
    if not done:
        return "unknown"
    return "warning" if run.troubles.warnings else "success"
