"""The simulated year, small: twelve weeks of 36 jobs, one fault of each kind that fits, one outage of the service.

The whole year of 2,000 jobs is played and scored by ``make simulate``; here all must be flagged in time, and no storm.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.simulation.company import make_company
from tests.simulation.faults import OPENED, plan_faults
from tests.simulation.scoring import judge, report
from tests.simulation.year import Outage, Year

#: Looked at eight times a day, which takes a quarter of a minute.
DAYS, STEP = 84, timedelta(hours=3)


@pytest.mark.django_db
@pytest.mark.timeout(900)
def test_every_fault_is_flagged_in_time_and_an_outage_of_the_service_is_no_storm() -> None:
    end = OPENED + timedelta(days=DAYS)
    company = make_company(jobs=36, seed=3, opened_at=OPENED)
    faults = plan_faults(company, begin=OPENED, end=end, each=1, seed=3)
    assert len(faults) >= 9
    down = OPENED + timedelta(days=50, hours=18)
    outage = Outage(down, down + timedelta(hours=26))
    Year(company, faults, outage=outage, step=STEP).play(OPENED, end)
    judged = judge(company, faults, days=DAYS, outage=outage, slack=2 * STEP)
    assert not judged.missed, report(judged)
    assert not judged.late, report(judged)
    around = [one for one in judged.false if outage.begins <= one.at <= outage.ends + timedelta(days=1)]
    assert around == []
