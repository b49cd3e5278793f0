"""Measures selections: by inventories that come with a wrapper's delivery, by upload, by API and by command.

``measure_deliveries`` is a step of the line (nothing to do costs nothing); ``measure_upload`` is for people and
programs. The pure work is done in ``integrations.selections``; this reads the definition, writes the measurement beside
what the product reports, and makes the jobs of the selection due. The same inventory again writes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connection, transaction

from integrations.selections import definitions
from integrations.selections.definition import Definition
from integrations.selections.entries import LARGEST, Inventory, Summary
from integrations.selections.inventory import read_inventory
from integrations.selections.lists import roots_only
from integrations.selections.measuring import Measured, from_summary, measure
from integrations.selections.refusals import BadDefinition, BadInventory
from integrations.selections.text import read_text
from msp.backups.size_models import SelectionDefinition, SelectionMeasurement
from msp.estate.models import Selection
from msp.estate.spans import Actor, record_change
from msp.tenants.models import Tenant

#: Bounds of an inventory that is measured within the line, and of one that was uploaded: bytes as they come, files.
LINE_FILES, UPLOAD_FILES = 2_000_000, 5_000_000
MAX_UPLOAD = 256 * 1024 * 1024
#: A walk that says it was made later than this after its arrival has a wrong clock: then the arrival counts.
SKEW = timedelta(minutes=10)
#: Lines of a measurement that are kept: of roots and of what was left out, each.
KEPT_LINES = 200


@dataclass(frozen=True)
class SentInventory:
    """An inventory in a delivery, and the selection that it is about. ``rules`` is the definition that came along."""

    receipt_id: int
    selection_id: int
    received_at: datetime
    content: bytes
    rules: bytes = b""


@dataclass(frozen=True)
class Held:
    """The definition that holds for a selection, as stored."""

    version: int
    kind: str
    content: str
    variables: Mapping[str, str]
    digest: str


@dataclass(frozen=True)
class Outcome:
    """A measurement as it is written."""

    origin: str
    digest: str
    version: int | None
    form: str = ""
    taken_at: datetime | None = None
    measured: Measured | None = None
    error: str = ""


# --- the step of the line ----------------------------------------------------------------------------------------


def measure_deliveries(tenant_id: int, sent: Sequence[SentInventory], *, now: datetime) -> None:
    """Measure what came with a batch's deliveries, in its transaction; a fixed number of statements."""
    if not sent:
        return
    held = newest_definitions(tenant_id, {one.selection_id for one in sent})
    rows = []
    for one in sent:
        outcome = measure_sent(one, held.get(one.selection_id))
        rows.append(row_of(outcome, one.selection_id, source="wrapper", at=one.received_at, receipt_id=one.receipt_id))
    write(tenant_id, rows, now=now)


def measure_sent(one: SentInventory, held: Held | None) -> Outcome:
    """A measurement, or the sentence why there is none: a bad inventory must not stop the log it came with."""
    digest = hashlib.sha256(one.content + b"\0" + one.rules).hexdigest()
    base = Outcome(
        f"receipt:{one.receipt_id}:{digest[:32]}", held.digest if held else "", held.version if held else None
    )
    try:
        return replace(base, **_measured([one.content], held, one.rules, most_files=LINE_FILES))
    except (BadInventory, BadDefinition) as refused:
        what = "The definition" if isinstance(refused, BadDefinition) else "The inventory"
        return replace(base, error=f"{what} cannot be used: {refused}"[:500])


def _measured(chunks: Iterable[bytes], held: Held | None, rules: bytes, *, most_files: int) -> dict[str, Any]:
    inventory = read_inventory(chunks)
    measured = _by_definition(inventory, held, rules, most_files=most_files)
    taken_at = inventory.summary.taken_at if inventory.summary else None
    return {"form": inventory.form, "taken_at": taken_at, "measured": measured}


def _by_definition(inventory: Inventory, held: Held | None, rules: bytes, *, most_files: int) -> Measured:
    summary = inventory.summary
    if summary is not None and not summary.listed:
        measured = from_summary(summary)
        if held is None:
            return measured
        note = "Only sums were sent: the definition kept here was not applied (measure with --measure-list)."
        return replace(measured, notes=(*measured.notes, note))
    return measure(_definition(summary, held, rules), inventory, most_files=most_files)


