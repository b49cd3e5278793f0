"""Datto BCDR (SIRIS, ALTO, NAS): the assets of a device, as Datto's REST API answers them.

An asset is a protected machine or share. Its list of backups tells each run, the local verification and the
screenshot of the booted copy; without that list the last snapshot is the newest backup. Screenshots are verifications
of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integrations.logs.api_rows import listed_under, moment, reached_all, rows_of, words
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Outcome, UnreadableLog
from integrations.logs.json_documents import listed, nested
from integrations.logs.troubles import Troubles

LABEL = "Datto BCDR"
MARKS = ('"lastSnapshot"',)
GUIDE = Guide(
    releases="Datto REST API v1 (bcdr/device/{serialNumber}/asset)",
    written_from="the vendor's example answer as public clients quote it; the words of a status are not documented",
    operations=("backup", "verify"),
    cannot_tell=(
        "Any size of an asset: add a measurement of the selection.",
        "The client: send each device with a server of its own, or assign by the asset's name.",
        "A status in words other than success, failure or error: it is unknown.",
        "The alert mails: their layout is not documented, so they wait in the inbox.",
    ),
    ways=(
        Way(
            "http",
            "Ask for a device's assets every hour and send the answer (cron)",
            'curl -sS -u "$DATTO_PUBLIC:$DATTO_SECRET" https://api.datto.com/v1/bcdr/device/$SERIAL/asset \\\n'
            '  | curl -sS -H "Authorization: Bearer @KEY@" --data-binary @- "@URL@/api/v1/logs?format=datto-bcdr"',
            note="Each asset is a run of its own and can be assigned to its client.",
        ),
    ),
)

_GOOD = ("success", "successful", "succeeded", "ok", "complete", "completed", "passed")
_BAD = ("failure", "failed", "fail", "error")
_RUNNING = ("running", "in progress", "inprogress", "in_progress", "started")


def recognises(head: Head) -> bool:
    """Rows of assets: a last snapshot beside what only assets of Datto's have."""
    return bool(_assets(head.document))


def _assets(document: Any) -> list[dict[str, Any]]:
    rows = [document] if isinstance(document, dict) and "lastSnapshot" in document else listed_under(document, "items")
    telling = {"latestOffsite", "localSnapshots", "lastScreenshotAttempt", "isArchived", "protectedVolumesCount"}
    return [row for row in rows if "lastSnapshot" in row and len(telling & set(row)) >= 2]


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """The backups of each asset, newest first as the API has them, and the newest screenshot."""
    assets = _assets(context.head.document)
    if not assets:
        raise UnreadableLog("this JSON holds no assets of a Datto device")
    return tuple(run for row in assets for run in _runs(row, context))


def _runs(row: Mapping[str, Any], context: Context) -> list[JobLog]:
    if row.get("isArchived") is True:
        return [_asset_run(row, "skipped", notes=("the asset is archived: it is backed up no more",))]
    told = [_from_backup(row, one, context) for one in rows_of(listed(dict(row), "backups")) if words(one, "timestamp")]
    runs = told or [_from_snapshot(row, context)]
    screenshot = _screenshot(row, context)
    return [*runs, screenshot] if screenshot else runs


def _asset_run(row: Mapping[str, Any], outcome: Outcome, **more: Any) -> JobLog:
    name = words(row, "name")
    return JobLog(
        product="datto-bcdr",
        operation="backup",
        outcome=outcome,
        source_job=name,
        item=name,
        host=words(row, "fqdn", "name"),
        product_version=words(row, "agentVersion"),
        **more,
    )


def _outcome(status: str) -> Outcome:
    status = status.lower()
    if status in _GOOD:
        return "success"
    return "failure" if status in _BAD else "running" if status in _RUNNING else "unknown"


def _from_backup(row: Mapping[str, Any], one: dict[str, Any], context: Context) -> JobLog:
    backup, checked = nested(one, "backup"), nested(one, "localVerification")
    outcome = _outcome(words(backup, "status"))
    troubles = Troubles()
    if outcome == "failure" or (outcome != "success" and words(backup, "errorMessage")):
        troubles.add(words(backup, "errorMessage") or f"status: {words(backup, 'status')}")
    for error in rows_of(listed(checked, "errors")):
        troubles.add(
            words(error, "errorMessage") or "local verification failed",
            code=words(error, "errorType") or None, component="local verification", severity="warning",
        )  # fmt: skip
    at = moment(one.get("timestamp"), context.zone)
    outcome = "warning" if outcome == "success" and troubles.total else outcome
    return _asset_run(
        row,
        outcome,
        run_id=f"{words(row, 'volume', 'name')}-{words(one, 'timestamp')}",
        started_at=at if outcome == "running" else None,
        ended_at=None if outcome == "running" else at,
        complete=reached_all(outcome),
        errors=troubles.kept,
        errors_total=troubles.total,
    )


def _from_snapshot(row: Mapping[str, Any], context: Context) -> JobLog:
    """Where no backups are listed: the last snapshot is one that was made."""
    at = moment(row.get("lastSnapshot"), context.zone)
    notes = ["the asset is paused"] if row.get("isPaused") is True else []
    if at is None:
        return _asset_run(row, "unknown", notes=(*notes, "the asset has no snapshot yet"))
    return _asset_run(
        row, "success", run_id=f"{words(row, 'volume', 'name')}-{int(at.timestamp())}", ended_at=at, notes=tuple(notes)
    )


def _screenshot(row: Mapping[str, Any], context: Context) -> JobLog | None:
    at, status = moment(row.get("lastScreenshotAttempt"), context.zone), row.get("lastScreenshotAttemptStatus")
    if at is None:
        return None
    outcome: Outcome = "success" if status is True else "failure" if status is False else "unknown"
    troubles = Troubles()
    if outcome == "failure":
        troubles.add("the screenshot of the booted backup failed")
    return JobLog(
        product="datto-bcdr",
        operation="verify",
        outcome=outcome,
        action="screenshot",
        run_id=f"{words(row, 'volume', 'name')}-screenshot-{int(at.timestamp())}",
        source_job=words(row, "name"),
        item=words(row, "name"),
        host=words(row, "fqdn", "name"),
        ended_at=at,
        checksum_ok=status if isinstance(status, bool) else None,
        errors=troubles.kept,
        errors_total=troubles.total,
    )
