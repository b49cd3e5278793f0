"""The last step of every reading: what leaves a parser is made safe to store, and what cannot be true is marked.

Texts are cleaned and cut, numbers that no database column holds are taken out, and a size below zero or an end before
the start becomes a sentence in ``problems``. The run is kept and shown; recording sees the problems and bills nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from integrations.logs.bytes_to_text import clean
from integrations.logs.joblog import MAX_ERRORS, Component, JobLog, LogError

MAX_INTEGER = 2**63 - 1
MAX_NAMES = 200  # roots, components and notes kept
_TEXTS = {
    "product": 60, "action": 60, "run_id": 200, "source_job": 400, "item": 400, "host": 255, "account": 255,
    "repository": 1000, "archive": 400, "product_version": 100,
}  # fmt: skip
_SIZES = (
    "protected_bytes", "changed_bytes", "transferred_bytes", "stored_bytes", "restored_bytes", "freed_bytes",
    "files_failed", "errors_total", "chain_length",
)  # fmt: skip
_COMPONENT_SIZES = ("protected_bytes", "transferred_bytes", "stored_bytes")
_NEGATIVE_IS_FINE = ("freed_bytes",)  # a compaction may cost more than it frees


def scrubbed(
    run: JobLog,
    *,
    host: str = "",
    exit_code: int | None = None,
    problems: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> JobLog:
    """The run made safe; host and exit code of the delivery where the log told none, what it tells in any case."""
    run = replace(run, notes=(*notes, *run.notes)) if notes else run
    changes: dict[str, Any] = {name: clean(getattr(run, name), limit) for name, limit in _TEXTS.items()}
    found: list[str] = [clean(text) for text in (*problems, *run.problems)]
    for name in _SIZES:
        changes[name] = _checked(getattr(run, name), name, found)
    changes["errors_total"] = max(changes["errors_total"] or 0, len(run.errors))
    changes["host"] = changes["host"] or clean(host, 255)
    changes["exit_code"] = _code(run.exit_code if run.exit_code is not None else exit_code)
    changes.update(_lists(run, found))
    found += _problems_of_time(run)
    changes["duration_seconds"] = _duration(run.duration_seconds)
    return replace(run, **changes, problems=tuple(dict.fromkeys(found)))


def _checked(value: int | None, name: str, problems: list[str]) -> int | None:
    if value is None:
        return None
    if abs(value) > MAX_INTEGER:
        problems.append(f"{name} is {clean(str(value)[:30])}…: no such number can be stored.")
        return None
    if value < 0 and name not in _NEGATIVE_IS_FINE:
        problems.append(f"{name} is {value}: less than zero.")
    return value


def _code(code: int | None) -> int | None:
    return code if code is not None and abs(code) < 2**31 else None


def _duration(seconds: float | None) -> float | None:
    return seconds if seconds is not None and 0 <= seconds < 1e9 else None


def _problems_of_time(run: JobLog) -> list[str]:
    found = []
    if run.started_at and run.ended_at and run.ended_at < run.started_at:
        found.append(f"The run ended ({_shown(run.ended_at)}) before it started ({_shown(run.started_at)}).")
    if run.duration_seconds is not None and run.duration_seconds < 0:
        found.append(f"duration_seconds is {run.duration_seconds:g}: less than zero.")
    return found


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _lists(run: JobLog, problems: list[str]) -> dict[str, Any]:
    return {
        "roots": tuple(clean(root) for root in run.roots[:MAX_NAMES]),
        "notes": tuple(clean(note) for note in run.notes[:MAX_NAMES]),
        "errors": tuple(_error(error) for error in run.errors[:MAX_ERRORS]),
        "components": tuple(_component(one, problems) for one in run.components[:MAX_NAMES]),
        "files": _counts(run.files, "files", problems),
        "dirs": _counts(run.dirs, "dirs", problems),
        "sources": {clean(key, 60): clean(word, 200) for key, word in list(run.sources.items())[:50]},
    }


def _counts(counts: Mapping[str, int], name: str, problems: list[str]) -> dict[str, int]:
    checked = {clean(key, 60): _checked(value, f"{name}.{key}", problems) for key, value in list(counts.items())[:50]}
    return {key: value for key, value in checked.items() if value is not None}


def _error(error: LogError) -> LogError:
    return replace(
        error,
        message=clean(error.message),
        path=clean(error.path) if error.path is not None else None,
        code=clean(error.code, 60) if error.code is not None else None,
        component=clean(error.component, 400) if error.component is not None else None,
    )


def _component(component: Component, problems: list[str]) -> Component:
    name = clean(component.name, 400)
    sizes: dict[str, Any] = {
        size: _checked(getattr(component, size), f"{size} of {name}", problems) for size in _COMPONENT_SIZES
    }
    return replace(component, type=clean(component.type, 60), name=name, message=clean(component.message), **sizes)
