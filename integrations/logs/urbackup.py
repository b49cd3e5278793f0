"""UrBackup: the log of a backup, and the status of the clients, as the server's API answers them.

Each client has up to two runs, its last file backup and its last image: both are jobs of their own. The answer tells
when the last one ended and whether all is in order, no size. A backup that is not in order is failed or too old: which
of them the status does not tell, so that it is unknown; one that never ran has no run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from integrations.logs.api_rows import amount, listed_under, moment, words
from integrations.logs.context import Context
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog, Outcome, UnreadableLog
from integrations.logs.troubles import Troubles
from integrations.logs.urbackup_logs import is_backup_log, run_of_log

LABEL = "UrBackup"
MARKS = ('"file_ok"', '"image_ok"', '"clientname"')
GUIDE = Guide(
    releases="server 2.x, logs and status of its web interface's API",
    written_from="the server's sources and the documented fields of the status; no real answer",
    operations=("backup", "restore"),
    cannot_tell=(
        "Any size: add a measurement of the selection.",
        "By the status: whether a backup that is not in order failed or is only old: it is unknown.",
        "The report mails: they wait in the inbox.",
    ),
    ways=(
        Way(
            "pull",
            "Settings, Pull sources, UrBackup: the log of every backup",
            "https://urbackup.example.com/x with a user that may see logs",
            language="text",
            note="See docs/pull.md for the user's rights. Do not send the status as well: its runs would come twice.",
        ),
        Way(
            "http",
            "Ask the server every hour (cron, with its Python client)",
            "python3 -c \"import json, urbackup_api; s = urbackup_api.urbackup_server('http://127.0.0.1:55414/x', "
            "'$ADMIN', '$PASSWORD'); print(json.dumps({'status': s.get_status()}))\" | curl -sS -H "
            '"Authorization: Bearer @KEY@" --data-binary @- "@URL@/api/v1/logs?format=urbackup"',
        ),
    ),
)


def recognises(head: Head) -> bool:
    """Rows of clients with the two flags of the status, or the log of one backup with its row."""
    return is_backup_log(head.document) or any(True for _ in _clients(head.document))


def _clients(document: Any) -> Iterator[dict[str, Any]]:
    for row in listed_under(document, "status", "clients"):
        if "file_ok" in row and ("lastbackup" in row or "image_ok" in row):
            yield row


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """The one run of a log, or up to two runs for each client of a status."""
    if is_backup_log(context.head.document):
        return (run_of_log(context.head.document),)
    runs = tuple(run for client in _clients(context.head.document) for run in _runs(client))
    if not runs:
        raise UnreadableLog("no client of this status has a backup")
    return runs


def _runs(client: Mapping[str, Any]) -> Iterator[JobLog]:
    files, image = moment(client.get("lastbackup")), moment(client.get("lastbackup_image"))
    if files and client.get("file_disabled") is not True:
        issues = amount(client.get("last_filebackup_issues")) or 0
        yield _run(client, "file", files, client.get("file_ok"), issues)
    if image and client.get("image_disabled") is not True:
        yield _run(client, "image", image, client.get("image_ok"), 0)


def _run(client: Mapping[str, Any], kind: str, ended: datetime, good: Any, issues: int) -> JobLog:
    outcome: Outcome = "unknown" if good is not True else "warning" if issues else "success"
    troubles = Troubles()
    if issues:
        troubles.add(f"{issues} issues in the last file backup", severity="warning")
    name = words(client, "name")
    return JobLog(
        product="urbackup",
        operation="backup",
        outcome=outcome,
        run_id=f"{words(client, 'id') or name} {kind} {ended.isoformat()}",
        source_job=f"{name} {kind}",
        item=f"{name} {kind}",
        host=name,
        account=words(client, "groupname"),
        product_version=words(client, "client_version_string"),
        ended_at=ended,
        complete=True if outcome == "success" else None,
        errors=troubles.kept,
        errors_total=max(troubles.total, issues),
        notes=("the server calls this backup not in order: failed or too old",) if good is not True else (),
    )
