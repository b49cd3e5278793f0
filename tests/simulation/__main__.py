"""``python -m tests.simulation``: a simulated year of a made-up MSP, scored. Called by ``make simulate``.

Ends with 1 when an injected fault was not flagged in its time, or when the outage of the service led to a storm.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta

from tests.bench.database import own_database


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description="Plays and scores a simulated year."
    )
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--faults", type=int, default=20, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=20, help="false flags to show")
    given = parser.parse_args(arguments)
    with own_database():
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connection

        try:
            call_command("migrate", verbosity=0, interactive=False)
            return play(given)
        finally:
            connection.close()
            connection.close_pool()  # type: ignore[attr-defined]


def play(given: argparse.Namespace) -> int:
    from tests.simulation.company import make_company
    from tests.simulation.faults import OPENED, plan_faults
    from tests.simulation.scoring import judge, report
    from tests.simulation.year import Outage, Year

    end = OPENED + timedelta(days=given.days)
    company = make_company(jobs=given.jobs, seed=given.seed, opened_at=OPENED)
    faults = plan_faults(company, begin=OPENED, end=end, each=given.faults, seed=given.seed)
    down = OPENED + timedelta(days=given.days * 2 // 3, hours=18)
    outage = Outage(down, down + timedelta(hours=26))
    Year(company, faults, outage=outage).play(OPENED, end, say=lambda line: print(line, flush=True))
    judged = judge(company, faults, days=given.days, outage=outage)
    print(report(judged))
    for fault in (*judged.missed, *judged.late):
        print(
            f"not in time: {fault.kind.name} of jobs {sorted(fault.jobs)[:3]} from {fault.begins}, due {fault.flag_by}"
        )
    for one in judged.false[: given.show]:
        print(f"false: {one.at:%Y-%m-%d %H:%M} {one.kind} job {one.job_id}: {one.summary[:160]}")
    around = [one for one in judged.false if outage.begins <= one.at <= outage.ends + timedelta(days=1)]
    print(f"the service was down for 26 hours from {outage.begins}: {len(around)} false flags until a day after")
    return 1 if judged.missed or judged.late or around else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
