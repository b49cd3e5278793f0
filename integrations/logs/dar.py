"""dar 2.5 to 2.8 (Disk ARchive): its table of inodes, its complaints, and what each exit code means.

dar counts inodes and prints no bytes of the selection. Exit code 5: some files could not be saved (a warning) or are
damaged in the archive (a failure); 11: files changed while they were read; 2 to 4 and 6 to 10: nothing usable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from integrations.logs.bytes_to_text import log_lines
from integrations.logs.command_line import Invocation, invocations
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Operation, Outcome
from integrations.logs.tar_messages import trouble_kind
from integrations.logs.troubles import Troubles

LABEL = "dar"
MARKS = ("dar ", "inode(s) ", "entrée(s) ", "item(s) ", "FATAL error, aborting operation", "Final memory cleanup")
GUIDE = Guide(
    releases="2.7 in English and French; 2.5, 2.6 and 2.8 by the manual",
    written_from="real logs of 2.7.8, its French translation, and the vendor's manual",
    operations=("backup", "restore", "verify", "inventory", "copy"),
    cannot_tell=(
        "Any size: dar counts inodes and prints no bytes.",
        "The outcome of a log without its table and without an exit code.",
    ),
    ways=(
        Way(
            "wrapper",
            "With the wrapper",
            "backledger-run --job data -- dar -c /srv/backup/data-$(date +%F) -R /srv/data -z -Q",
        ),
    ),
)

_ROW = re.compile(r" ([0-9]{1,18}) (inode\(s\)|item\(s\)|byte\(s\)|entrée\(s\)|fichier\(s\)) (\S.{0,200})$")
_UNSAVED = re.compile(r" ([0-9]{1,18}) sauvegarde\(s\) d'inode\(s\) échouée")
_LINKS = re.compile(r"  (?:including|avec) ([0-9]{1,18}) (?:hard link|lien)")
_TOTAL = re.compile(
    r" (?:Total number of (inode\(s\)|items|item\(s\)) considered"
    r"|Nombre total d'(?:inode|entrée)\(s\) considérée\(s\) ): ([0-9]{1,18})$"
)
_ROWS = (  # English, and the only translation of it that is complete: French
    ("saved", "saved"),
    ("restored", "restored"),
    ("not saved (no inode/file change)", "unmodified"),
    ("failed to be saved", "failed"),
    ("failed to restore", "failed"),
    ("recorded as deleted", "deleted"),
    ("with error", "item errors"),
    ("do not match", "item errors"),
    ("changed at the moment of the backup", "moved"),
    ("sauvées", "saved"),
    ("restauré(s)", "restored"),
    ("non sauvées", "unmodified"),
    ("n'ayant pu être restaurée", "failed"),
    ("enregistré(s) comme supprimé", "deleted"),
    ("avec erreur", "item errors"),
    ("ne correspond(ent) pas", "item errors"),
    ("modifiée(s) au moment", "moved"),
)
_SAVING = re.compile(
    r"(?:Error while (?:saving|adding|reading|restoring)|Error reading inode of file"
    r"|Erreur lors de la (?:sauvegarde|restauration|lecture de l'inode) de) (/.{1,2000}?) ?: \S"
)
_FATAL = (
    "FATAL error", "Erreur FATALE", "Aborting program", "Abandon. ", "Arrêt du programme", "Internal error",
    "Operation aborted", "Program has been aborted", "Le programme a été arrêté", "Parse error", "Erreur de syntaxe",
)  # fmt: skip
_CORRUPT = ("Some files are corrupted", "Certains fichiers sont corrompus")
_DIFFERENT = ("Some file comparisons failed", "Des comparaisons de fichier ont échoué")
_UNRESTORED = ("All files asked could not be restored", "Tous les fichiers demandés n'ont pu")
_SKIPPED = re.compile(r"(/.{1,2000}) (?:not restored \(user choice\)|non restauré \(choix de l'utilisateur\))$")
_CAUSE_PATH = re.compile(r"(?:Error opening directory: |Cannot read filesystem information at )(/.{1,2000}?) ?: \S")
_ERR = re.compile(r"ERR (<?\S.{0,2000}?) ?: \S")
_DIFF = re.compile(r"DIFF (\S.{0,2000}?): \S")
_ACTIONS: dict[str, tuple[Operation, str]] = {
    "c": ("backup", ""), "x": ("restore", ""), "t": ("verify", ""), "d": ("verify", ""),
    "l": ("inventory", "list"), "C": ("inventory", "isolate"), "+": ("copy", ""), "y": ("copy", ""),
    "create": ("backup", ""), "extract": ("restore", ""), "test": ("verify", ""), "diff": ("verify", ""),
    "list": ("inventory", "list"), "isolate": ("inventory", "isolate"), "merge": ("copy", ""),
    "repair": ("copy", ""),
}  # fmt: skip


def recognises(head: Head) -> bool:
    """A call of dar, its table, or its last words."""
    if "dar" in head.command and head.calls("dar"):
        return True
    text = f"{head.text}\n{head.tail}"
    return (
        " inode(s) saved\n" in text
        or " item(s) treated\n" in text
        or " inode(s) restored\n" in text
        or " inode(s) sauvées\n" in text
        or " inode(s) restauré(s)\n" in text
        or " entrée(s) traitée(s)\n" in text
        or "\nFATAL error, aborting operation: " in f"\n{text}"
    )


@dataclass
class _Draft:
    troubles: Troubles = field(default_factory=Troubles)
    counts: dict[str, int] = field(default_factory=dict)
    saw: str = ""
    total: int | None = None
    fatal: bool = False
    damaged: bool = False
    differs: bool = False
    left_out: bool = False


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run per call of dar."""
    draft = _Draft()
    for line in log_lines(body.stdout, body.stderr):
        if line.text:
            _read_line(draft, line.text)
    calls = invocations(body.command, ("dar",))
    return (_job_log(draft, calls[0] if calls else None, body),)


