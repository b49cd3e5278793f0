"""The proof behind the days of a line: for each selection and day the figure, the run, its receipt and telling facts.

Copied into the line and with it into the final document, so that a bill can be shown to rest on something long after
the runs themselves have gone. Read in one query for any number of lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from billing.days import DayValue
from billing.deciding_days import DecidedDays
from billing.figures import Figure, Ledger
from billing.ledger import CORRECTED
from billing.taking import Takes

RunKey = tuple[int, str]


@dataclass(frozen=True)
class RunProof:
    """A run and the delivery it was read from."""

    run_uid: str
    receipt_uid: str
    digest: str
    facts: str


PROOFS = """
SELECT r.job_id, r.run_key, r.uid, c.uid, c.digest, r.product, r.operation, r.outcome,
       to_char(r.ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), r.host,
       r.files_failed, r.errors_total
FROM jsonb_to_recordset(%(wanted)s::jsonb) AS w(job_id bigint, run_key text, run_month date)
JOIN backups_jobrun r ON r.tenant_id = %(tenant)s AND r.job_id = w.job_id AND r.run_key = w.run_key
    AND r.filed_month = w.run_month AND r.filed_month >= %(since)s AND r.filed_month <= %(until)s
LEFT JOIN ingest_receipt c ON c.tenant_id = r.tenant_id AND c.id = r.receipt_id
"""


def read_proofs(tenant_id: int, figures: Iterable[Figure]) -> dict[RunKey, RunProof]:
    """The runs of these figures by (job id, run key); a figure without a run (an agreed one) has none."""
    wanted = {
        (job_id, each.run_key, month)
        for figure in figures
        for each in (figure.runs or (figure,))
        if (job_id := each.job_id) is not None and (month := each.run_month) is not None
    }
    if not wanted:
        return {}
    months = [month for _, _, month in wanted]
    rows = [{"job_id": job, "run_key": key, "run_month": month} for job, key, month in wanted]
    values: dict[str, Any] = {
        "tenant": tenant_id,
        "wanted": orjson.dumps(rows).decode(),
        "since": min(months),
        "until": max(months),
    }
    with connection.cursor() as cursor:
        cursor.execute(PROOFS, values)
        return {(row[0], row[1]): _proof(row[2:]) for row in cursor.fetchall()}


def charged_figures(ledger: Ledger, selection_id: int, metric: str) -> dict[str, Figure]:
    """The figures that days of this selection may rest on, by source."""
    known = ledger.of(selection_id, metric)
    figures = [*known.counted, *known.largest, *([known.before] if known.before else [])]
    return {figure.source: figure for figure in figures}


def evidence_of(
    decided: Sequence[DecidedDays],
    ledger: Ledger,
    proofs: Mapping[RunKey, RunProof],
    *,
    metric: str,
    takes: Takes = "last",
    things: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """The evidence of a line as JSON, one object a selection.

    ``takes`` other than a day's last figure is told with it; ``things`` names the thing that each selection counts as.
    """
    told: dict[str, Any] = {} if takes == "last" else {"takes": takes}
    return [
        _of_selection(each, ledger, proofs, metric=metric)
        | told
        | ({"thing": things[each.covered.name]} if things else {})
        for each in decided
    ]


def _of_selection(
    decided: DecidedDays, ledger: Ledger, proofs: Mapping[RunKey, RunProof], *, metric: str
) -> dict[str, Any]:
    covered = decided.covered
    figures = charged_figures(ledger, covered.selection.pk, metric)
    return {
        "selection": str(covered.selection.uid),
        "selection_id": covered.selection.pk,
        "name": covered.name,
        "client": str(covered.client.uid),
        "client_name": covered.client.name,
        "metric": metric,
        "days": [_of_day(day, figures.get(day.source or ""), ledger, proofs) for day in decided.days],
    }


def _of_day(day: DayValue, figure: Figure | None, ledger: Ledger, proofs: Mapping[RunKey, RunProof]) -> dict[str, Any]:
    told: dict[str, Any] = {"day": day.day.isoformat(), "state": day.state, "quantity": day.quantity, "note": day.note}
    if figure is None:
        return told
    job = ledger.jobs.get(figure.job_id or 0)
    proof = proofs.get((figure.job_id or 0, figure.run_key))
    names = ledger.names.get((figure.source, figure.metric, figure.revision))
    told |= {"names": [name for _, name in names]} if names is not None else {}
    told |= {"runs": [_of_run(run, proofs) for run in figure.runs]} if figure.runs else {}
    if figure.reason.startswith(CORRECTED):
        told["corrected"] = figure.reason.removeprefix(CORRECTED)
    return told | {
        "basis": figure.basis,
        "source": figure.source,
        "revision": figure.revision,
        "measured_on": figure.local_day.isoformat(),
        "measured_at": _moment(figure.measured_at),
        "known_at": _moment(figure.known_at),
        "job": str(job.uid) if job else "",
        "job_name": job.name if job else "",
        "run_key": figure.run_key,
        "run_month": figure.run_month.isoformat() if figure.run_month else "",
        "run": proof.run_uid if proof else "",
        "receipt": proof.receipt_uid if proof else "",
        "receipt_digest": proof.digest if proof else "",
        "facts": proof.facts if proof else "",
    }


def _of_run(run: Figure, proofs: Mapping[RunKey, RunProof]) -> dict[str, Any]:
    """One of the runs that a day's figure is the sum of."""
    proof = proofs.get((run.job_id or 0, run.run_key))
    return {
        "source": run.source,
        "revision": run.revision,
        "quantity": run.quantity,
        "measured_at": _moment(run.measured_at),
        "run": proof.run_uid if proof else "",
        "receipt": proof.receipt_uid if proof else "",
        "receipt_digest": proof.digest if proof else "",
        "facts": proof.facts if proof else "",
    }


def _proof(row: Sequence[Any]) -> RunProof:
    run_uid, receipt_uid, digest, product, operation, outcome, ended_at, host, files_failed, errors = row
    facts = [f"{product} {operation}: {outcome}", f"ended {ended_at} UTC"]
    facts += [f"on {host}"] if host else []
    facts += [f"{files_failed} files failed"] if files_failed else []
    facts += [f"{errors} errors"] if errors else []
    return RunProof(str(run_uid), str(receipt_uid or ""), digest or "", ", ".join(facts))


def _moment(moment: datetime) -> str:
    return moment.isoformat()
