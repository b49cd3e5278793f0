"""Lines of documents as plain CSV, one row a line, with everything that a program of one's own could want."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from billing.exporting.contract import ExportFile, Span, csv_file, file_name
from billing.exporting.documents import ExportedDocument

LABEL = "CSV"
HELP = "Every line of every document, also of void ones; for spreadsheets and programs of your own."
COLUMNS = (
    "number", "kind", "state", "issued_on", "due_on", "first_day", "last_day", "bill_to", "customer_number",
    "order_number", "client", "description", "quantity", "unit", "net", "tax_category", "tax_percent", "currency",
    "document_net", "document_tax", "document_total",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Params:
    """Nothing to set."""


def export(documents: Sequence[ExportedDocument], *, params: Params, span: Span) -> ExportFile:
    """One row a line; ``last_day`` is the day after the period."""
    return csv_file(file_name("invoices", span, "csv"), [COLUMNS, *_rows(documents)])


def _rows(documents: Sequence[ExportedDocument]) -> Iterable[list[str]]:
    for document in documents:
        for line in document.lines:
            yield [
                document.number, document.kind, "void" if document.void else "final", document.issued_on.isoformat(),
                document.due_on.isoformat(), document.first_day.isoformat(), document.last_day.isoformat(),
                document.bill_to["legal_name"], document.customer_number, document.bill_to["order_number"],
                line.client, line.description, f"{line.quantity.normalize():f}", line.unit, f"{line.amount:f}",
                line.tax_category, f"{(line.tax_rate * 100).normalize():f}", document.currency, f"{document.net:f}",
                f"{document.tax:f}", f"{document.total:f}",
            ]  # fmt: skip