def _definition(summary: Summary | None, held: Held | None, rules: bytes) -> Definition:
    """The stored definition, else a selection file that came along, else all that was listed."""
    roots = summary.roots if summary is not None else ("/",)
    if held is not None:
        return definitions.read_definition(held.content.encode(), kind=held.kind, roots=roots, variables=held.variables)
    if rules and definitions.likely_kind(rules) == "sel":
        return definitions.read_definition(rules, kind="sel")
    return roots_only(roots)


# --- uploads -----------------------------------------------------------------------------------------------------


def measure_upload(
    tenant: Tenant,
    selection: Selection,
    chunks: Iterable[bytes],
    *,
    source: str,
    now: datetime,
    definition: tuple[str, bytes] | None = None,
) -> SelectionMeasurement:
    """Measure a selection by an uploaded inventory; ``definition`` (kind, content) in place of the stored one.

    Reads the chunks to their end, outside any transaction. The same bytes again answer the measurement there is.
    Raises BadInventory, BadDefinition.
    """
    held = newest_definitions(tenant.pk, {selection.pk}).get(selection.pk)
    if definition is not None:
        held = Held(0, definition[0], read_text(definition[1]), {}, digest_of(definition[0], definition[1], {}))
    hashing = hashlib.sha256()
    told = _measured(_counted(chunks, hashing), held, b"", most_files=UPLOAD_FILES)
    origin = f"upload:{hashing.hexdigest()}"
    version = held.version or None if held else None
    outcome = Outcome(origin, held.digest if held else "", version, **told)
    with transaction.atomic():
        write(tenant.pk, [row_of(outcome, selection.pk, source=source, at=now, receipt_id=None)], now=now)
    found: SelectionMeasurement = SelectionMeasurement.objects.of(tenant).get(
        selection=selection, origin=origin, definition_digest=outcome.digest
    )
    return found


def _counted(chunks: Iterable[bytes], hashing: Any) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_UPLOAD:
            raise BadInventory(0, f"the inventory is larger than {MAX_UPLOAD // 2**20} MiB: send it zipped (gzip).")
        hashing.update(chunk)
        yield chunk


# --- definitions -------------------------------------------------------------------------------------------------


def newest_definitions(tenant_id: int, selection_ids: Collection[int]) -> dict[int, Held]:
    """The definitions in force, one query."""
    rows = SelectionDefinition.objects.of(tenant_id).filter(selection_id__in=selection_ids)
    newest = rows.order_by("selection_id", "-version").distinct("selection_id")
    return {row.selection_id: Held(row.version, row.kind, row.content, row.variables, row.digest) for row in newest}


def set_definition(
    tenant: Tenant, selection: Selection, content: bytes, *, kind: str, variables: Mapping[str, str], actor: Actor
) -> SelectionDefinition:
    """A further version of the definition; the same again is none. Locks the selection. Raises BadDefinition."""
    kind = kind or definitions.likely_kind(content)
    definitions.read_definition(content, kind=kind, roots=("/",), variables=variables)
    digest = digest_of(kind, content, variables)
    with transaction.atomic():
        locked = Selection.objects.of(tenant).select_for_update(no_key=True).get(pk=selection.pk)
        rows = SelectionDefinition.objects.of(tenant).filter(selection=locked).order_by("-version")
        last: SelectionDefinition | None = rows.first()
        if last is not None and last.digest == digest:
            return last
        made: SelectionDefinition = SelectionDefinition.objects.of(tenant).create(
            selection=locked, version=last.version + 1 if last else 1, kind=kind, content=read_text(content),
            variables=dict(variables), digest=digest, set_at=actor.now, set_by=actor.name[:200],
        )  # fmt: skip
        before = {"version": last.version, "digest": last.digest} if last else {}
        after = {"version": made.version, "kind": kind, "digest": digest}
        record_change(tenant, locked, "selection defined", before, after, actor=actor)
    return made


