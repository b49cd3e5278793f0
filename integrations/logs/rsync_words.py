"""What is said of rsync's logs, and what its exit codes mean, from its manual: kept apart from the reading of them."""

from __future__ import annotations

from integrations.logs.guide import Guide, Way

GUIDE = Guide(
    releases="2.6 to 3.4, and openrsync's messages",
    written_from="real logs of runs of 3.5, and rsync's sources for other releases",
    operations=("backup", "restore"),
    basis="logical, hard links each time; symbolic links count by their length",
    sizes=(
        ("protected_bytes", "Total file size, total size is"),
        ("changed_bytes", "Total transferred file size"),
        ("transferred_bytes", "bytes sent, or received where the command line pulls from another host"),
    ),
    cannot_tell=(
        "Times (except in --log-file), an id of the run, the host.",
        "Sizes of -h and -hh without the command line: both print K, M and G and mean 1000 and 1024.",
        "Any size of a silent run: use --stats.",
    ),
    ways=(
        Way("wrapper", "With the wrapper", "backledger-run --job files -- rsync -a --stats /srv/data/ nas:/backup/"),
        Way(
            "http",
            "Without it",
            "rsync -a --stats /srv/data/ nas:/backup/ >out.log 2>&1; code=$?\n"
            'curl -sS -H "Authorization: Bearer @KEY@" --data-binary @out.log '
            '"@URL@/api/v1/logs?format=rsync&exit_code=$code"',
        ),
    ),
    notes=(
        "Read: --stats, -v, -i, -h, -hh, separators of thousands of other locales, --log-file, error lines, and "
        "silence.",
        "Exit codes: 0 good; 23 warning, or failure if no file was reached; 24 (vanished) and 25 (limit of "
        "deletions) warning; 20 cancelled; all others failure.",
        "rsnapshot's logs are another format's.",
    ),
)
MEANINGS = {
    1: "syntax or usage error",
    2: "protocol incompatibility",
    3: "errors selecting input or output files",
    5: "error starting the client-server protocol",
    10: "error in socket input or output",
    11: "error in file input or output",
    12: "error in the protocol data stream",
    13: "errors with program diagnostics",
    14: "error in inter-process communication",
    20: "interrupted by a signal",
    21: "error in waiting for a process",
    22: "error allocating memory",
    23: "partial transfer",
    24: "source files vanished",
    25: "the limit of deletions stopped deletions",
    30: "timeout in sending or receiving",
    35: "timeout waiting for the daemon",
    127: "rsync was not found",
    255: "the remote shell failed",
}
