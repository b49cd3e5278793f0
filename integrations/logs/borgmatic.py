"""borgmatic: text at any verbosity, syslog and log-file lines, and ``--json``; 1.x and 2.x.

It runs Borg for each repository of each configuration: each repository is a run, and so is its check. What Borg says
inside is read by Borg's own format; borgmatic's words decide how a repository ended. Borg's warnings do not show in
borgmatic's exit code; at verbosity 0 a good run says nothing, and only the exit code tells of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import orjson

from integrations.logs import borg
from integrations.logs.bytes_to_text import Line, log_lines
from integrations.logs.command_line import Invocation, invocations
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head, first_document
from integrations.logs.joblog import MAX_ERRORS, Delivery, JobLog, Operation, Outcome, UnreadableLog
from integrations.logs.json_documents import nested, text
from integrations.logs.troubles import Troubles

LABEL = "borgmatic"
MARKS = (
    "borgmatic", "configuration file", "actions for repository", "Creating archive", "Pruning archives",
    "Compacting segments", "consistency checks", '"repository"',
)  # fmt: skip
GUIDE = Guide(
    releases="1.5 to 2.1",
    written_from="real logs of runs of 1.7 and 2.1, and borgmatic's sources for other releases",
    operations=("backup", "restore", "verify", "prune", "inventory"),
    basis="logical, hard links once, as Borg counts; only with --stats or --json",
    sizes=(
        ("protected_bytes", 'original_size, "This archive"'),
        ("transferred_bytes", "the deduplicated size of the archive"),
        ("stored_bytes", "the whole repository: unique_csize"),
    ),
    cannot_tell=(
        "Times in UTC where no time zone came with the log: Borg 1 prints local ones.",
        "Which repositories a silent run reached: use --verbosity 1 --stats.",
        "Files that could not be read, at verbosity 0: borgmatic exits 0 after Borg's warnings.",
    ),
    ways=(
        Way("wrapper", "With the wrapper", "backledger-run --job files -- borgmatic --verbosity 1 --stats"),
        Way("wrapper", "With exact figures", "backledger-run --job files -- borgmatic create --json"),
        Way(
            "http",
            "Without it",
            "borgmatic --verbosity 1 --stats >out.log 2>&1; code=$?\n"
            'curl -sS -H "Authorization: Bearer @KEY@" --data-binary @out.log '
            '"@URL@/api/v1/logs?format=borgmatic&timezone=Europe/Berlin&exit_code=$code"',
        ),
    ),
    notes=("Each repository is assigned by itself: its item is the repository, its job the configuration file.",),
)

_NAMES = ("borgmatic",)
_ACTIONS: dict[str, tuple[Operation, str]] = {
    "create": ("backup", ""),
    **dict.fromkeys(("check",), ("verify", "check")),
    **dict.fromkeys(("prune", "compact", "delete", "repo-delete"), ("prune", "")),
    **dict.fromkeys(("extract", "restore", "export-tar", "mount"), ("restore", "")),
    **dict.fromkeys(("list", "rlist", "repo-list", "info", "rinfo", "repo-info"), ("inventory", "list")),
    **dict.fromkeys(("init", "rcreate", "repo-create"), ("inventory", "init")),
}
_SAID: tuple[tuple[str, str], ...] = (
    ("Creating archive", "create"),
    ("Pruning archives", "prune"),
    ("Compacting segments", "compact"),
    ("Deleting", "delete"),
    ("Running consistency checks", "check"),
    ("Running archive checks", "check"),
    ("Listing ", "list"),
    ("Displaying ", "info"),
    ("Extracting archive", "extract"),
    ("Restoring ", "restore"),
    ("Exporting archive", "export-tar"),
    ("Initializing repository", "init"),
    ("Creating repository", "init"),
    ("Running actions for repository", ""),
)
_ORDER = ("create", "extract", "restore", "export-tar", "check", "prune", "compact", "delete", "init", "list", "info")
_SECTION = re.compile(
    r"(\S.{0,400}?): ((?:Creating archive|Pruning archives|Compacting segments|Running consistency checks"
    r"|Running archive checks|Listing (?:archives|repository|archive contents)"
    r"|Displaying (?:archive |repository )?summary info"
    r"|Extracting archive|Restoring |Exporting archive|Initializing repository|Creating repository|Deleting "
    r"|Running actions for repository).{0,400})$"
)
_REPO_ERROR = re.compile(r"(\S.{0,400}?): Error running actions for repository$")
_CONFIG = re.compile(
    r"(\S.{0,400}?): (Successfully ran|Error running|Error parsing|Parsing|Loading|No valid|Running command"
    r"|Running [0-9]+ command|Error (?:running|getting|loading|pre|post|checking|reading))\b"
)
_BAD_CONFIG = ("Error", "No valid")
_SIGNS = re.compile(
    r": (?:Successfully ran|Error running|Error parsing) configuration file\b|: Error running actions for repository$"
    r"|No valid configuration files found$|https://torsion\.org/borgmatic/#issues"
    r"|^(?:.{0,100}borgmatic(?:\[[0-9]+\])?: )?(?:borgmatic: )?(?:(?:INFO|ANSWER|\[.{19,23}\] INFO:) )?"
    r"\S{1,400}: (?:Creating archive|Pruning archives|Compacting segments|Running consistency checks)$",
    re.M,
)
_PREFIX = re.compile(
    r"(?:(?:[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}|[0-9]{4}-[0-9]{2}-[0-9]{2}T\S{8,30}) \S{1,255} )?"
    r"(?:\S{0,100}borgmatic(?:\[[0-9]{1,10}\])?: )?(?:borgmatic: )?"
    r"(?:(?:\[[0-9-]{10} [0-9:,.]{8,15}\] )?(?:INFO|WARNING|ERROR|CRITICAL|ANSWER|DEBUG|MANY):? )?"
)
_PREFIXED = ("borgmatic", "INFO", "WARNING", "ERROR", "CRITICAL", "ANSWER", "DEBUG")


def recognises(head: Head) -> bool:
    """A borgmatic command line, its own words, or the JSON list that it makes of Borg's documents."""
    return head.calls(*_NAMES) or _is_list(head.document) or head.has(_SIGNS)


