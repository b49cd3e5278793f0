"""The three gates of a run: good, complete, measurable; and the problems that bar a run from all of them.

Recording asks once for each run, with the tolerance of the job's policy. Only a good run moves a clock, only a
measurable one counts for the bill. A run with problems (values that cannot be true) is kept and shown, and passes no
gate. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from integrations.logs.joblog import ErrorKind, JobLog, LogError, Operation, Outcome

#: A clock may be this far ahead of ours before its times are called implausible.
FUTURE_SKEW = timedelta(minutes=10)

#: Files that a running system takes away or holds open while it is read; anything else is never tolerated.
TOLERABLE: frozenset[ErrorKind] = frozenset({"vanished", "locked"})

#: Operations that may bring a measurement of the source.
MEASURING: frozenset[Operation] = frozenset({"backup", "copy", "inventory"})

_SIZES = ("protected", "changed", "transferred", "stored", "restored", "freed")


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """What a policy tolerates; by itself nothing. Either limit is enough: a number of files, or a share of all files.

    ``unread_share`` is the plan's limit for billing: how much of the files may be unread in a run that still measures.
    """

    files: int = 0
    share: Decimal = Decimal(0)
    unread_share: Decimal = Decimal("0.01")


@dataclass(frozen=True, kw_only=True)
class Gates:
    """``complete`` is None where neither the log nor the outcome says so. ``reason`` says in words why not good."""

    good: bool
    complete: bool | None
    measurable: bool
    reason: str = ""


def judge(
    outcome: Outcome,
    *,
    operation: Operation,
    errors: Mapping[ErrorKind, int],
    errors_total: int = 0,
    files_failed: int | None = None,
    files_total: int | None = None,
    complete: bool | None = None,
    problems: Sequence[str] = (),
    policy: Tolerance,
) -> Gates:
    """Judge one run. ``errors`` counts the listed ones by kind, ``errors_total`` also those that were not kept."""
    if problems:
        return Gates(good=False, complete=complete, measurable=False, reason=problems[0])
    reason = _why_not_good(outcome, errors=errors, errors_total=errors_total, files_total=files_total, policy=policy)
    reached = _is_complete(outcome, said=complete, good=not reason)
    unread = max(files_failed or 0, errors.get("unreadable", 0) + sum(errors.get(kind, 0) for kind in TOLERABLE))
    measurable = (
        operation in MEASURING
        and outcome in ("success", "warning")
        and reached is True
        and _within(unread, files=0, share=policy.unread_share, files_total=files_total)
    )
    return Gates(good=not reason, complete=reached, measurable=measurable, reason=reason)


def judge_log(log: JobLog, *, problems: Sequence[str], policy: Tolerance) -> Gates:
    """The gates of a run as its log tells it."""
    return judge(
        log.outcome,
        operation=log.operation,
        errors=count_kinds(log.errors),
        errors_total=log.errors_total,
        files_failed=log.files_failed,
        files_total=log.files.get("total"),
        complete=log.complete,
        problems=problems,
        policy=policy,
    )


def count_kinds(errors: Iterable[LogError]) -> dict[ErrorKind, int]:
    """How many of the listed errors are of each kind."""
    return dict(Counter(error.kind for error in errors))


def find_problems(log: JobLog, *, received_at: datetime) -> tuple[str, ...]:
    """Sentences about values that cannot be true: a negative size, an end before the start, a time in the future."""
    problems = [f"The {name} size is negative." for name in _SIZES if (getattr(log, f"{name}_bytes") or 0) < 0]
    if log.started_at and log.ended_at and log.ended_at < log.started_at:
        problems.append("The run ended before it started.")
    for word, moment in (("start", log.started_at), ("end", log.ended_at)):
        if moment and moment > received_at + FUTURE_SKEW:
            problems.append(f"The {word} time is in the future: {moment:%Y-%m-%d %H:%M} UTC.")
    return tuple(problems)


def _why_not_good(
    outcome: Outcome,
    *,
    errors: Mapping[ErrorKind, int],
    errors_total: int,
    files_total: int | None,
    policy: Tolerance,
) -> str:
    """Why a run is not good; "" if it is."""
    if outcome == "success":
        return ""
    if outcome != "warning":
        return f"The outcome is {outcome}."
    listed = sum(errors.values())
    tolerable = sum(errors.get(kind, 0) for kind in TOLERABLE)
    if not listed:
        return "The run ended with a warning that its log does not explain."
    if tolerable < listed or errors_total > listed:
        return f"{max(listed, errors_total) - tolerable} errors are neither vanished nor locked files."
    if not _within(tolerable, files=policy.files, share=policy.share, files_total=files_total):
        return f"{tolerable} files vanished or were locked, more than the policy tolerates."
    return ""


def _is_complete(outcome: Outcome, *, said: bool | None, good: bool) -> bool | None:
    """What the log says; where it is silent, a good run reached all it was told to and a failed one did not."""
    if said is not None:
        return said
    if good:
        return True
    return False if outcome in ("failure", "missed", "cancelled", "skipped") else None


def _within(count: int, *, files: int, share: Decimal, files_total: int | None) -> bool:
    return count <= files or (files_total is not None and count <= share * files_total)
