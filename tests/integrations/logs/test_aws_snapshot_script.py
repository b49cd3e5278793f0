"""The snapshot script beyond its fixtures: a volume without its snapshot, failed deletions, the lines of 2012."""

from __future__ import annotations

from integrations.logs import read
from integrations.logs.joblog import Delivery, JobLog

FIRST = (
    "snapshotting vol-dcsdssa6 -- WSBU_Serv01:/dev/sda1 daily\n"
    "SNAPSHOT  snap-1a2b3c4d  vol-dcsdssa6  pending  2012-02-03T13:17:02+0000  111122223333  8  "
    "WSBU_Serv01:/dev/sda1 daily\n"
    "checking for snapshots to delete from vol-dcsdssa6\n"
    "deleting snapshot snap-0f0f0f0f for vol-dcsdssa6 -- WSBU_Serv01:/dev/sda1 daily\n"
)
DELETED = "SNAPSHOT  snap-0f0f0f0f\n"


def run_of(log: str, *, code: int | None = None) -> JobLog:
    return read(Delivery(stdout=log.encode(), exit_code=code)).runs[0]


def test_the_script_of_2012() -> None:
    run = run_of(FIRST + DELETED + "end\n")
    assert (run.outcome, run.source_job, run.protected_bytes, run.basis) == (
        "success",
        "daily",
        8 * 2**30,
        "provisioned",
    )
    assert [component.name for component in run.components] == ["vol-dcsdssa6"]
    assert run.started_at is not None
    assert run.started_at.isoformat() == "2012-02-03T13:17:02+00:00"


def test_a_volume_without_its_line_was_not_snapshotted() -> None:
    run = run_of(FIRST + DELETED + "snapshotting vol-2 -- db daily\nchecking for snapshots to delete from vol-2\nend\n")
    assert [(part.name, part.outcome) for part in run.components] == [("vol-dcsdssa6", "success"), ("vol-2", "failure")]
    assert (run.outcome, run.complete, run.protected_bytes) == ("failure", False, None)


def test_a_failed_deletion_leaves_the_snapshots_good() -> None:
    run = run_of(FIRST + "Client.InvalidSnapshot.InUse: The snapshot is currently in use by ami-1\nend\n")
    assert (run.outcome, run.errors[0].severity, run.errors[0].code) == (
        "warning",
        "warning",
        "Client.InvalidSnapshot.InUse",
    )


def test_without_end_or_with_a_code_it_failed() -> None:
    assert run_of(FIRST + DELETED).outcome == "failure"
    assert run_of(FIRST + DELETED + "end\n", code=1).outcome == "failure"
