"""tar: GNU tar in four languages, bsdtar and busybox tar: little but complaints, a line of totals, and an exit code.

Silence and exit code 0 is a success without sizes, known by its command line. The line of totals stands also in failed
runs, before the error that matters: it proves an end only together with an exit code. Exit code 1 of GNU tar: files
changed or differ; 2: files are missing in the archive, or it is unusable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from integrations.logs.around_dumps import shell_error
from integrations.logs.bytes_to_text import Line, log_lines
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Outcome
from integrations.logs.tar_command import OPERATIONS, TarCall, tar_calls
from integrations.logs.tar_messages import DIFFERENCE, PREFIX, TOTAL, meaning_of, path_of, total_of, trouble_kind
from integrations.logs.troubles import Troubles

LABEL = "tar"
MARKS = ("tar ", "tar: ", "tar (child): ", "Total bytes ", "Gesamtzahl ge", "Nombre total d", " en total: ")
GUIDE = Guide(
    releases="GNU tar 1.28 to 1.35 in English, German, French and Spanish; bsdtar 3; busybox tar",
    written_from="real logs of GNU tar 1.34 in four languages, bsdtar 3.6 and busybox 1.35; GNU tar's translations",
    operations=("backup", "copy", "restore", "verify", "inventory", "prune"),
    basis="content plus headers and padding, as written before compression, of a full archive with --totals; "
    "hard links once",
    sizes=(
        ("protected_bytes", "Total bytes written (full archives only)"),
        ("stored_bytes", "Total bytes written"),
        ("restored_bytes", "Total bytes read"),
    ),
    cannot_tell=(
        "Any size without --totals.",
        "The size of the selection from an incremental archive (-g, --newer): only the changed part is in it.",
        "The outcome without an exit code: tar says nothing when all is well.",
        "The outcome of a tar whose pipe hides its exit code: use set -o pipefail.",
    ),
    notes=("stored_bytes is the archive before compression: tar does not know the size that gzip leaves.",),
    ways=(
        Way(
            "wrapper",
            "With the wrapper",
            "backledger-run --job etc -- tar --totals -czf /srv/backup/etc.tar.gz /etc",
        ),
    ),
)

_COMPRESSOR = re.compile(
    r"(?:gzip|bzip2|xz|zstd|lz4|lzop|pigz): |/\*stdin\*\\ : |.{1,4000}: (?:Truncated tar archive|Damaged tar archive)"
)


def recognises(head: Head) -> bool:
    """A call of tar, its lines of totals, or its complaints."""
    if tar_calls(head.command):
        return True
    return any(
        TOTAL.match(line) or (PREFIX.match(line) and _is_telling(line)) for line in head.text.split("\n")[:2000] if line
    )


def _is_telling(line: str) -> bool:
    words = line.split(": ", 1)[1]
    return meaning_of(words) != "error" or "annot " in words or " EOF " in words or "archive" in words.lower()


@dataclass
class _Draft:
    troubles: Troubles = field(default_factory=Troubles)
    written: int | None = None
    read: int | None = None
    differences: int = 0
    failed_paths: set[str] = field(default_factory=set)
    ended: bool = False
    first: int | None = None
    last: int = 0


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run, or one per line of totals where the command calls tar several times with ``--totals``."""
    calls = tar_calls(body.command)
    counted = tuple(call for call in calls if call.totals)
    several = len(counted) > 1
    drafts = [_Draft()]
    folder = next((call.folder for call in calls if call.mode == "compare"), "")
    for line in log_lines(body.stdout, body.stderr):
        if several and drafts[-1].ended and _begins(line):
            drafts.append(_Draft())
        _read_line(drafts[-1], line, sure=body.exit_code == 0 and not any(c.masked for c in calls), folder=folder)
    if several and len(drafts) == len(counted):
        return tuple(
            _job_log(draft, counted[at], body, last=at == len(drafts) - 1, alone=False)
            for at, draft in enumerate(drafts)
        )
    draft = drafts[0] if len(drafts) == 1 else _merged(drafts)
    return (_job_log(draft, _call_told_of(draft, calls), body, last=True, alone=True),)


def _begins(line: Line) -> bool:
    """True for a line that belongs to the next call: not one of those that tar writes after its totals."""
    if not line.text.startswith("tar") and total_of(line.text) is None:
        return False
    words = PREFIX.sub("", line.text, count=1)
    return meaning_of(words) != "end" and not any(sign in words for sign in ("annot write", "annot close", "Child "))


def _merged(drafts: list[_Draft]) -> _Draft:
    whole = _Draft(written=drafts[-1].written, read=drafts[-1].read)
    for draft in drafts:
        for error in draft.troubles.kept:
            whole.troubles.add(error.message, path=error.path, severity=error.severity, kind=error.kind)
        whole.differences += draft.differences
        whole.failed_paths |= draft.failed_paths
    return whole