def digest_of(kind: str, content: bytes, variables: Mapping[str, str]) -> str:
    told = orjson.dumps([kind, read_text(content), dict(variables)], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(told).hexdigest()


# --- writing -----------------------------------------------------------------------------------------------------

# What the product reports is read here, in the same moment: of the measuring job, else of the job measured last.
WRITE = """
WITH given AS (
    SELECT * FROM jsonb_to_recordset(%(rows)s::jsonb) AS r(
        selection_id bigint, measured_at timestamptz, received_at timestamptz, source text, form text, origin text,
        definition_digest text, definition_version int, bytes_once bigint, bytes_each bigint, files bigint,
        links bigint, unreadable bigint, elsewhere bigint, whole boolean, details jsonb, error text, receipt_id bigint)
)
INSERT INTO backups_selectionmeasurement (uid, tenant_id, selection_id, measured_at, received_at, source, form, origin,
    definition_digest, definition_version, bytes_once, bytes_each, files, links, unreadable, elsewhere, whole, details,
    error, receipt_id, reported_job_id, reported_bytes, reported_at)
SELECT gen_random_uuid(), selection.tenant_id, given.selection_id, given.measured_at, given.received_at, given.source,
    given.form, given.origin, given.definition_digest, given.definition_version, given.bytes_once, given.bytes_each,
    given.files, given.links, given.unreadable, given.elsewhere, given.whole, given.details, given.error,
    given.receipt_id, reported.job_id, reported.protected_bytes, reported.protected_at
FROM given
JOIN estate_selection selection ON selection.tenant_id = %(tenant)s AND selection.id = given.selection_id
LEFT JOIN LATERAL (
    SELECT state.job_id, state.protected_bytes, state.protected_at FROM backups_backupjob job
    JOIN backups_jobstate state ON state.job_id = job.id
    WHERE job.tenant_id = selection.tenant_id AND job.selection_id = selection.id
      AND state.protected_bytes IS NOT NULL
    ORDER BY (job.id = selection.measuring_job_id) DESC NULLS LAST, state.protected_at DESC LIMIT 1
) AS reported ON true
ON CONFLICT ON CONSTRAINT selectionmeasurement_once DO NOTHING
RETURNING selection_id
"""

# A batch may hold state rows already, so none is waited for: one that another worker holds is being evaluated, and is
# looked at again within a day in any case.
DUE = """
UPDATE backups_jobstate state SET check_after = least(state.check_after, %(now)s)
WHERE state.tenant_id = %(tenant)s AND state.check_after IS NOT NULL AND state.job_id IN (
    SELECT locked.job_id FROM backups_jobstate locked JOIN backups_backupjob job ON job.id = locked.job_id
    WHERE job.tenant_id = %(tenant)s AND job.selection_id = ANY(%(selections)s)
    ORDER BY locked.job_id FOR UPDATE OF locked SKIP LOCKED)
"""


def row_of(outcome: Outcome, selection_id: int, *, source: str, at: datetime, receipt_id: int | None) -> dict[str, Any]:
    """A measurement as WRITE takes it; sizes beyond what a disk holds are an error, not a figure."""
    measured, error = outcome.measured, outcome.error
    if measured is not None and max(measured.bytes_each, measured.bytes_once or 0) > LARGEST:
        measured, error = None, "The sizes come to more than any disk holds."
    taken_at = outcome.taken_at if outcome.taken_at is not None and outcome.taken_at <= at + SKEW else at
    row = {
        "selection_id": selection_id, "measured_at": taken_at, "received_at": at, "source": source,
        "form": outcome.form, "origin": outcome.origin, "definition_digest": outcome.digest,
        "definition_version": outcome.version, "error": error, "receipt_id": receipt_id, "links": 0, "unreadable": 0,
        "elsewhere": 0, "whole": False, "details": {},
    }  # fmt: skip
    if measured is None:
        return row
    return row | {
        "bytes_once": measured.bytes_once, "bytes_each": measured.bytes_each, "files": measured.files,
        "links": measured.links, "unreadable": measured.unreadable, "elsewhere": measured.elsewhere,
        "whole": measured.whole, "details": details_of(measured),
    }  # fmt: skip


def details_of(measured: Measured) -> dict[str, Any]:
    """What stands behind the figure: by root, by line that left out, in words; no NUL, which a database refuses."""

    def told(text: str) -> str:
        return text[:500].replace("\0", "\ufffd").encode("utf-8", "replace").decode()

    return {
        "roots": [asdict(one) | {"text": told(one.text)} for one in measured.roots[:KEPT_LINES]],
        "left_out": [asdict(one) | {"text": told(one.text)} for one in measured.left_out[:KEPT_LINES]],
        "missing_roots": [told(root) for root in measured.missing_roots[:KEPT_LINES]],
        "notes": [told(note) for note in measured.notes],
        "repeated": measured.repeated,
    }


def write(tenant_id: int, rows: Sequence[Mapping[str, Any]], *, now: datetime) -> None:
    """Insert measurements that are not there yet, and make the jobs of their selections due; in a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(WRITE, {"rows": orjson.dumps(list(rows)).decode(), "tenant": tenant_id})
        selections = sorted({row[0] for row in cursor.fetchall()})
        if selections:
            cursor.execute(DUE, {"tenant": tenant_id, "selections": selections, "now": now})
