"""Axcient x360Recover: devices and job histories of its public API.

A job's history tells each run with its status and times. A device tells its latest restore point, which is a backup
that was made, and its latest AutoVerify, the boot test of a restore point, as a verification. Used space is the
stored size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integrations.logs.api_rows import amount, listed_under, moment, reached_all, words
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Outcome, UnreadableLog
from integrations.logs.json_documents import nested
from integrations.logs.troubles import Troubles

LABEL = "Axcient x360Recover"
MARKS = ('"latest_local_rp"', '"latest_cloud_rp"', '"latest_autoverify_details"', '"rp"')
GUIDE = Guide(
    releases="x360Recover public API 0.3",
    written_from="the vendor's OpenAPI document and its examples; no real answer",
    operations=("backup", "verify"),
    sizes=(("stored_bytes", "local_usage of a device"),),
    cannot_tell=(
        "The size of the source: add a measurement of the selection.",
        "Failed runs in the list of devices: it holds the latest restore point only; a job's history tells them.",
        "The device in a job's history: name the job when sending it (&job=NAME).",
        "The alert mails: their layout is not documented, so they wait in the inbox.",
    ),
    ways=(
        Way(
            "http",
            "Ask for the devices every hour and send the answer (cron)",
            'curl -sS -H "X-API-Key: $AXCIENT_KEY" https://axapi.axcient.com/x360recover/device \\\n'
            '  | curl -sS -H "Authorization: Bearer @KEY@" --data-binary @- "@URL@/api/v1/logs?format=axcient"',
            note="Also the history of a job: /client/{id}/device/{id}/job/{id}/history.",
        ),
    ),
)

_POINTS = ("latest_local_rp", "latest_cloud_rp", "latest_vault_rp")


def recognises(head: Head) -> bool:
    """Rows of devices with restore points, or of a job's history."""
    return bool(_devices(head.document) or _history(head.document))


def _rows(document: Any) -> list[dict[str, Any]]:
    if isinstance(document, dict) and ("latest_local_rp" in document or "latest_cloud_rp" in document):
        return [document]
    return listed_under(document, "devices", "items", "data", "history")


def _devices(document: Any) -> list[dict[str, Any]]:
    found = [row for row in _rows(document) if "current_health_status" in row or "latest_autoverify_details" in row]
    return [row for row in found if any(point in row for point in _POINTS)]


def _history(document: Any) -> list[dict[str, Any]]:
    keys = {"status", "start_time", "end_time", "rp"}
    return [row for row in _rows(document) if keys <= set(row) and words(row, "status") in ("Completed", "Failed")]


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """The latest backup and boot test of each device, or each run of a job's history."""
    document = context.head.document
    runs = [run for row in _devices(document) for run in _runs_of_device(row, context)]
    runs += [_from_history(row, context) for row in _history(document)]
    if not runs:
        raise UnreadableLog("this JSON holds neither devices with restore points nor a job's history")
    return tuple(runs)


def _runs_of_device(row: Mapping[str, Any], context: Context) -> list[JobLog]:
    runs = [_backup(row, context)]
    checked = nested(dict(row), "latest_autoverify_details")
    return [*runs, _verify(row, checked, context)] if checked else runs


def _backup(row: Mapping[str, Any], context: Context) -> JobLog:
    """A device that backs up straight to the cloud has no local restore point."""
    at = moment(row.get("latest_local_rp"), context.zone)
    where = "appliance"
    if at is None and not words(row, "latest_local_rp"):
        at, where = moment(row.get("latest_cloud_rp"), context.zone), "cloud"
    told = words(row, "latest_local_rp", "latest_cloud_rp")
    health = nested(dict(row), "current_health_status")
    state = " ".join(filter(None, (words(health, "status"), words(health, "reason"))))
    stored = amount(row.get("local_usage"))
    return JobLog(
        product="axcient",
        operation="backup",
        outcome="success" if told else "unknown",
        run_id=f"{words(row, 'id')}-{told}" if told else "",
        source_job=words(row, "name"),
        item=words(row, "name"),
        host=words(row, "name"),
        repository=where if told else "",
        product_version=words(row, "agent_version"),
        ended_at=at,
        stored_bytes=stored,
        sources={"stored_bytes": "local_usage"} if stored is not None else {},
        notes=(f"health: {state}",) if state else (),
    )


def _verify(row: Mapping[str, Any], checked: dict[str, Any], context: Context) -> JobLog:
    healthy = checked.get("is_healthy")
    outcome: Outcome = "success" if healthy is True else "failure" if healthy is False else "unknown"
    troubles = Troubles()
    if outcome == "failure":
        troubles.add(f"AutoVerify of restore point {words(checked, 'rp')} is not healthy ({words(checked, 'status')})")
    return JobLog(
        product="axcient",
        operation="verify",
        outcome=outcome,
        action="autoverify",
        run_id=words(checked, "id"),
        source_job=words(row, "name"),
        item=words(row, "name"),
        host=words(row, "name"),
        archive=words(checked, "rp"),
        started_at=moment(checked.get("start_timestamp"), context.zone),
        ended_at=moment(checked.get("end_timestamp") or checked.get("timestamp"), context.zone),
        checksum_ok=healthy if isinstance(healthy, bool) else None,
        errors=troubles.kept,
        errors_total=troubles.total,
    )


def _from_history(row: Mapping[str, Any], context: Context) -> JobLog:
    outcome: Outcome = "success" if words(row, "status") == "Completed" else "failure"
    troubles = Troubles()
    if outcome == "failure":
        troubles.add(words(row, "error_msg") or "status: Failed")
    return JobLog(
        product="axcient",
        operation="backup",
        outcome=outcome,
        archive=words(row, "rp"),
        started_at=moment(row.get("start_time"), context.zone),
        ended_at=moment(row.get("end_time"), context.zone),
        complete=reached_all(outcome),
        errors=troubles.kept,
        errors_total=troubles.total,
    )