def _is_list(document: Any) -> bool:
    first = document[0] if isinstance(document, list) and document else None
    return (
        isinstance(first, dict) and "repository" in first and bool({"archive", "archives", "encryption"} & set(first))
    )


@dataclass
class _Section:
    """What was said of one repository, up to the next: the lines for Borg's format by borgmatic's action."""

    name: str
    config: str = ""
    actions: dict[str, list[str]] = field(default_factory=dict)
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)
    current: str = ""
    troubles: Troubles = field(default_factory=Troubles)
    said: set[str] = field(default_factory=set)
    failed: bool = False
    failed_in: str = ""
    dry: bool = False

    def add(self, line: Line, words: str) -> None:
        self.actions.setdefault(self.current, []).append(words)
        if line.stream == "stdout":
            first, _ = self.spans.get(self.current, (line.number, 0))
            self.spans[self.current] = (first, line.number)

    def blame(self, message: str) -> None:
        if message not in self.said and len(self.said) < 5000:
            self.said.add(message)
            self.troubles.add(message, kind="other")


@dataclass
class _Log:
    """What was read so far. ``configs`` are ``True`` for good ones, ``False`` for failed ones, None for named ones."""

    sections: list[_Section] = field(default_factory=list)
    configs: dict[str, bool | None] = field(default_factory=dict)
    config_errors: dict[str, _Section] = field(default_factory=dict)
    blamed: _Section | None = None
    in_summary: bool = False
    in_logging_error: bool = False  # Python's own report that no syslog listens: it repeats the message, to no use
    summed_up: bool = False

    def section(self, name: str) -> _Section:
        found = next((part for part in reversed(self.sections[-200:]) if part.name == name), None)
        if found is None or (found is not self.sections[-1] and not self.in_summary and not found.failed):
            found = _Section(name)
            self.sections.append(found)
        return found

    def of_config(self, name: str) -> _Section:
        return self.config_errors.setdefault(name, _Section(name, config=name, failed=True))


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One JobLog per repository (and one per check of it), or per configuration that reached none."""
    calls = invocations(body.command, _NAMES)
    document = first_document(body.stdout)
    documents = document if _is_list(document) else []
    log = _Log()
    for line in log_lines(b"" if documents else body.stdout, body.stderr):
        if line.text and not _is_logging_error(log, line.text):
            _read_line(log, line)
    told = _Told(body=body, context=context, calls=calls, log=log, code=_code(body, calls))
    runs = [*_from_documents(documents, told), *_from_sections(told), *_from_configs(told)]
    return _settled(runs or _from_silence(told), told)


def _code(body: Delivery, calls: tuple[Invocation, ...]) -> int | None:
    return None if body.exit_code == 0 and calls and calls[-1].masked else body.exit_code


# ------------------------------------------------------------------------------------------------------------- reading


def _is_logging_error(log: _Log, words: str) -> bool:
    if words == "--- Logging error ---":
        log.in_logging_error = True
    elif log.in_logging_error and words.startswith("Arguments: "):
        log.in_logging_error = False
        return True
    return log.in_logging_error


def _read_line(log: _Log, line: Line) -> None:
    words = _unprefixed(line.text)
    if words.startswith(("Need some help?", "Some help")) or not words:
        log.blamed = None
    elif words == "summary:":
        log.in_summary, log.blamed = True, None
    elif (match := _SECTION.match(words)) is not None and not log.in_summary:
        _begin(log, match, line)
    elif match := _REPO_ERROR.match(words):
        section = log.section(match.group(1))
        section.failed, section.failed_in = True, section.failed_in or section.current
        log.blamed = section
    elif (match := _CONFIG.match(words)) is not None:
        _read_config(log, match.group(1), match.group(2), words)
    elif log.blamed is not None and not words.startswith("b'{"):
        log.blamed.blame(words.strip())
    elif log.sections and not log.in_summary:
        log.sections[-1].add(line, words.removeprefix(log.sections[-1].name + ": "))


def _unprefixed(words: str) -> str:
    if any(mark in words[:200] for mark in _PREFIXED) and (match := _PREFIX.match(words)):
        return words[match.end() :]
    return words


def _begin(log: _Log, match: re.Match[str], line: Line) -> None:
    name, said = match.groups()
    log.blamed = None
    section = log.section(name)
    section.current = next((action for start, action in _SAID if said.startswith(start)), section.current)
    section.dry = section.dry or "dry run" in said
    section.add(line, "")


def _read_config(log: _Log, name: str, said: str, words: str) -> None:
    log.blamed = None
    if said.startswith(_BAD_CONFIG):
        log.configs[name] = False
        if said == "Error running":
            for section in log.sections:
                section.config = section.config or name
        log.blamed = log.of_config(name)
        if said == "No valid":
            log.blamed.blame(words)
    elif said == "Successfully ran":
        log.configs[name] = True
        log.summed_up = True
    else:
        log.configs.setdefault(name, None)


# ------------------------------------------------------------------------------------------------------------- results


@dataclass(frozen=True)
class _Told:
    """Everything that decides about a run: the delivery, its calls, and what the log said."""

    body: Delivery
    context: Context
    calls: tuple[Invocation, ...]
    log: _Log
    code: int | None

    @property
    def configs_asked(self) -> tuple[str, ...]:
        arguments = self.calls[-1].arguments if self.calls else ()
        pairs = pairwise(arguments)
        return tuple(value for option, value in pairs if option in ("-c", "--config"))

    @property
    def only_config(self) -> str:
        named = tuple(dict.fromkeys((*self.configs_asked, *self.log.configs)))
        return named[0] if len(named) == 1 else ""

    @property
    def asked(self) -> str:
        """The action that the command line asks for; a call without one makes a backup."""
        arguments = self.calls[-1].arguments if self.calls else ()
        words = [word.lstrip("-") for word in arguments]
        return next((action for action in _ORDER if action in words), next((w for w in words if w in _ACTIONS), ""))


def _from_documents(documents: list[Any], told: _Told) -> list[JobLog]:
    found = []
    for document in documents[:1000]:
        if isinstance(document, dict):
            run = _read_by_borg(orjson.dumps(document, default=str), "", told)
            if run is not None:
                found.append(replace(run, item=text(nested(document, "repository"), "location")[:300]))
    return found


def _read_by_borg(log: bytes, action: str, told: _Told) -> JobLog | None:
    """What Borg's format reads in the lines of one action; None where they hold nothing of it."""
    command = f"borg {action}" if action in ("create", "check", "prune", "extract", "list") else ""
    try:
        runs = borg.parse(Delivery(stdout=log, command=command), told.context)
    except UnreadableLog:
        return None
    found = next((run for run in runs if not action or run.operation == _ACTIONS[action][0]), None)
    if found is None or len(runs) == 1:
        return found
    errors = tuple(error for run in runs for error in run.errors)[:MAX_ERRORS]  # whichever call of Borg's they are from
    return replace(found, errors=errors, errors_total=sum(run.errors_total for run in runs))


