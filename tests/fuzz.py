"""A longer fuzz of every log format: ``make fuzz`` (ARGS="--seconds 600 --format tar --seed 7").

Fixtures are cut, doubled, shuffled, mixed with those of other products and sprinkled with hostile bytes; every reading
must come back with runs or a reason, safe texts and plausible figures, in time linear in its length and within 64 MiB.
What breaks is written to .fuzz/ as a folder that ``parse`` reads, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, process_time

from integrations.logs import FORMATS, Reading, read
from integrations.logs.joblog import MAX_ERRORS, MAX_TEXT, Delivery, JobLog
from integrations.logs.report import delivery_from_files

FIXTURES = Path(__file__).parent / "fixtures" / "logs"
BROKEN = Path(__file__).parents[1] / ".fuzz"
#: Seconds of one core that a log of at most this many bytes may take: far above what any honest one does.
MOST_BYTES, MOST_SECONDS = 400_000, 3.0
MEMORY = 64 * 2**20
HOSTILE = (
    b"\x00", b"\xff\xfe", b"\x1b[31m", b"\r", b"\r\n", b"\n\n", b'"', b"{", b"}", b"[" * 500, b"<tr><td>", b"&#x1f4a9;",
    b"99999999999999999999999999", b"-1", b"1e400", b"NaN", b"2026-02-30 25:61:61", b"0001-01-01 00:00:00", b"\xc3\x28",
    b"=?utf-8?q?", b"Content-Type: multipart/mixed; boundary=x\n", b": " * 200, b" " * 300, b"a" * 5000,
    b"../../etc/passwd", b"%s%n",
)  # fmt: skip


@dataclass(frozen=True)
class Seed:
    """A fixture as it would be delivered."""

    product: str
    name: str
    delivery: Delivery


def load_seeds(only: str) -> list[Seed]:
    folders = sorted(path.parent for path in FIXTURES.glob("*/*/expected.json"))
    return [
        Seed(folder.parent.name, folder.name, delivery_from_files({p.name: p.read_bytes() for p in folder.iterdir()}))
        for folder in folders
        if only in ("", folder.parent.name)
    ]


def mutated(seed: Seed, seeds: Sequence[Seed], chance: random.Random) -> Delivery:
    """One to six changes; the format is named half of the time, so that parsers see what they would not recognise."""
    stdout, stderr = seed.delivery.stdout, seed.delivery.stderr
    for _ in range(chance.randint(1, 6)):
        if stderr and chance.random() < 0.3:
            stderr = change(stderr, chance.choice(seeds).delivery.stdout, chance)
        else:
            stdout = change(stdout, chance.choice(seeds).delivery.stdout, chance)
    return replace(
        seed.delivery,
        stdout=stdout[:MOST_BYTES],
        stderr=stderr[:MOST_BYTES],
        format=seed.product if chance.random() < 0.5 else "",
        exit_code=chance.choice([None, 0, 1, 2, 23, 255, -9, seed.delivery.exit_code]),
        timezone=chance.choice([None, "UTC", "Europe/Berlin", "America/New_York", seed.delivery.timezone]),
        command=seed.delivery.command if chance.random() < 0.7 else "",
    )


def change(body: bytes, other: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(body) + 1)
    till = min(len(body), at + chance.choice((1, 8, 200, 5000)))
    kind = chance.randrange(8)
    if kind == 0:
        return body[:at]
    if kind == 1:
        return body[:at] + body[till:]
    if kind == 2:
        return body[:at] + body[at:till] * chance.choice((2, 30)) + body[till:]
    if kind == 3:
        return body[:at] + chance.choice(HOSTILE) * chance.choice((1, 1, 40)) + body[at:]
    if kind == 4:
        return body[:at] + bytes(chance.randrange(256) for _ in range(till - at)) + body[till:]
    if kind == 5:
        start = chance.randrange(len(other) + 1)
        return body[:at] + other[start : start + 3000] + body[at:]
    lines = body.split(b"\n")
    if kind == 6:
        chance.shuffle(lines)
        return b"\n".join(lines)
    return body.replace(*chance.choice(((b" ", b"\t"), (b"0", b"9"), (b":", b": :"), (b"\n", b"\r\n"), (b".", b","))))


def faults(delivery: Delivery, reading: Reading, seconds: float) -> Iterator[str]:
    """What is wrong with a reading, whatever the bytes were."""
    if (reading.error or "").startswith(("parser failed", "The log could not be opened")):
        yield str(reading.error)
    if not reading.runs and not reading.error:
        yield "neither runs nor a reason"
    if seconds > MOST_SECONDS:
        yield f"took {seconds:.1f} seconds for {len(delivery.stdout) + len(delivery.stderr):,} bytes"
    for run in reading.runs:
        yield from faults_of(run)


def faults_of(run: JobLog) -> Iterator[str]:
    texts = [run.source_job, run.item, run.host, run.archive, run.repository, *run.roots, *run.notes]
    texts += [text for error in run.errors for text in (error.message, error.path or "", error.code or "")]
    texts += [text for part in run.components for text in (part.type, part.name, part.message)]
    if any(len(text) > MAX_TEXT or set(text) & set("\x00\x07\x1b") for text in texts):
        yield "a text that is not safe to store or to show"
    if len(run.errors) > MAX_ERRORS or run.errors_total < len(run.errors):
        yield "errors beyond their limit, or fewer counted than kept"
    if run.protected_bytes is None and run.basis is not None and not run.problems:
        yield "a basis without a protected size"
    if any(moment is not None and moment.utcoffset() is None for moment in (run.started_at, run.ended_at)):
        yield "a time without its offset"


def keep(delivery: Delivery, number: int) -> Path:
    folder = BROKEN / f"{number:04}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stdout.log").write_bytes(delivery.stdout)
    (folder / "stderr.log").write_bytes(delivery.stderr)
    (folder / "command.txt").write_text(
        f"# exit code: {delivery.exit_code}\n# TZ={delivery.timezone}\n$ {delivery.command}\n"
    )
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--format", default="", choices=["", *FORMATS])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    asked = parser.parse_args()
    seeds, chance = load_seeds(asked.format), random.Random(asked.seed)
    print(f"{len(seeds)} fixtures of {len({seed.product for seed in seeds})} products, seed {asked.seed}")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    begun, tried, found, outcomes = monotonic(), 0, 0, Counter[str]()
    while monotonic() - begun < asked.seconds:
        delivery = mutated(chance.choice(seeds), seeds, chance)
        clock = process_time()
        reading = read(delivery)
        tried += 1
        outcomes[reading.outcome if reading.runs else "refused"] += 1
        for fault in faults(delivery, reading, process_time() - clock):
            found += 1
            print(f"{keep(delivery, found)}: {reading.format}: {fault}")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    if grown > MEMORY:
        found += 1
        print(f"memory grew by {grown / 2**20:.0f} MiB")
    print(f"{tried} logs read, {found} faults, memory +{grown / 2**20:.0f} MiB; {dict(outcomes.most_common())}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
