"""``python -m tests.bench``: all measurements, one after the other, bounded in number and time; prints a table.

Called by ``make bench``, which starts the servers; docs/performance.md says how to read the figures. Ends with 1 when
logs were refused or lost, never because a figure is low.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.database import describe_server, own_database, prepare_tables


@dataclass(frozen=True)
class Sizes:
    """How much is measured; ``seconds`` bounds the posting of each load."""

    posts: int
    batch_logs: int
    due: int
    later: int
    seconds: float
    paths: int
    tried: int
    told: int
    told_seconds: float
    billed: int


def main(arguments: Sequence[str]) -> int:
    sizes = read_sizes(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended, too
    with own_database():
        import django

        django.setup()
        from django.db import connection

        try:
            prepare_tables()
            print(f"{describe_server()}; {os.cpu_count()} cores for database, load and product", flush=True)
            measure(sizes)
        except RuntimeError as error:
            print(f"\nThe measurement failed: {error}", file=sys.stderr)
            return 1
        finally:
            connection.close()
            connection.close_pool()  # type: ignore[attr-defined]
    return 0


def read_sizes(arguments: Sequence[str]) -> Sizes:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measures Backledger on this machine.")
    parser.add_argument("--posts", type=int, default=20_000, help="logs posted one by one")
    parser.add_argument("--batch-logs", type=int, default=40_000, help="logs posted in batches of 500")
    parser.add_argument("--due", type=int, default=20_000, help="overdue jobs for the sweep")
    parser.add_argument("--later", type=int, default=1_000_000, help="jobs of the sweep that are not due")
    parser.add_argument("--seconds", type=float, default=60, help="longest time of posting, each")
    parser.add_argument("--paths", type=int, default=1_000_000, help="paths of an inventory for the selection meter")
    parser.add_argument("--tried", type=int, default=10_000, help="jobs with 90 days of runs for the preview of a rule")
    parser.add_argument("--told", type=int, default=10_000, help="incidents that open at once and are to be told")
    parser.add_argument("--told-seconds", type=float, default=60, help="how long their telling is measured")
    parser.add_argument("--billed", type=int, default=1_000, help="clients with ten selections and a month of entries")
    given = parser.parse_args(arguments)
    return Sizes(
        given.posts, given.batch_logs, given.due, given.later, given.seconds, given.paths, given.tried, given.told,
        given.told_seconds, given.billed,
    )  # fmt: skip


def measure(sizes: Sizes) -> None:
    """In an order that is fair: the product is warm before it is measured, and stopped before what runs without it."""
    from tests.bench.draining import run_drain, run_storm
    from tests.bench.estate import make_senders
    from tests.bench.ingesting import Ingesting, copy_rate
    from tests.bench.invoicing import run_invoices
    from tests.bench.measuring import run_meter
    from tests.bench.product import running_product
    from tests.bench.report import Results, say, tell
    from tests.bench.sweeping import run_idle, run_sweep
    from tests.bench.trying import run_previews

    ingesting = Ingesting(make_senders(), most_logs=sizes.posts + sizes.batch_logs)
    with running_product(os.environ) as product:
        say("posting one log of every job, so that all is warm ...")
        ingesting.warm_up(port=product.port)
        say(f"posting {sizes.posts:,} logs one by one ...")
        single = ingesting.measure_single(sizes.posts, port=product.port, seconds=sizes.seconds)
        say(f"posting {sizes.batch_logs:,} logs in batches ...")
        batch = ingesting.measure_batches(sizes.batch_logs, port=product.port, seconds=sizes.seconds)
        peaks = product.peaks()
    say("copying the same rows, counting statements, sweeping ...")
    limit = copy_rate()
    statements = {number: ingesting.count_statements(number) for number in (1, 500)}
    swept = run_sweep(due=sizes.due, later=sizes.later)
    idle = run_idle()
    say(f"measuring selections over {sizes.paths:,} paths ...")
    metered = run_meter(paths=sizes.paths)
    say(f"trying a rule on 90 days of {sizes.tried:,} jobs ...")
    tried = run_previews(jobs=sizes.tried)
    say(f"telling {sizes.told:,} incidents to a ticket system ...")
    storm = run_storm(incidents=sizes.told)
    drained = run_drain(incidents=sizes.told, seconds=sizes.told_seconds)
    say(f"invoicing {sizes.billed:,} clients ...")
    invoiced = run_invoices(clients=sizes.billed)
    tell(Results(limit, single, batch, statements, swept, idle, peaks, metered, tried, drained, storm, invoiced))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