def _from_sections(told: _Told) -> list[JobLog]:
    return [run for section in told.log.sections for run in _of_section(section, told)]


def _of_section(section: _Section, told: _Told) -> list[JobLog]:
    """The main action of a repository and, beside a backup, its check."""
    main = next((action for action in _ORDER if action in section.actions), told.asked or "create")
    if not told.asked and main in ("prune", "compact") and (section.failed or told.log.configs == {}):
        main = "create"  # a whole run that failed before it came to its backup
    failed_in = section.failed_in or section.current
    checked = main == "create" and "check" in section.actions
    blamed = section.failed and not (checked and failed_in == "check")
    parts = [name for name in section.actions if name != "check" or not checked]
    runs = [_run_of(section, main, parts, told, failed=blamed)]
    if checked:
        runs.append(_run_of(section, "check", ["check"], told, failed=section.failed and failed_in == "check"))
    return runs


def _run_of(section: _Section, action: str, parts: list[str], told: _Told, *, failed: bool) -> JobLog:
    operation, shown = _ACTIONS[action]
    lines = [line for part in parts for line in section.actions.get(part, ())]
    read = _read_by_borg("\n".join(lines).encode("utf-8", "replace"), action, told)
    run = read or JobLog(product="borgmatic", operation=operation, outcome="unknown")
    outcome = _outcome(run, section, told, failed=failed)
    troubles = section.troubles.kept if failed else ()
    spans = [section.spans[part] for part in parts if part in section.spans]
    if outcome not in ("success", "warning"):
        run = replace(run, protected_bytes=None, basis=None, transferred_bytes=None, stored_bytes=None, rounded=False)
    return replace(
        run,
        operation=operation,
        action=shown,
        outcome=outcome,
        item=section.name,
        repository=run.repository or section.name,
        source_job=section.config or told.only_config,
        checksum_ok=(outcome == "success") if operation == "verify" and outcome in ("success", "failure") else None,
        errors=(*troubles, *run.errors)[:MAX_ERRORS],
        errors_total=run.errors_total + (section.troubles.total if failed else 0),
        lines=(min(first for first, _ in spans), max(last for _, last in spans)) if spans else None,
        notes=("dry run: nothing was saved",) if section.dry else (),
    )


