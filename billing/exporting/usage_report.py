"""Usage without money: each selection and day that documents rest on, for departments that are told no prices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from billing.exporting.contract import ExportFile, Span, csv_file, file_name, living
from billing.exporting.documents import ExportedDocument

LABEL = "Usage without money"
HELP = "What was protected, a row for each selection and day, with no price in it."
COLUMNS = (
    "bill_to", "client", "selection", "metric", "day", "state", "quantity", "basis", "measured_on", "job", "note",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Params:
    """Nothing to set."""


def export(documents: Sequence[ExportedDocument], *, params: Params, span: Span) -> ExportFile:
    """One row a selection and day; quantities in bytes (or things), "" where nothing is charged."""
    return csv_file(file_name("usage", span, "csv"), [COLUMNS, *_rows(documents)])


def _rows(documents: Sequence[ExportedDocument]) -> Iterable[list[str]]:
    for document in living(documents):
        for proof in document.evidence:
            for day in proof.get("days", ()):
                quantity = day.get("quantity")
                yield [
                    document.bill_to["legal_name"], proof["client_name"], proof["name"], proof["metric"], day["day"],
                    day["state"], "" if quantity is None else str(quantity), day.get("basis", ""),
                    day.get("measured_on", ""), day.get("job_name", ""), day.get("note", ""),
                ]  # fmt: skip