def _call_told_of(draft: _Draft, calls: tuple[TarCall, ...]) -> TarCall | None:
    """The call that the log tells of: the one that compared or wrote, else a backup that counted, else the last."""
    wanted = "compare" if draft.differences else "create" if draft.written is not None else ""
    for call in calls:
        if call.mode == wanted or (not wanted and call.mode == "create" and not call.masked):
            return call
    return calls[-1] if calls else None


def _read_line(draft: _Draft, line: Line, *, sure: bool, folder: str) -> None:
    text = line.text
    total = total_of(text)
    prefix = PREFIX.match(text)
    if total is not None:
        draft.ended = True
        if total[0]:
            draft.read = total[1]
        else:
            draft.written = total[1]
    elif prefix is not None:
        _read_message(draft, text[prefix.end() :], sure=sure, folder=folder)
    elif line.stream == "stdout" and (match := DIFFERENCE.match(text)):
        draft.differences += 1
        draft.troubles.add(text, path=_under(folder, match.group(1)))
    elif _COMPRESSOR.match(text) or shell_error(text):
        draft.troubles.add(text)
    else:
        return
    draft.first, draft.last = draft.first or line.number, line.number


def _read_message(draft: _Draft, words: str, *, sure: bool, folder: str) -> None:
    meaning = meaning_of(words)
    if meaning == "notice":
        return
    path = path_of(words) if meaning != "end" else None
    if path and meaning != "end":
        draft.failed_paths.add(path) if len(draft.failed_paths) < 100_000 else None
    is_warning = (meaning == "warning" and not folder) or (sure and meaning == "error")
    draft.troubles.add(
        f"tar: {words}",
        path=_under(folder, path) if path else None,
        severity="warning" if is_warning else "error",
        kind=trouble_kind(words),
    )


def _under(folder: str, path: str) -> str:
    return path if not folder or path.startswith("/") else f"{folder.rstrip('/')}/{path}"


def _outcome(draft: _Draft, call: TarCall | None, code: int | None) -> Outcome:
    """Never success but with an exit code of 0 that is tar's own, or that came after its totals without a complaint."""
    mode = call.mode if call else ""
    if code is not None and (code > 1 or code < 0):
        return "failure"
    if code == 1:
        harmless = draft.differences > 0 or (
            draft.troubles.errors == 0 and (draft.troubles.warnings or mode == "create")
        )
        return "warning" if harmless else "failure"
    if draft.troubles.errors:
        return "warning" if mode == "compare" and draft.differences else "failure"
    proven = code == 0 and (draft.ended or (call is not None and not call.masked))
    if not proven:
        return "unknown"
    return "warning" if draft.troubles.warnings else "success"


def _job_log(draft: _Draft, call: TarCall | None, body: Delivery, *, last: bool, alone: bool) -> JobLog:
    code = body.exit_code if last or body.exit_code == 0 else None
    outcome = _outcome(draft, call, code)
    if not last and outcome == "unknown" and draft.ended and body.exit_code is not None:
        outcome = "warning" if draft.troubles.warnings else "success"
    operation, action = OPERATIONS[call.mode if call else _mode_by_words(draft)]
    roots = call.roots if call and call.mode in ("create", "update", "append") else ()
    complete = outcome in ("success", "warning") and not draft.failed_paths.intersection(roots)
    measured = draft.written if complete and operation == "backup" and call and not call.partial and roots else None
    sources = {
        "protected_bytes": "Total bytes written" if measured is not None else "",
        "stored_bytes": "Total bytes written" if draft.written is not None else "",
        "restored_bytes": "Total bytes read" if draft.read is not None and operation == "restore" else "",
    }
    known = outcome != "unknown"
    return JobLog(
        product="tar",
        operation=operation,
        outcome=outcome,
        action=action,
        archive=call.archive if call else "",
        roots=roots,
        protected_bytes=measured,
        stored_bytes=draft.written,
        restored_bytes=draft.read if operation == "restore" else None,
        sources={name: word for name, word in sources.items() if word},
        basis="derived" if measured is not None else None,
        complete=complete if known else None,
        checksum_ok=(outcome == "success") if operation == "verify" and known else None,
        errors=draft.troubles.kept,
        errors_total=draft.troubles.total,
        exit_code=code if last else None,
        lines=None if alone or draft.first is None else (draft.first, draft.last),
    )


def _mode_by_words(draft: _Draft) -> str:
    if draft.differences:
        return "compare"
    return "extract" if draft.read is not None and draft.written is None else "create"
