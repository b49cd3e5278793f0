"""The words of rclone and about it: the guide, its commands and what each does, and the patterns of its lines.

Read by the format alone. Patterns are bounded, and those that many lines are tried against begin with a fixed word.
"""

from __future__ import annotations

import re

from integrations.logs.guide import Guide, Way
from integrations.logs.joblog import Operation

GUIDE = Guide(
    releases="1.40 to 1.71",
    written_from="real logs of runs of 1.60, and rclone's sources for other releases",
    operations=("copy", "verify", "prune", "inventory"),
    basis="logical, each file with its size; only rclone size of a local folder tells it",
    sizes=(
        ("transferred_bytes", "Transferred, stats.bytes"),
        ("stored_bytes", "rclone size of a remote"),
        ("protected_bytes", "rclone size of a local folder"),
    ),
    cannot_tell=(
        "The protected size of a copy or sync: only what was moved. Add a run of rclone size --json /srv/data.",
        "An id of the run, the host.",
        "The outcome without an exit code, unless the log holds its last statistics (-v).",
    ),
    ways=(
        Way(
            "wrapper",
            "With the wrapper",
            "backledger-run --job offsite -- rclone sync /srv/data nas:data -v --use-json-log --stats=1h",
        ),
        Way(
            "wrapper",
            "The size of the source",
            "backledger-run --job offsite-size -- rclone size --json /srv/data",
        ),
        Way(
            "http",
            "Without it",
            "rclone sync /srv/data nas:data -v --stats=1h >out.log 2>&1; code=$?\n"
            'curl -sS -H "Authorization: Bearer @KEY@" --data-binary @out.log '
            '"@URL@/api/v1/logs?format=rclone&timezone=Europe/Berlin&exit_code=$code"',
        ),
    ),
    notes=(
        "Exit codes: 0 and 9 (nothing to transfer) good; 8 and 10 (a limit of size or time was reached) warning; all "
        "others failure: rclone deletes nothing at the destination after an error, but other files are copied.",
        "Errors of an attempt that a later attempt made good are shown as warnings of a good run.",
    ),
)  # fmt: skip

COPIES = ("sync", "copy", "copyto", "move", "moveto", "bisync", "copyurl", "rcat")
PRUNES = ("delete", "deletefile", "purge", "cleanup", "rmdir", "rmdirs", "dedupe")
LISTS = ("ls", "lsl", "lsd", "lsf", "lsjson", "tree", "about", "listremotes", "ncdu", "hashsum", "md5sum", "sha1sum")
OPERATIONS: dict[str, tuple[Operation, str]] = {
    **dict.fromkeys(COPIES, ("copy", "")),
    **dict.fromkeys(PRUNES, ("prune", "")),
    **dict.fromkeys(LISTS, ("inventory", "list")),
    **dict.fromkeys(("check", "cryptcheck", "checksum"), ("verify", "")),
    "size": ("inventory", "stats"),
}
FAILED_TO: dict[str, str] = {
    "sync": "sync", "copy": "copy", "copyto": "copyto", "move": "move", "check": "check", "cryptcheck": "check",
    "size": "size", "delete": "delete", "purge": "purge", "moveto": "moveto", "bisync": "bisync",
}  # fmt: skip
VALUED = frozenset({
    "--config", "--log-file", "--log-level", "--stats", "--transfers", "--checkers", "--bwlimit", "--retries", "-f",
    "--filter", "--filter-from", "--exclude", "--exclude-from", "--include", "--include-from", "--files-from",
    "--backup-dir", "--suffix", "--max-delete", "--max-transfer", "--max-duration", "--max-age", "--min-age",
    "--max-size", "--min-size", "--low-level-retries", "--timeout", "--contimeout", "--stats-log-level", "--order-by",
    "--log-format", "--compare-dest", "--copy-dest", "--max-depth", "--tpslimit", "--multi-thread-streams",
    "--buffer-size", "--drive-chunk-size", "--s3-chunk-size", "--user-agent", "--modify-window", "--combined",
    "--differ", "--missing-on-src", "--missing-on-dst", "--match", "--error", "--retries-sleep", "--cache-dir",
})  # fmt: skip
_DATE = r"[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
SIGNS = re.compile(
    rf"^(?:{_DATE} (?:\[[0-9]+\] )?(?:\S+\.go:[0-9]+: )?(?:INFO  |NOTICE|ERROR |DEBUG |CRITICAL|ALERT |EMERGENCY): "
    rf"|{_DATE} Failed to (?:sync|copy|copyto|move|moveto|bisync|check|cryptcheck|size|delete|purge|ls|lsd"
    r"|create file system for) ?"
    r"|Transferred: +\t *[0-9.]+ ?[kKMGTPE]?i?B? / [0-9.]+ ?[kKMGTPE]?i?B)",
    re.M,
)
LINE = re.compile(
    rf"(?:<[0-7]>)?(?:({_DATE}) )?(?:\[[0-9]{{1,10}}\] )?(?:[\w/.-]{{1,200}}\.go:[0-9]{{1,6}}: )?"
    r"(?:(INFO  |NOTICE|ERROR |DEBUG |CRITICAL|ALERT |EMERGENCY|WARNING): )?(.*)$"
)
_SIZE = r"([0-9.]{1,20}) ?([kKMGTPE]?)(?:i?B|[Bb]ytes?|Bytes)?"
MOVED = re.compile(rf"(?:Transferred:\s+)?{_SIZE} / {_SIZE}(?:ytes|Bytes)?, (?:([0-9]{{1,3}})%|-)")
MOVED_OLD = re.compile(r"Transferred:\s+([0-9.]{1,20}) ([kKMGTP]?)Bytes \(")
OF = re.compile(
    r"(Transferred|Checks|Deleted|Renamed|Errors):\s+([0-9]{1,15})(?: / ([0-9]{1,15}), (?:[0-9]{1,3}%|-))?(?= \(|$|, )"
)
ELAPSED = re.compile(r"Elapsed time:\s+(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?([0-9.]{1,12})s")
DIFFERENCES = re.compile(r"(?:^|: )([0-9]{1,12}) (differences found|matching files|errors while checking)$")
FATAL = re.compile(
    r"Failed to |Fatal error: |Command \S+ needs |Error: (?:unknown|invalid|required|accepts)|Bisync aborted"
    r"|Bisync critical error|panic: |fatal error: "
)
ATTEMPT = re.compile(r"Attempt ([0-9]{1,6})/([0-9]{1,6}) (failed|succeeded)")
KNOWN = re.compile(
    r"(.{1,4000}?): ((?:Failed to |[Ee]rror |not deleting |[Ss]izes differ|md5 differ|sha1 differ|[Cc]orrupted on|"
    r"[Ff]ile not in |[Cc]ouldn't |[Cc]an't |Entry doesn't belong|Update: |Copy: |Source and destination).*)$"
)
TOTALS = re.compile(r"Total (objects|size): .{0,60}?(?:\(([0-9]{1,20})(?: Bytes?| B)?\)|: ([0-9]{1,20})(?: B)?)$")
PLAIN_COUNT = re.compile(r"Total objects: +([0-9]{1,20})$")
DRY = ("as --dry-run is set", "Not deleting as --dry-run", "Not copying as --dry-run", "Not updating as --dry-run")
DONE = ("Copied (", "Multi-thread Copied (", "Moved (", "Copied with ")
FATAL_STEP = re.compile(r"(?:Cancelling sync due to fatal error|Got fatal error on [a-z ]{1,40}): ")
