"""Bareos 16 to 25: the job reports of its mails and logs, with the daemons' messages before them.

A fork of Bacula with the same layout: from release 23 times carry an offset, before that (and under some locales still)
they are the director's own. Figures and months may be those of the director's language.
"""

from __future__ import annotations

from integrations.logs.context import Context
from integrations.logs.director_report import runs_of
from integrations.logs.guide import Guide, Way
from integrations.logs.head import Head
from integrations.logs.joblog import Delivery, JobLog

LABEL = "Bareos"
MARKS = ("Bareos", "bareos")
GUIDE = Guide(
    releases="16 to 25",
    written_from="the job reports in the vendor's manual (English and German locale)",
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
        "Times in UTC where the report prints them without an offset and no time zone is known.",
    ),
    ways=(
        Way(
            "email",
            "Job mails (/etc/bareos/bareos-dir.d/messages/Standard.conf)",
            "Messages {\n  Name = Standard\n"
            '  MailCommand = "/usr/bin/bsmtp -h localhost -f \\"Bareos <bareos@%h>\\" '
            '-s \\"Bareos: %t %e of %c %l\\" %r"\n'
            "  Mail = @ADDRESS@ = all, !skipped, !saved, !audit\n}",
            language="text",
            note="Keep the mails of jobs that went well, too (Mail, not MailOnError): silence is what is watched.",
        ),
        Way(
            "http",
            "The log of one job",
            "echo 'list joblog jobid=JOBID' | bconsole | curl -sS -H \"Authorization: Bearer @KEY@\" --data-binary @- "
            '"@URL@/api/v1/logs?format=bareos"',
        ),
    ),
    notes=("The outcome is the Termination line: Backup OK, Backup OK -- with warnings, *** Backup Error ***.",),
)


def recognises(head: Head) -> bool:
    """A director's report or job messages that speak of Bareos."""
    return "JobId" in head.everything and any(word in head.everything for word in ("Bareos ", "bareos-", "Bareos:"))


def parse(body: Delivery, context: Context) -> tuple[JobLog, ...]:
    """One run per report; a log without one tells of jobs that have not ended."""
    return runs_of(body, context, product="bareos")
