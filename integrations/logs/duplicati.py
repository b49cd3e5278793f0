"""Duplicati 2.0 to 2.1: the JSON report, the text report of mails and web forms, and reports of failed runs.

JSON times are UTC; text times are local in the order of the machine's culture, and since 2.0.4 with the Unix time
behind them: only what is certain is taken. The protected size is ``SizeOfExaminedFiles``, hard links each time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from integrations.logs.bytes_to_text import Line, log_lines
from integrations.logs.context import Context
from integrations.logs.figures import clock_seconds
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.json_documents import listed, text
from integrations.logs.moments import iso, to_utc, unix
from integrations.logs.troubles import Troubles

LABEL = "Duplicati"
MARKS = ("Duplicati", "SizeOfExaminedFiles", "DeletedFiles", "arsed", "ARSED", "peration", "PERATION")
GUIDE = Guide(
    releases="2.0 and 2.1",
    written_from="real reports, and Duplicati's sources",
    operations=("backup", "restore", "verify", "prune", "inventory"),
    basis="logical, hard links each time",
    sizes=(
        ("protected_bytes", "SizeOfExaminedFiles"),
        ("transferred_bytes", "BytesUploaded"),
        ("stored_bytes", "KnownFileSize, unless it is 0 or -1"),
    ),
    cannot_tell=(
        "An id of the run.",
        "Times of text reports without Unix times, where the order of day and month is not certain.",
        "The whole list of errors where a report holds only their number.",
    ),
    ways=(
        Way(
            "webhook",
            "Report by HTTP (Settings, Default options)",
            "--send-http-url=@URL@/api/v1/logs?key=@KEY@\n--send-http-result-output-format=Json",
            language="text",
        ),
        Way(
            "email",
            "Report by mail",
            "--send-mail-to=@ADDRESS@\n--send-mail-level=All\n"
            "--send-mail-subject=Duplicati %OPERATIONNAME% report for %backup-name%",
            language="text",
        ),
    ),
    notes=(
        "Read: the JSON report, the text report as mail, body or form field message, and reports of failed runs.",
        "Outcome: ParsedResult; Error and Fatal are failures, an interrupted run is cancelled, an exception "
        "always a failure.",
        "The job is the name of the backup, the host the machine's name (JSON only).",
    ),
)

_TITLE = re.compile(r"^(?:Duplicati )?(?:\w{1,20}, )?(?:Duplicati )?(\w{1,30}) report for (.{1,300})$")
_SIGNS = re.compile(
    r"^(?:Duplicati [\w, ]{0,40}report for \S|SizeOfExaminedFiles: -?[0-9]|DeletedFiles: [0-9]+$)", re.M
)
_RESULT = re.compile(r"^(?:ParsedResult: \w|MainOperation: \w|Failed: )", re.M)
_SUBJECT = re.compile(r"Duplicati\b.{0,60}\breport for\b", re.I)

_OPERATIONS: dict[str, tuple[Operation, str]] = {
    "backup": ("backup", ""),
    "restore": ("restore", ""),
    "test": ("verify", "check"),
    "verify": ("verify", "check"),
    "delete": ("prune", ""),
    "compact": ("prune", ""),
    "purge": ("prune", ""),
    "purgefiles": ("prune", ""),
    "purgebrokenfiles": ("prune", ""),
    "list": ("inventory", "list"),
    "listchanges": ("inventory", "list"),
    "listbrokenfiles": ("inventory", "list"),
}
_OUTCOMES: dict[str, Outcome] = {
    "success": "success", "warning": "warning", "error": "failure", "fatal": "failure", "failed": "failure",
}  # fmt: skip


def recognises(head: Head) -> bool:
    """The JSON report (``Data`` with Duplicati's own keys), or the text report in a body or mail."""
    if isinstance(head.document, dict):
        return _is_report(head.document)
    if head.has(_SIGNS) and head.has(_RESULT):
        return True
    return _SUBJECT.search(head.subject) is not None and head.has(_RESULT)


def _is_report(document: Mapping[str, Any]) -> bool:
    plain = _lowered(document)
    data, extra = _lowered(plain.get("data")), _lowered(plain.get("extra"))
    if "sizeofexaminedfiles" in data or ("parsedresult" in data and "mainoperation" in data):
        return True
    return "operationname" in extra and ("backupname" in extra or "backupid" in extra or "machinename" in extra)


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """The one run that a report tells of."""
    document = context.head.document
    if isinstance(document, dict):
        if not _is_report(document):
            raise UnreadableLog("this JSON is no Duplicati report: it has neither Data nor Extra of one")
        return (_job_log(_values_of_json(document), context, body),)
    if body.stdout.lstrip()[:1] == b"{":
        raise UnreadableLog("Duplicati's JSON is cut off or broken", 1)
    return (_job_log(_values_of_text(body, context), context, body),)


class _Values:
    """What a report holds, whatever its form: names in lower case without ``-`` and ``_``, values as they stand."""

    def __init__(self) -> None:
        self.plain: dict[str, Any] = {}
        self.backend: dict[str, Any] = {}
        self.extra: dict[str, Any] = {}
        self.warnings: list[str] = []
        self.errors: list[str] = []
        self.failed = ""
        self.job = ""
        self.operation = ""

    def first(self, *names: str) -> Any:
        """The first of these values that the report holds, in the result itself or beside it."""
        for source in (self.plain, self.extra):
            for name in names:
                if source.get(name) not in (None, ""):
                    return source[name]
        return None

    def whole(self, name: str, source: Mapping[str, Any] | None = None) -> int | None:
        return _as_whole((self.plain if source is None else source).get(name))

    def yes(self, name: str) -> bool:
        return str(self.plain.get(name)).lower() == "true"


def _as_whole(value: Any) -> int | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,25}", value.strip()) else None