def _read_line(draft: _Draft, line: str) -> None:
    if line.startswith(" "):
        _read_row(draft, line)
    elif (match := _SAVING.match(line) or _ERR.match(line) or _DIFF.match(line)) is not None:
        message = line[4:] if line.startswith("ERR ") else line
        saving = line.startswith(("Error while saving", "Erreur lors de la sauvegarde"))
        severity: Literal["error", "warning"] = "warning" if saving else "error"
        draft.troubles.add(message, path=match.group(1), severity=severity, kind=trouble_kind(line))
        draft.damaged = draft.damaged or line.startswith("ERR ")
        draft.differs = draft.differs or line.startswith("DIFF ")
    elif line.startswith(_FATAL):
        draft.fatal = True
        cause = _CAUSE_PATH.search(line)
        draft.troubles.add(line, path=cause.group(1) if cause else None)
    elif line.startswith((*_CORRUPT, *_DIFFERENT, *_UNRESTORED)):
        draft.damaged = draft.damaged or line.startswith(_CORRUPT)
        draft.differs = draft.differs or line.startswith(_DIFFERENT)
        draft.troubles.add(line)
    elif (skipped := _SKIPPED.match(line)) is not None:
        draft.left_out = True
        draft.troubles.add(line, path=skipped.group(1), severity="warning")
    elif line.startswith(("WARNING!", "Warning, ", "WARNING, ")) and " changed " in line:
        draft.troubles.add(line, severity="warning")
    elif (
        " is not a valid " in line
        or line.startswith("dar: ")
        or ": No such file" in line
        or "Permission denied" in line
    ):
        draft.troubles.add(line)


