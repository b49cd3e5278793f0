"""Prints the figures as a table, each beside what it is to be compared with. Called by ``tests.bench.__main__``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.bench.draining import CALLS_PER_MINUTE, Drained, Storm
from tests.bench.ingesting import LINES, Flow
from tests.bench.invoicing import Invoiced
from tests.bench.measuring import Metered
from tests.bench.sweeping import Idle, Swept
from tests.bench.trying import Tried

#: A self-hosted Healthchecks 4.3 on PostgreSQL, four uWSGI processes, 2 kB bodies, two cores: posts, overdue checks.
PEER_POSTS, PEER_CHECKS = 138, 132
#: So many seconds a preview may take.
AIM_PREVIEW = 3.0
#: So many milliseconds a sweep may take that finds nothing due.
AIM_IDLE = 50.0
WIDTH = 44


@dataclass(frozen=True)
class Results:
    """``limit``: receipts a second of a bare COPY; ``statements`` by number of receipts; ``peaks``: MiB by process."""

    limit: float
    single: Flow
    batch: Flow
    statements: Mapping[int, int]
    swept: Swept
    idle: Idle
    peaks: Mapping[str, tuple[float, ...]]
    metered: tuple[Metered, ...]
    tried: tuple[Tried, ...]
    drained: Drained
    storm: Storm
    invoiced: Invoiced


def tell(results: Results) -> None:
    say("")
    row("Limit: COPY of the same receipts and bodies", f"{results.limit:9,.0f} receipts/s")
    tell_flow("Single posts", results.single, limit=results.limit)
    tell_waits(results.single)
    tell_flow(f"Batches of {LINES} logs", results.batch, limit=results.limit)
    for number, count in results.statements.items():
        row(f"Statements for a batch of {number}", f"{count:9,}")
    tell_sweep(results.swept)
    idle = results.idle
    row(
        f"Sweep over {idle.jobs:,} jobs, none due",
        f"{idle.milliseconds:9.1f} ms       {times(AIM_IDLE / idle.milliseconds)} as quick as {AIM_IDLE:.0f} ms",
    )
    for one in results.metered:
        row(f"Selection meter, one core: {one.kind}", f"{one.paths_per_minute:9,.0f} paths/minute")
    for tried in results.tried:
        tell_preview(tried)
    tell_drain(results.drained, results.storm)
    tell_invoices(results.invoiced)
    for name, sizes in results.peaks.items():
        row(f"Memory, peak: {name}", f"{max(sizes):9,.0f} MiB   largest of {len(sizes)}")


def tell_invoices(invoiced: Invoiced) -> None:
    what = f"Invoices of {invoiced.clients:,} clients, {invoiced.entries:,} entries"
    together = invoiced.drafting + invoiced.finalising
    row(f"{what}: drafted", f"{invoiced.drafting:9,.1f} s")
    row("  made final", f"{invoiced.finalising:9,.1f} s   {invoiced.invoices_per_minute:,.0f} invoices/minute in all")
    row(
        "  of the limit (aggregate and COPY)",
        f"{invoiced.limit:9,.1f} s   {times(together / invoiced.limit)} the limit",
    )
    row("  drafted again, nothing changed", f"{invoiced.again:9,.1f} s   {invoiced.written:,} rows written")
    row("  memory, peak of the process", f"{invoiced.peak:9,.0f} MiB")


def tell_flow(what: str, flow: Flow, *, limit: float) -> None:
    accepted, processed = flow.accepted_per_second, flow.processed_per_second
    row(f"{what}: accepted", f"{accepted:9,.0f} logs/s   {times(accepted / PEER_POSTS)} of {PEER_POSTS}/s")
    row(
        f"{what}: processed to incidents",
        f"{processed:9,.0f} logs/s   {times(processed / PEER_POSTS)} of {PEER_POSTS}/s",
    )
    row(f"{what}: accepted of the limit", f"{accepted / limit:9.1%}")
    row(f"{what}: processed of the accepted", f"{processed / accepted:9.1%}")


def tell_waits(flow: Flow) -> None:
    half, most = flow.posted.percentile(0.5) * 1000, flow.posted.percentile(0.99) * 1000
    row("Single posts: answered after", f"{half:9,.0f} ms       99 % within {most:,.0f} ms")


def tell_sweep(swept: Swept) -> None:
    rate = swept.checks_per_second
    row(
        "Sweep: overdue jobs found and evaluated",
        f"{rate:9,.0f} checks/s {times(rate / PEER_CHECKS)} of {PEER_CHECKS}/s",
    )
    row("Sweep: of the limit", f"{rate / swept.limit:9.1%}          COPY of the same rows: {swept.limit:,.0f} jobs/s")
    row("Sweep: opened", f"{swept.incidents:9,} incidents, {swept.tickets:,} tickets, of {swept.jobs:,} due jobs")


def tell_preview(tried: Tried) -> None:
    row(
        f"Preview of a rule, {tried.runs // tried.jobs} days x {tried.jobs:,} jobs",
        f"{tried.seconds:9.2f} s        {times(AIM_PREVIEW / tried.seconds)} as quick as {AIM_PREVIEW:.0f} s",
    )
    row("", f"          {tried.rule}; both settings differ on {tried.differ:,} jobs")


def tell_drain(drained: Drained, storm: Storm) -> None:
    row(
        f"Telling {drained.incidents:,} incidents, one worker",
        f"{drained.per_minute:9,.0f} tickets/minute, {drained.share:.1%} of the {CALLS_PER_MINUTE:,} allowed",
    )
    row("", f"          opened within {drained.opening_seconds:.0f} s, {drained.doubled} told twice")
    row("Telling: memory, peak", f"{drained.start_mib:9,.0f} MiB at its start, {drained.end_mib:,.0f} MiB in the end")
    row(f"Storm of {storm.incidents:,} from one dead server", f"{storm.tickets:9,} ticket, {storm.seconds:.0f} s")


def times(ratio: float) -> str:
    return f"{ratio:5.1f} times"


def row(name: str, figure: str) -> None:
    say(f"{name:<{WIDTH}}{figure}")


def say(text: str) -> None:
    print(text, flush=True)
