"""What every system that keeps agreements must do, run against the double of its ticket gateway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from decimal import Decimal
from importlib import import_module

import pytest

from integrations.agreements import SYSTEMS, AgreementLine, Place
from integrations.agreements.matching import suggest_line
from integrations.errors import NotThere, OutcomeUnknown, PermanentFailure, TemporaryFailure
from tests.doubles.agreements import AgreementBench
from tests.integrations.tickets.configs import a_call

ON = date(2026, 10, 1)
WANTED = Decimal(250)


@pytest.fixture(params=sorted(SYSTEMS))
def bench(request: pytest.FixtureRequest) -> Iterator[AgreementBench]:
    with ExitStack() as stack:
        made = import_module(f"tests.doubles.desks.{request.param}").bench(stack)
        yield AgreementBench(SYSTEMS[request.param], made.desk, made.desk.books, made.config)


def lines_of(bench: AgreementBench, company: str = "17") -> tuple[AgreementLine, ...]:
    return bench.system.lines(bench.config, company, on=ON, call=a_call())


def look(bench: AgreementBench, line: int = 9001, agreement: int = 501, company: str = "17") -> AgreementLine:
    return bench.system.look(bench.config, Place(company, str(agreement), str(line)), on=ON, call=a_call())


def write(bench: AgreementBench, line: AgreementLine, quantity: Decimal = WANTED) -> None:
    bench.system.write(bench.config, line, quantity, on=ON, call=a_call())


def changes(bench: AgreementBench) -> list[tuple[float, str]]:
    return [change for line in bench.books.lines for change in line.changes]


def test_lines_of_living_agreements_of_one_company_are_read(bench: AgreementBench) -> None:
    found = lines_of(bench)
    assert [(line.agreement, line.name, line.quantity, line.over) for line in found] == [
        ("Managed Backup", "Backup storage per GB", Decimal(200), ""),
        ("Managed Backup", "Service desk", Decimal(1), ""),
    ]
    assert lines_of(bench, "4711") == ()
    assert changes(bench) == []
    suggestion = suggest_line("Backup storage, per GB", found)
    assert suggestion is not None
    assert (suggestion.agreement_id, suggestion.line_id) == ("501", "9001")
    assert suggest_line("Antivirus", found) is None


def test_a_quantity_is_written_once_and_then_stands_there(bench: AgreementBench) -> None:
    line = look(bench)
    assert not line.holds(WANTED, on=ON)
    write(bench, line)
    assert look(bench).holds(WANTED, on=ON)
    assert [quantity for quantity, _ in changes(bench)] == [250]
    if bench.system.DATED:
        assert [since for _, since in changes(bench)] == ["2026-10-01"]
    kept = bench.books.line(9002)
    assert kept is not None
    assert kept.quantity == 1, "no other line is touched"


def test_less_is_written_as_well_as_more_and_nothing_too(bench: AgreementBench) -> None:
    write(bench, look(bench), Decimal(12))
    write(bench, look(bench), Decimal(0))
    assert look(bench).quantity == 0


def test_fractions_are_written_exactly_or_refused(bench: AgreementBench) -> None:
    if bench.system.WHOLE:
        with pytest.raises(PermanentFailure, match="whole units"):
            write(bench, look(bench), Decimal("1.125"))
        assert changes(bench) == []
    else:
        write(bench, look(bench), Decimal("1.125"))
        assert look(bench).quantity == Decimal("1.125")


def test_an_answer_lost_after_the_commit_leaves_the_outcome_unknown_and_a_look_tells(bench: AgreementBench) -> None:
    line = look(bench)
    bench.desk.fail_next("answer lost after commit")
    with pytest.raises(OutcomeUnknown):
        write(bench, line)
    assert look(bench).holds(WANTED, on=ON)
    assert len(changes(bench)) == 1


def test_wrong_credentials_busy_systems_and_odd_answers_are_told_apart(bench: AgreementBench) -> None:
    line = look(bench)
    bench.desk.fail_next("too many requests")
    with pytest.raises(TemporaryFailure) as busy:
        write(bench, line)
    assert busy.value.retry_after == 17
    bench.desk.fail_next("html", on="any")
    with pytest.raises((PermanentFailure, TemporaryFailure)):
        lines_of(bench)
    made = import_module(f"tests.doubles.desks.{bench.system.__name__.rpartition('.')[2]}")  # type: ignore[attr-defined]
    with ExitStack() as stack:
        wrong = replace(bench.config, **made.bench(stack).wrong_credentials)
        wrong = replace(wrong, url=bench.desk.url)
        with pytest.raises(PermanentFailure, match="credentials|401"):
            bench.system.lines(wrong, "17", on=ON, call=a_call())
    assert changes(bench) == []


def test_a_line_that_is_gone_over_or_anothers_is_never_written(bench: AgreementBench) -> None:
    with pytest.raises(NotThere, match="choose a line again"):
        look(bench, line=4711)
    with pytest.raises(PermanentFailure, match="another company"):
        look(bench, company="18")
    assert "ended on 2025-12-31" in look(bench, line=9003, agreement=502).over
    kept = bench.books.line(9001)
    assert kept is not None
    kept.gone = True
    with pytest.raises(NotThere):
        look(bench)


def test_a_change_that_was_not_kept_is_no_success(bench: AgreementBench) -> None:
    line = look(bench)
    bench.desk.frozen = True  # type: ignore[attr-defined]
    with pytest.raises(PermanentFailure, match="did not keep"):
        write(bench, line)