def _lowered(record: Any) -> dict[str, Any]:
    if not isinstance(record, dict):
        return {}
    return {re.sub(r"[-_ ]", "", str(key)).lower()[:60]: value for key, value in record.items()}


# ---------------------------------------------------------------------------------------------------------------- JSON


def _values_of_json(document: Mapping[str, Any]) -> _Values:
    outer = _lowered(document)
    values = _Values()
    values.plain = _lowered(outer.get("data"))
    values.extra = _lowered(outer.get("extra"))
    values.backend = _lowered(values.plain.get("backendstatistics"))
    values.job = text(values.extra, "backupname")
    values.operation = str(values.first("mainoperation", "operationname", "operation") or "")
    values.failed = _exception_in(outer, values.plain)
    _sort_messages(values, values.plain)
    _sort_log_lines(values, listed(outer, "loglines"))
    return values


def _exception_in(outer: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """The words of the exception that ended the run, where the report holds one."""
    for record in (outer, data):
        found = record.get("exception")
        if isinstance(found, str) and found.strip():
            return found.strip().split("\n")[0]
        if isinstance(found, dict):
            return text(_lowered(found), "message")
    if "classname" in data or ("stacktracestring" in data and "message" in data):
        return text(data, "message") or text(data, "classname")
    return ""


def _sort_messages(values: _Values, data: Mapping[str, Any]) -> None:
    values.warnings += [entry for entry in listed(dict(data), "warnings") if isinstance(entry, str)]
    values.errors += [entry for entry in listed(dict(data), "errors") if isinstance(entry, str)]


def _sort_log_lines(values: _Values, lines: list[Any]) -> None:
    known = {_without_stamp(entry)[1] for entry in (*values.warnings, *values.errors)}
    for entry in lines:
        if not isinstance(entry, str):
            continue
        tag, message = _without_stamp(entry)
        if message not in known and tag.startswith("Warning"):
            values.warnings.append(entry)
        elif message not in known and tag.startswith("Error"):
            values.errors.append(entry)


# ---------------------------------------------------------------------------------------------------------------- text

_PAIR = re.compile(r"([A-Za-z][A-Za-z0-9 _-]{0,60}): ?(.*)$")
_LIST_OPEN = re.compile(r"(Messages|Warnings|Errors|LimitedMessages|LimitedWarnings|LimitedErrors): \[$")
_STAMP = re.compile(
    r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8} [+-][0-9:]{2,6} - )?\[((?:Warning|Error|Information|Verbose|Retry"
    r"|Profiling|DryRun)"
    r"[^\]]{0,200})\]: (.*)$",
    re.S,
)


def _values_of_text(body: Delivery, context: Context) -> _Values:
    values = _Values()
    if match := _TITLE.match(context.head.subject.strip()):
        values.operation, values.job = match.group(1), match.group(2)
    section, log_data, opened = "", False, ""
    for line in log_lines(body.stdout, body.stderr):
        stripped = line.text.strip()
        if not stripped:
            continue
        if opened:
            opened = _read_listed(values, opened, stripped)
        elif match := _LIST_OPEN.match(stripped):
            opened = match.group(1)
        elif stripped == "Log data:":
            log_data = True
        elif log_data and _STAMP.match(stripped):
            _sort_log_lines(values, [stripped])
        else:
            section = _read_pair(values, line, section)
    if not values.plain and not values.failed:
        raise UnreadableLog("this report holds no values: neither ParsedResult nor Failed")
    return values


def _read_listed(values: _Values, opened: str, line: str) -> str:
    """One line inside of ``Warnings: [`` .. ``]``; answers the list that is still open."""
    if line == "]":
        return ""
    target = {"warnings": values.warnings, "errors": values.errors}.get(opened.lower().removeprefix("limited"))
    if target is not None and len(target) < 100_000:
        _append_entry(target, line)
    return opened


def _append_entry(target: list[str], line: str) -> None:
    """Entries begin with a stamp; lines without one go on with the entry before."""
    if _STAMP.match(line) or not target or not _STAMP.match(target[-1]):
        if line not in target[-50:]:
            target.append(line.rstrip(","))
    elif len(target[-1]) < 4000:
        target[-1] += " " + line


def _read_pair(values: _Values, line: Line, section: str) -> str:
    stripped = line.text.strip()
    if match := _TITLE.match(stripped):
        values.operation, values.job = values.operation or match.group(1), match.group(2).strip()
        return ""
    pair = _PAIR.match(stripped)
    if pair is None:
        return section
    name, value = re.sub(r"[-_ ]", "", pair.group(1)).lower(), pair.group(2).strip()
    indented = line.text[:1] in (" ", "\t")
    if name in ("failed", "details") and not indented:
        values.failed = values.failed or (value if name == "failed" else "")
        return ""
    if not value or value == "[]":
        return section if indented else name
    target = values.backend if indented and section == "backendstatistics" else None if indented else values.plain
    if target is not None:
        target.setdefault(name, value)
    return section if indented else ""


# ------------------------------------------------------------------------------------------------------------- results


_FILE_COUNTS = {
    "total": "examinedfiles", "new": "addedfiles", "changed": "modifiedfiles", "deleted": "deletedfiles",
}  # fmt: skip
_FOLDER_COUNTS = {"new": "addedfolders", "changed": "modifiedfolders", "deleted": "deletedfolders"}


def _job_log(values: _Values, context: Context, body: Delivery) -> JobLog:
    operation, action = _OPERATIONS.get(_operation_name(values).lower(), ("inventory", ""))
    outcome = _outcome(values)
    troubles = _troubles(values)
    dry = values.yes("dryrun")
    started, ended = _moment(values, "begintime", context.zone), _moment(values, "endtime", context.zone)
    sizes = {} if (outcome in ("failure", "cancelled") and values.failed) or dry else _sizes(values, operation)
    return JobLog(
        product="duplicati",
        operation=operation,
        outcome="skipped" if dry and outcome in ("success", "warning") else outcome,
        action=action,
        source_job=values.job or str(values.first("backupname") or ""),
        host=str(values.first("machinename") or ""),
        product_version=str(values.plain.get("version") or "").split(" ")[0],
        started_at=started,
        ended_at=ended,
        duration_seconds=clock_seconds(str(values.plain.get("duration") or "")),
        basis="logical-each" if sizes.get("protected_bytes") is not None else None,
        complete=_complete(values, outcome, troubles) if operation == "backup" else None,
        files=_counts(values, _FILE_COUNTS),
        dirs=_counts(values, _FOLDER_COUNTS),
        files_failed=values.whole("fileswitherror"),
        errors=troubles.kept,
        errors_total=max(troubles.total, _told_total(values)),
        exit_code=body.exit_code,
        notes=_notes(values, started, ended, dry),
        **sizes,
    )  # fmt: skip


def _operation_name(values: _Values) -> str:
    return values.operation or str(values.first("mainoperation", "operationname") or "") or "Backup"


def _outcome(values: _Values) -> Outcome:
    if values.failed:
        return "failure"
    if values.yes("interrupted"):
        return "cancelled"
    told = str(values.first("parsedresult") or "").lower()
    if told not in _OUTCOMES:
        return "failure" if values.errors else "unknown"
    outcome = _OUTCOMES[told]
    soft = values.warnings or values.whole("fileswitherror") or values.yes("partialbackup")
    return "warning" if outcome == "success" and soft else outcome


_ROOTED = r"(?:[A-Za-z]:\\|\\\\|/)"
_PATHS = (
    re.compile(
        rf'(?:accessing file|process(?:ing)? path|file|folder|path):? ?"?({_ROOTED}[^"]{{1,2000}}?)"?'
        r"(?: => |, |: | does not|$)",
        re.I,
    ),
    re.compile(rf'"({_ROOTED}[^"]{{1,2000}})"'),
)


def _troubles(values: _Values) -> Troubles:
    troubles = Troubles()
    if values.failed:
        troubles.add(values.failed, kind="other")
    for entry in values.errors:
        _add(troubles, entry, severity="error")
    for entry in values.warnings:
        _add(troubles, entry, severity="warning")
    return troubles


def _add(troubles: Troubles, entry: str, *, severity: Any) -> None:
    tag, message = _without_stamp(entry)
    path = next((match.group(1) for pattern in _PATHS if (match := pattern.search(message[:4000]))), None)
    code = tag.split("-", 1)[-1].rsplit("-", 1)[-1] if "-" in tag else None
    troubles.add(message.strip(), path=path, severity=severity, code=code)


def _without_stamp(entry: str) -> tuple[str, str]:
    match = _STAMP.match(entry[:20_000])
    return (match.group(1), match.group(2)) if match else ("", entry)


def _told_total(values: _Values) -> int:
    told = [values.whole("warningsactuallength"), values.whole("errorsactuallength")]
    return sum(number for number in told if number is not None and 0 <= number < 10**9)


def _sizes(values: _Values, operation: Operation) -> dict[str, Any]:
    """Sizes of the result; ``BackendStatistics`` has what went to and lies at the destination."""
    if operation == "restore":
        return {"restored_bytes": values.whole("sizeofrestoredfiles")}
    if operation != "backup":
        return {"freed_bytes": values.whole("deletedfilesize"), "stored_bytes": _stored(values)}
    added, modified = values.whole("sizeofaddedfiles"), values.whole("sizeofmodifiedfiles")
    return {
        "protected_bytes": values.whole("sizeofexaminedfiles"),
        "changed_bytes": None if added is None or modified is None else added + modified,
        "transferred_bytes": values.whole("bytesuploaded", values.backend),
        "stored_bytes": _stored(values),
    }


def _stored(values: _Values) -> int | None:
    """What lies at the destination. 0 and -1 stand for: not looked at."""
    stored = values.whole("knownfilesize", values.backend)
    return stored if stored and stored > 0 else None


def _counts(values: _Values, names: Mapping[str, str]) -> dict[str, int]:
    found = {key: values.whole(name) for key, name in names.items()}
    return {key: value for key, value in found.items() if value is not None}


_ROOT_MISSING = re.compile(
    r"source (?:folder|path|file|location).{0,2000}(?:does not exist|missing|not found)|missing source", re.I
)


def _complete(values: _Values, outcome: Outcome, troubles: Troubles) -> bool | None:
    if values.failed or outcome == "cancelled" or values.yes("partialbackup"):
        return False
    if any(_ROOT_MISSING.search(error.message) for error in troubles.kept):
        return False
    return True if outcome in ("success", "warning") else None


_EPOCH = re.compile(r"\(([0-9]{9,11})\)$")
_LOCAL = re.compile(
    r"([0-9]{1,4})([./-])([0-9]{1,2})\2([0-9]{1,4}),? ([0-9]{1,2})[:.]([0-9]{2})[:.]([0-9]{2})(?:["
    r" \u202f]?([AaPp])\.?[Mm]\.?)?$"
)


def _moment(values: _Values, name: str, zone: tzinfo | None) -> datetime | None:
    printed = str(values.plain.get(name) or "").strip()
    if match := _EPOCH.search(printed):
        return unix(float(match.group(1)))
    return iso(printed, zone) or _local(printed, _order_of(values), zone)


def _order_of(values: _Values) -> str | None:
    """``day`` or ``month`` first, where one of the two times of a report settles it."""
    for name in ("begintime", "endtime"):
        match = _LOCAL.match(str(values.plain.get(name) or "").strip())
        if match and match.group(2) == ".":
            return "day"
        if match and len(match.group(1)) <= 2:
            first, second = int(match.group(1)), int(match.group(3))
            if (first > 12) != (second > 12):
                return "day" if first > 12 else "month"
            if first == second:
                return "day"
    return None


def _local(printed: str, order: str | None, zone: tzinfo | None) -> datetime | None:
    match = _LOCAL.match(printed)
    if match is None or zone is None:
        return None
    first, _, second, third, hour, minute, seconds, half = match.groups()
    if len(first) == 4:
        year, month, day = first, second, third
    elif order is None or len(third) != 4:
        return None
    else:
        year, month, day = (third, second, first) if order == "day" else (third, first, second)
    hours = int(hour) % 12 + (12 if half.lower() == "p" else 0) if half else int(hour)
    try:
        moment = datetime(int(year), int(month), int(day), hours, int(minute), int(seconds), tzinfo=zone)
        return to_utc(moment, zone)
    except ValueError:
        return None


def _notes(values: _Values, started: datetime | None, ended: datetime | None, dry: bool) -> tuple[str, ...]:
    printed = values.plain.get("begintime") or values.plain.get("endtime")
    notes = ["dry run: nothing was saved"] if dry else []
    if printed and not (started or ended):
        notes.append(f"times in this report are local and cannot be placed: {printed}")
    return tuple(notes)