def _outcome(run: JobLog, section: _Section, told: _Told, *, failed: bool) -> Outcome:
    if failed or run.outcome in ("failure", "cancelled"):
        return "cancelled" if run.outcome == "cancelled" else "failure"
    if section.dry:
        return "skipped"
    config = section.config or told.only_config
    ended = told.code == 0 or told.log.summed_up or section.failed or told.log.in_summary
    if not ended or (told.log.configs.get(config) is False and not section.failed and not told.log.config_errors):
        return "unknown"
    return "warning" if run.errors_total else "success"


def _from_configs(told: _Told) -> list[JobLog]:
    """Configurations that failed before, or beside, their repositories, and those that the log is silent about."""
    blamed = [section for section in told.log.sections if section.failed]
    found = []
    for name, part in told.log.config_errors.items():
        if not any(section.config in (name, "") for section in blamed):
            found.append(_of_config(name, "failure", part, told))
    silent = set(told.configs_asked) - set(told.log.configs)
    if len(told.configs_asked) > 1 and told.log.sections and told.code != 0:
        found += [_of_config(name, "unknown", None, told) for name in told.configs_asked if name in silent]
    return found


def _of_config(name: str, outcome: Outcome, part: _Section | None, told: _Told) -> JobLog:
    operation, shown = _ACTIONS[told.asked or "create"]
    return JobLog(
        product="borgmatic",
        operation=operation,
        outcome=outcome,
        action=shown,
        item=name,
        source_job=name,
        errors=part.troubles.kept if part else (),
        errors_total=part.troubles.total if part else 0,
        notes=() if part else ("the log does not tell how this configuration ended",),
    )


