"""Finds the inventories that came with deliveries, and which selection each is about; a step before measuring.

It is the selection of the runs in the same delivery; a delivery that brings nothing else belongs to the job that its
sender names. What nobody can place stays in the inbox, with that reason in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from msp.backups.selection_sizes import SentInventory
from msp.ingest.assigning import Assigned, InboxNote
from msp.ingest.models import Assignment
from msp.ingest.normalising import NormalisedReceipt


@dataclass(frozen=True)
class Placed:
    """Inventories with their selections; ``assigned`` without the notes that these answer."""

    inventories: tuple[SentInventory, ...]
    assigned: Assigned


def place_inventories(tenant_id: int, normalised: Sequence[NormalisedReceipt], assigned: Assigned) -> Placed:
    """The inventories of a batch; at most one statement, none when there is no inventory."""
    bringing = [one for one in normalised if one.inventory]
    if not bringing:
        return Placed((), assigned)
    of_runs: dict[int, set[int]] = {}
    for run in assigned.runs:
        of_runs.setdefault(run.receipt_id, set()).add(run.selection_id)
    alone = [one for one in bringing if not one.runs]
    jobs = _selections_of_jobs(tenant_id, alone) if alone else {}
    sent, answered = [], set()
    for one in bringing:
        selections = of_runs.get(one.receipt.id, set())
        found = jobs.get(_key(one)) if one in alone else None
        if found is not None:
            selections = {found}
            if one.brings_inventory_only:
                answered.add(one.receipt.id)
        if len(selections) == 1:
            sent.append(_sent(one, next(iter(selections))))
    notes = tuple(_worded(note, alone) for note in assigned.notes if note.receipt_id not in answered)
    return Placed(tuple(sent), replace(assigned, notes=notes))


def _key(one: NormalisedReceipt) -> tuple[int | None, str]:
    return one.receipt.server_id, one.job[:300]


def _selections_of_jobs(tenant_id: int, alone: Sequence[NormalisedReceipt]) -> dict[tuple[int | None, str], int]:
    """The selection of each job that these deliveries name, by server and name."""
    rows = Assignment.objects.of(tenant_id).filter(
        server_id__in={one.receipt.server_id for one in alone}, source_job__in={one.job[:300] for one in alone}, item=""
    )
    found = rows.values_list("server_id", "source_job", "job__selection_id")
    return {(server, job): selection for server, job, selection in found}


def _sent(one: NormalisedReceipt, selection_id: int) -> SentInventory:
    return SentInventory(
        receipt_id=one.receipt.id,
        selection_id=selection_id,
        received_at=one.receipt.received_at,
        content=one.inventory,
        rules=one.selection_rules,
    )


def _worded(note: InboxNote, alone: Sequence[NormalisedReceipt]) -> InboxNote:
    """Of an inventory that came alone: what is missing is not a format but the job it measures."""
    for one in alone:
        if one.receipt.id == note.receipt_id and one.brings_inventory_only:
            named = f'the job "{one.job}"' if one.job else "a delivery that names no job (--job)"
            detail = (
                f"It holds the inventory of a selection, and {named} is not known: there is nothing to measure for."
            )
            return replace(note, reason="unassigned", detail=detail, source_job=one.job[:300])
    return note
