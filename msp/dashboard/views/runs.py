"""A run and the log it was read from."""

from __future__ import annotations

import re
import uuid
from datetime import date

from django.http import HttpResponse
from django.shortcuts import render

from msp.backups.queries import JobRow, RunDetail, find_run, job_by_id, runs_of_receipt
from msp.dashboard.receipts import read_delivered, show_log
from msp.dashboard.scope import Refused, StaffRequest, found, staff_page
from msp.dashboard.typing_in import free_text


@staff_page
def show_run(request: StaffRequest, month: str, uid: uuid.UUID) -> HttpResponse:
    """The run, its figures, and a window of its log."""
    run, job = _find(request, month, uid)
    delivered = read_delivered(request.scope.reach, run)
    text, start = free_text(request.GET, "text", most=200), request.GET.get("from", "")
    log = None if delivered is None else show_log(
        delivered.lines,
        run,
        whole=delivered.whole,
        text=text,
        start=int(start) if re.fullmatch(r"[0-9]{1,9}", start) else None,
    )  # fmt: skip
    others = runs_of_receipt(request.scope.reach, run.receipt_id, around=run.row.ended_at.date(), limit=50)
    context = {
        "run": run,
        "job": job,
        "month": month,
        "log": log,
        "text_in_log": text,
        "others": [other for other in others if other.uid != uid],
    }
    return render(request, "run.html", context)


@staff_page
def download_log(request: StaffRequest, month: str, uid: uuid.UUID) -> HttpResponse:
    """What may be seen of the log, as a text file that no browser opens as anything else."""
    run, job = _find(request, month, uid)
    delivered = found(read_delivered(request.scope.reach, run), "log any more")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{job.client}-{job.name}").strip("-.")[:80] or "log"
    response = HttpResponse(
        "".join(f"{line.text}\n" for line in delivered.lines), content_type="text/plain; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="{name}-{run.row.ended_at:%Y%m%d-%H%M}.txt"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _find(request: StaffRequest, month: str, uid: uuid.UUID) -> tuple[RunDetail, JobRow]:
    try:
        filed = date.fromisoformat(f"{month}-01")
    except ValueError as error:
        raise Refused("There is no such month.", status=404) from error
    run = found(find_run(request.scope.reach, uid, month=filed), "run")
    return run, found(job_by_id(request.scope.reach, run.row.job_id), "job")
