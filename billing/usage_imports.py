"""Enters usage that no log tells, from a CSV: compared with the ledger, shown, and entered as a whole or not at all.

The source of such a figure is its selection and day, so the same file again writes nothing and another figure is the
next revision. Writers of one source wait for each other at the row of the selection. Everything is audited.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection, transaction

from billing.ledger import PersonalFigure, enter_figures
from billing.models import UsageImport
from billing.refusals import NotFound, Refused
from billing.usage_files import RefusedLine, read_usage_file
from billing.usage_names import Placed, place_rows
from msp.estate.models import Selection
from msp.tenants import audit
from msp.tenants.models import Tenant

#: Refused lines that are told; a file with more is told how many.
MOST_TOLD = 200


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A line against the ledger. ``stands``: what counts on that day now; ``entered``: what a file said before.

    ``change`` is new, changed, withdrawn or same. Quantities in bytes or things, None where there is none.
    """

    line: int
    client: str
    selection: str
    day: date
    metric: str
    quantity: int | None
    stands: int | None
    stands_basis: str
    entered: int | None
    basis: str
    note: str
    change: str


@dataclass(frozen=True)
class CheckedFile:
    """What a file would do: its refused lines (then it does nothing) and each line's difference."""

    refused: tuple[RefusedLine, ...]
    differences: tuple[Difference, ...]

    @property
    def writes(self) -> int:
        """How many lines would change the ledger."""
        return sum(each.change != "same" for each in self.differences)

    @property
    def fingerprint(self) -> str:
        """The same as long as the file would do the same."""
        return hashlib.sha256(repr(self.differences).encode()).hexdigest()


class RefusedFile(Refused):
    """A file with lines that cannot be taken; ``lines`` says each in a sentence. Nothing of it was entered."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__(f"Nothing was taken. {' '.join(lines[:3])}")
        self.lines = lines


STANDING = """
SELECT w.place, s.quantity, s.basis, m.quantity, m.basis
FROM jsonb_to_recordset(%(wanted)s::jsonb) AS w(place int, selection_id bigint, metric text, day date, source text)
LEFT JOIN LATERAL (
    SELECT e.quantity, e.basis FROM billing_usageentry e
    WHERE e.tenant_id = %(tenant)s AND e.selection_id = w.selection_id AND e.metric = w.metric
      AND e.local_day = w.day AND e.quantity IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM billing_usageentry n WHERE n.tenant_id = e.tenant_id AND n.source = e.source
          AND n.metric = e.metric AND n.revision > e.revision)
    ORDER BY e.measured_at DESC, e.run_key DESC LIMIT 1) s ON true
LEFT JOIN LATERAL (
    SELECT e.quantity, e.basis FROM billing_usageentry e
    WHERE e.tenant_id = %(tenant)s AND e.source = w.source AND e.metric = w.metric
    ORDER BY e.revision DESC LIMIT 1) m ON true