def _read_row(draft: _Draft, line: str) -> None:
    if (total := _TOTAL.match(line)) is not None:
        draft.total = int(total.group(2))
    elif (links := _LINKS.match(line.lstrip().rjust(len(line.lstrip()) + 2))) is not None:
        draft.counts["hardlinks"] = int(links.group(1))
    elif (unsaved := _UNSAVED.match(line)) is not None:
        draft.counts["failed"] = int(unsaved.group(1))
    elif (row := _ROW.match(line)) is not None:
        if row.group(2) in ("item(s)", "entrée(s)"):
            draft.saw = draft.saw or "test"
        for words, name in _ROWS:
            if row.group(3).startswith(words):
                draft.counts[name] = int(row.group(1))
                break


def _call_of(call: Invocation | None, draft: _Draft) -> tuple[tuple[Operation, str], str]:
    """Operation and archive: by the command line, else by the rows of the table."""
    words = call.arguments if call else ()
    for at, word in enumerate(words):
        name = word.lstrip("-").partition("=")[0]
        if word.startswith("--") and name in _ACTIONS and len(name) > 1:
            return _ACTIONS[name], word.partition("=")[2] or (words[at + 1] if at + 1 < len(words) else "")
        if word.startswith("-") and not word.startswith("--") and word[1:2] in _ACTIONS:
            return _ACTIONS[word[1]], word[2:] or (words[at + 1] if at + 1 < len(words) else "")
    kind = "t" if draft.saw else "x" if "restored" in draft.counts else "c"
    return _ACTIONS[kind], ""


def _root_of(call: Invocation | None) -> tuple[str, ...]:
    words = call.arguments if call else ()
    return tuple(words[at + 1] for at, word in enumerate(words[:-1]) if word in ("-R", "--fs-root"))[:1]


def _is_dry(call: Invocation | None) -> bool:
    return call is not None and any(word in ("-e", "--empty", "--dry-run") for word in call.arguments)


def _outcome(draft: _Draft, operation: Operation, code: int | None, *, masked: bool) -> Outcome:
    """A comparison that found differences read the whole archive: a warning, as long as nothing in it is damaged."""
    if draft.differs and not draft.damaged and not draft.fatal and code in (None, 5):
        return "warning"
    failed = draft.counts.get("failed", 0) or draft.counts.get("item errors", 0)
    if draft.fatal or draft.damaged or (operation in ("verify", "restore") and failed):
        return "failure"
    if code not in (None, 0, 5, 11):
        return "failure"
    if code == 5:
        return "warning" if operation == "backup" and draft.counts.get("saved") else "failure"
    if draft.total is None and (code is None or masked):
        return "unknown"
    return "warning" if code == 11 or failed or draft.counts.get("moved") or draft.troubles.total else "success"


def _job_log(draft: _Draft, call: Invocation | None, body: Delivery) -> JobLog:
    (operation, action), archive = _call_of(call, draft)
    outcome = _outcome(draft, operation, body.exit_code, masked=call.masked if call else True)
    if outcome in ("success", "warning") and _is_dry(call):
        outcome = "skipped"
    backup = operation == "backup"
    files: dict[str, int] = {
        name: draft.counts[name]
        for name in ("saved", "failed", "unmodified", "deleted", "hardlinks")
        if backup and name in draft.counts
    }
    if backup and draft.total is not None:
        files["total"] = draft.total
    known = outcome not in ("unknown", "skipped")
    return JobLog(
        product="dar",
        operation=operation,
        outcome=outcome,
        action=action,
        archive=archive,
        roots=_root_of(call) if backup else (),
        files=files,
        files_failed=draft.counts.get("failed", draft.counts.get("item errors")),
        complete=outcome in ("success", "warning") and not draft.left_out if known else None,
        checksum_ok=outcome == "success" if operation == "verify" and known and draft.total is not None else None,
        errors=draft.troubles.kept,
        errors_total=draft.troubles.total,
        exit_code=body.exit_code,
        notes=("dry run: nothing was written",) if outcome == "skipped" else (),
    )