def _from_silence(told: _Told) -> list[JobLog]:
    """A run that named no repository: its summary or, at verbosity 0, its exit code alone tells how it ended."""
    names = tuple(dict.fromkeys((*told.configs_asked, *told.log.configs))) or ("",)
    if not told.calls and not told.log.configs:
        raise UnreadableLog("nothing in this log tells what borgmatic did")
    part = _Section("")
    for line in log_lines(told.body.stdout, told.body.stderr):
        if told.code and line.text and part.troubles.total < 100:
            part.blame(line.text)
    found = []
    for name in names:
        good = told.code == 0 or told.log.configs.get(name) is True
        outcome: Outcome = "success" if good else "failure" if told.code and len(names) == 1 else "unknown"
        found.append(_of_config(name, outcome, part, told))
    return found


def _settled(runs: Iterable[JobLog], told: _Told) -> tuple[JobLog, ...]:
    """The runs with what all have in common; an exit code that nothing explains makes the only run a failure."""
    listed = list(runs)
    alone = len(listed) == 1
    if told.code and not any(run.outcome in ("failure", "cancelled", "unknown") for run in listed):
        listed = [replace(run, outcome="failure" if alone else "unknown") for run in listed]
    return tuple(_finished(run, told, alone=alone) for run in listed)


# Borg names the step it failed at (``open:``, ``stat:``) except where the path it was asked for is not there
_MISSING_ROOT = re.compile(r"/[^\n]{1,4000}?(?<!: open)(?<!: stat)(?<!: read)(?<!: scandir): \[Errno 2\] ")


def _finished(run: JobLog, told: _Told, *, alone: bool) -> JobLog:
    bad = run.outcome in ("failure", "cancelled", "unknown")
    missed = run.complete is False or any(_MISSING_ROOT.match(error.message) for error in run.errors)
    complete = False if missed and run.operation == "backup" else None
    if run.operation == "backup" and run.outcome in ("failure", "cancelled"):
        complete = False
    elif run.operation == "backup" and run.outcome == "success" and told.code == 0:
        complete = True
    return replace(
        run,
        product="borgmatic",
        source_job=run.source_job or told.only_config,
        protected_bytes=None if bad else run.protected_bytes,
        basis=None if bad else run.basis,
        complete=complete,
        exit_code=told.body.exit_code if alone else None,
        lines=None if alone else run.lines,
    )