"""


def check_usage_file(tenant: Tenant, content: bytes, *, now: datetime) -> CheckedFile:
    """What this file would do. Writes nothing. Raises Refused for a file that cannot be read at all."""
    rows, refused = read_usage_file(content)
    placed, unplaced = place_rows(tenant, rows, now=now)
    told = tuple(sorted({*refused, *unplaced}))
    return CheckedFile(told, () if told else _differences(tenant, placed))


@transaction.atomic
def keep_usage_file(tenant: Tenant, content: bytes, *, name: str, actor: str, now: datetime) -> UsageImport:
    """Keep a file that was looked at, for a person to apply or to drop; the same one waiting already is answered.

    Raises Refused with the first refused lines: of a file with one bad line nothing is kept.
    """
    rows, _ = read_usage_file(content)
    refuse_lines(check_usage_file(tenant, content, now=now))
    digest = hashlib.sha256(content).hexdigest()
    waiting = UsageImport.objects.of(tenant).filter(digest=digest, state="checked").first()
    kept: UsageImport = waiting or UsageImport.objects.of(tenant).create(
        name=name[:200] or "usage.csv",
        content=zlib.compress(content),
        digest=digest,
        rows=len(rows),
        uploaded_by=actor,
        uploaded_at=now,
    )
    return kept


def refuse_lines(checked: CheckedFile) -> None:
    """Raises RefusedFile if a line cannot be taken."""
    if not checked.refused:
        return
    lines = [f"Line {each.line}: {each.sentence}" for each in checked.refused[:MOST_TOLD]]
    more = len(checked.refused) - MOST_TOLD
    lines += [f"{more} more lines are refused."] if more > 0 else []
    raise RefusedFile(tuple(lines))


def check_kept(kept: UsageImport, *, now: datetime) -> CheckedFile:
    """What a kept file would do now."""
    return check_usage_file(kept.tenant, content_of(kept), now=now)


def content_of(kept: UsageImport) -> bytes:
    """The file as it was handed in."""
    return zlib.decompress(bytes(kept.content))


@transaction.atomic
def apply_usage_file(tenant: Tenant, uid: UUID, *, seen: str = "", actor: str, now: datetime) -> UsageImport:
    """Enter a kept file as a whole. ``seen`` is the fingerprint of what the person was shown: if the ledger has moved
    on since, nothing is entered. Raises NotFound, Refused.
    """
    kept = _locked(tenant, uid)
    content = content_of(kept)
    placed = _lock_selections(tenant, content, now=now)
    checked = check_usage_file(tenant, content, now=now)
    refuse_lines(checked)
    if seen and seen != checked.fingerprint:
        raise Refused("What this file would change is not what was shown any more: look at it again.")
    origin = f"file {kept.uid}"
    kept.written = enter_figures(tenant.pk, [_figure(tenant, each, origin=origin) for each in placed], now=now)
    _settle(kept, "applied", actor=actor, now=now)
    return kept


@transaction.atomic
def drop_usage_file(tenant: Tenant, uid: UUID, *, actor: str, now: datetime) -> UsageImport:
    """Keep it, and never enter it. Raises NotFound, Refused."""
    kept = _locked(tenant, uid)
    _settle(kept, "dropped", actor=actor, now=now)
    return kept


def _locked(tenant: Tenant, uid: UUID) -> UsageImport:
    rows = UsageImport.objects.of(tenant).select_related("tenant").select_for_update(of=("self",))
    kept: UsageImport | None = rows.filter(uid=uid).first()
    if kept is None:
        raise NotFound("There is no such file.")
    if kept.state != "checked":
        raise Refused(f"The file was {kept.state} by {kept.settled_by} already.")
    return kept


def _lock_selections(tenant: Tenant, content: bytes, *, now: datetime) -> tuple[Placed, ...]:
    """The lines with their selections, locked in the order of their ids."""
    rows, _ = read_usage_file(content)
    placed, _ = place_rows(tenant, rows, now=now)
    ids = sorted({each.selection.pk for each in placed})
    list(
        Selection.objects.of(tenant).filter(pk__in=ids).select_for_update(no_key=True).order_by("pk").values_list("pk")
    )
    return placed


def _settle(kept: UsageImport, state: str, *, actor: str, now: datetime) -> None:
    kept.state, kept.settled_by, kept.settled_at = state, actor, now
    kept.save(update_fields=["state", "settled_by", "settled_at", "written"])
    audit.record(
        kept.tenant_id,
        actor=actor,
        action=f"usage.{state}",
        subject_kind="usageimport",
        subject_id=kept.pk,
        subject=kept.name,
        after={"lines": kept.rows, "entries": kept.written, "sha256": kept.digest},
        now=now,
    )


def _figure(tenant: Tenant, placed: Placed, *, origin: str) -> PersonalFigure:
    row = placed.row
    ends = datetime.combine(row.day + timedelta(days=1), time(), tzinfo=ZoneInfo(tenant.timezone)).astimezone(UTC)
    return PersonalFigure(
        selection_id=placed.selection.pk,
        client_id=placed.client.pk,
        metric=row.metric,
        day=row.day,
        # the last second of the day, so that it counts before what runs found on that day
        measured_at=ends - timedelta(seconds=1),
        quantity=row.quantity,
        basis=row.basis,
        origin=origin,
        reason=row.note or "entered from a file",
        names=tuple((f"name:{name.casefold()}", name) for name in row.names),
    )


def _differences(tenant: Tenant, placed: Sequence[Placed]) -> tuple[Difference, ...]:
    wanted = [
        {
            "place": place,
            "selection_id": each.selection.pk,
            "metric": each.row.metric,
            "day": each.row.day.isoformat(),
            "source": f"import:{each.selection.pk}:{each.row.day}",
        }
        for place, each in enumerate(placed)
    ]
    with connection.cursor() as cursor:
        cursor.execute(STANDING, {"tenant": tenant.pk, "wanted": json.dumps(wanted)})
        known = {row[0]: row[1:] for row in cursor.fetchall()}
    return tuple(_difference(each, known[place]) for place, each in enumerate(placed))


def _difference(placed: Placed, known: Sequence[Any]) -> Difference:
    stands, stands_basis, entered, entered_basis = known
    row = placed.row
    return Difference(
        line=row.line,
        client=placed.client.name,
        selection=placed.selection.name,
        day=row.day,
        metric=row.metric,
        quantity=row.quantity,
        stands=stands,
        stands_basis=stands_basis or "",
        entered=entered,
        basis=row.basis,
        note=row.note,
        change=_change(row.quantity, row.basis, was=entered, was_basis=entered_basis or ""),
    )


def _change(quantity: int | None, basis: str, *, was: int | None, was_basis: str) -> str:
    if quantity is None:
        return "same" if was is None else "withdrawn"
    if was is None:
        return "new"
    return "same" if (quantity, basis) == (was, was_basis) else "changed"


def figures_by_change(checked: CheckedFile) -> Mapping[str, int]:
    """How many lines are new, changed, withdrawn, and the same."""
    words = ("new", "changed", "withdrawn", "same")
    return {word: sum(each.change == word for each in checked.differences) for word in words}
