"""Bacula 5 to 15: the job reports of its mails and logs, with the daemons' messages before them.

The verdict is the Termination line, never the word "Error" in a banner. Times are the director's, without a zone:
UTC comes from the server's zone or from the hour at which the mail was sent. The selection's size is known of full
backups only; compression is undone by the share that the report prints, rounded.
"""

from __future__ import annotations

import re

from integrations.logs.context import Context
from integrations.logs.director_report import runs_of
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog

LABEL = "Bacula"
MARKS = ("Bacula", "JobId ")
GUIDE = Guide(
    releases="5 to 15 (run: 9.6)",
    written_from="real job mails of Bacula 9.6, and the words of its director's sources",
    operations=("backup", "copy", "restore", "verify"),
    basis="full backups only: what the file daemon read, hard links once; behind compression derived from its share",
    sizes=(
        ("protected_bytes", "FD Bytes Written of a full backup"),
        ("changed_bytes", "FD Bytes Written of an incremental or differential one"),
        ("transferred_bytes", "SD Bytes Written"),
        ("restored_bytes", "Bytes Restored"),
    ),
    cannot_tell=(
        "The selection's size of incremental and differential backups.",
        "An exact size behind compression: its share is printed with one decimal place.",
        "Times in UTC where neither the server's time zone nor the mail's date tells the offset.",
        "How many copies an incremental backup needs to be restored.",
    ),
    ways=(
        Way(
            "email",
            "Job mails (bacula-dir.conf)",
            "Messages {\n  Name = Standard\n"
            '  mailcommand = "/usr/sbin/bsmtp -h localhost -f \\"Bacula <bacula@%h>\\" '
            '-s \\"Bacula: %t %e of %c %l\\" %r"\n'
            "  mail = @ADDRESS@ = all, !skipped\n}",
            language="text",
            note="Keep the mails of jobs that went well, too (mail, not mail on error): silence is what is watched.",
        ),
        Way(
            "http",
            "A script after each job",
            "RunScript {\n  RunsWhen = After\n  RunsOnFailure = yes\n  RunsOnClient = no\n"
            '  Command = "/bin/sh -c \'echo messages | bconsole | curl -sS -H \\"Authorization: Bearer @KEY@\\" '
            "--data-binary @- @URL@/api/v1/logs?format=bacula'\"\n}",
            language="text",
        ),
    ),
    notes=(
        "The outcome is the Termination line: Backup OK, Backup OK -- with warnings, *** Backup Error ***.",
        "A request for a volume is a running job that waits for an operator.",
    ),
)
_REPORT = re.compile(r"\bBacula(?: Enterprise)? \S{1,128} \d[\w.]{0,30} ?\(")
_MESSAGE = re.compile(r"^\d{1,2}-[^\W\d_]{3,5}\.?(?:-\d{4})? \d{2}:\d{2}(?::\d{2})? \S{1,128} JobId \d{1,10}: ", re.M)


def recognises(head: Head) -> bool:
    """The banner of a director's report, or messages of jobs in a log that does not speak of Bareos."""
    if "Bareos" in head.everything or "bareos" in head.everything:
        return False
    return head.has(_REPORT) or _REPORT.search(head.tail) is not None or head.has(_MESSAGE)


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run per report; a log without one tells of jobs that have not ended."""
    return runs_of(body, context, product="bacula")
