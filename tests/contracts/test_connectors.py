"""What every connector must do, against a running double of its product: a new connector adds one ``Bench``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from integrations.configuration import BadConfig, config_from_json, config_to_json, describe, secrets_of
from integrations.errors import DeliveryFailure, PermanentFailure, TemporaryFailure
from integrations.logs import FORMATS, read
from integrations.logs.joblog import Delivery, JobLog
from integrations.pulling import CONNECTORS, Fetched, Session
from tests.integrations.pulling.benches import MAKERS, NOW, Bench, open_bench

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


@pytest.fixture(params=sorted(CONNECTORS))
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with open_bench(request.param) as opened:
        yield opened


def runs_of(fetched: list[Fetched] | tuple[Fetched, ...]) -> list[JobLog]:
    """What the formats read in the deliveries."""
    found: list[JobLog] = []
    for one in fetched:
        reading = read(Delivery(stdout=one.content, format=one.format, content_type=one.content_type, host=one.host))
        assert (reading.error, reading.format) == (None, one.format)
        found += reading.runs
    return found


def test_every_connector_has_a_bench() -> None:
    assert set(MAKERS) == set(CONNECTORS)


def test_it_names_its_formats(bench: Bench) -> None:
    assert set(bench.connector.FORMATS) <= set(FORMATS)
    assert bench.connector.LABEL


def test_its_settings_describe_themselves_and_survive_storage(bench: Bench) -> None:
    config = bench.config()
    assert config_from_json(bench.connector.Config, config_to_json(config)) == config
    assert any(item.secret for item in describe(bench.connector.Config))
    for secret in (str(getattr(config, item.name)) for item in describe(bench.connector.Config) if item.secret):
        assert not secret or secret not in repr(config)


@pytest.mark.parametrize("url", ["backup.example.com", "ftp://backup.example.com", "https://", "https://a:b@c.example"])
def test_a_bad_address_is_refused_by_name(bench: Bench, url: str) -> None:
    with pytest.raises(BadConfig) as refused:
        bench.config(url=url)
    assert refused.value.field == "url"


def test_a_fingerprint_must_be_one(bench: Bench) -> None:
    with pytest.raises(BadConfig) as refused:
        bench.config(fingerprint="AB:CD")
    assert refused.value.field == "fingerprint"
    assert bench.config(fingerprint=":".join(["AB"] * 32))


# --- looking -----------------------------------------------------------------------------------------------------


def test_the_check_tells_what_answered(bench: Bench) -> None:
    told = bench.connector.check(bench.config(), bench.session())
    assert told.endswith(".")
    assert len(told) > 20


def test_wrong_credentials_are_told_without_them(bench: Bench) -> None:
    config = bench.config(**bench.wrong)
    for call in (
        lambda: bench.connector.check(config, bench.session()),
        lambda: bench.connector.fetch(config, bench.session(), cursor={}, now=NOW),
    ):
        with pytest.raises(PermanentFailure) as refused:
            call()
        assert "login" in refused.value.reason.lower()
        assert not any(str(secret) in refused.value.reason for secret in bench.wrong.values())


def test_a_private_address_is_refused_unless_the_operator_allows_it(bench: Bench) -> None:
    session = Session(deadline_seconds=5, allow_private=False)
    with pytest.raises(PermanentFailure, match="must not be called"):
        bench.connector.fetch(bench.config(), session, cursor={}, now=NOW)
    assert bench.server.asked == []


# --- fetching ----------------------------------------------------------------------------------------------------


def test_what_has_ended_becomes_runs_its_format_reads(bench: Bench) -> None:
    bench.end_job(NOW - HOUR)
    fetched, _ = bench.pull_all()
    (run,) = runs_of(fetched)
    assert (run.operation, run.outcome, run.ended_at) == ("backup", "success", NOW - HOUR)
    assert run.run_id
    assert run.source_job


def test_what_is_fetched_once_is_not_fetched_again(bench: Bench) -> None:
    bench.end_job(NOW - HOUR)
    _, cursor = bench.pull_all()
    again, cursor = bench.pull_all(cursor)
    assert again == []
    bench.server.clock += timedelta(minutes=10)
    bench.end_job(NOW + timedelta(minutes=5))
    fetched, _ = bench.pull_all(cursor)
    assert [run.ended_at for run in runs_of(fetched)] == [NOW + timedelta(minutes=5)]


def test_the_same_is_fetched_as_the_same_bytes_under_the_same_id(bench: Bench) -> None:
    bench.end_job(NOW - HOUR)
    assert bench.pull_all()[0] == bench.pull_all()[0]


def test_the_cursor_is_json(bench: Bench) -> None:
    bench.end_job(NOW - HOUR)
    bench.start_job(NOW - SECOND)
    _, cursor = bench.pull_all()
    assert json.loads(json.dumps(cursor)) == cursor


def test_many_that_end_in_the_same_second_are_all_fetched(bench: Bench) -> None:
    for _ in range(bench.most):
        bench.end_job(NOW - HOUR)
    fetched, cursor = bench.pull_all()
    assert len({run.run_id for run in runs_of(fetched)}) == bench.most
    bench.end_job(NOW - HOUR)
    fetched, _ = bench.pull_all(cursor)
    assert len(runs_of(fetched)) == 1


def test_what_is_told_late_is_still_fetched(bench: Bench) -> None:
    bench.end_job(NOW - SECOND)
    _, cursor = bench.pull_all()
    bench.end_job(NOW - timedelta(minutes=30))
    fetched, _ = bench.pull_all(cursor)
    assert [run.ended_at for run in runs_of(fetched)] == [NOW - timedelta(minutes=30)]


def test_a_job_that_runs_at_one_pull_is_fetched_when_it_has_ended(bench: Bench) -> None:
    """However long it took: longer than the window that is looked at again."""
    handle = bench.start_job(NOW - SECOND)
    fetched, cursor = bench.pull_all()
    assert {run.outcome for run in runs_of(fetched)} <= {"running"}
    again, cursor = bench.pull_all(cursor)
    assert again == []
    bench.server.clock += 30 * HOUR
    bench.end_job(NOW + 29 * HOUR)
    fetched, cursor = bench.pull_all(cursor)
    bench.finish(handle, bench.server.clock)
    bench.server.clock += HOUR
    fetched, cursor = bench.pull_all(cursor)
    assert [(run.outcome, run.ended_at) for run in runs_of(fetched)] == [("success", NOW + 30 * HOUR)]
    assert bench.pull_all(cursor)[0] == []


def test_a_clock_that_was_ahead_and_is_set_back_loses_nothing(bench: Bench) -> None:
    bench.server.clock = NOW + 50 * HOUR
    bench.end_job(bench.server.clock - SECOND)
    _, cursor = bench.pull_all()
    bench.server.clock = NOW
    bench.end_job(NOW - SECOND)
    fetched, _ = bench.pull_all(cursor)
    assert NOW - SECOND in [run.ended_at for run in runs_of(fetched)]


def test_an_end_in_the_future_holds_nothing_up(bench: Bench) -> None:
    bench.end_job(NOW + 5 * HOUR)
    _, cursor = bench.pull_all()
    bench.end_job(NOW - SECOND)
    fetched, _ = bench.pull_all(cursor)
    assert [run.ended_at for run in runs_of(fetched)] == [NOW - SECOND]


def test_after_an_outage_of_a_week_all_is_fetched(bench: Bench) -> None:
    bench.end_job(NOW - HOUR)
    _, cursor = bench.pull_all()
    for day in range(1, 8):
        bench.end_job(NOW + timedelta(days=day))
    bench.server.clock = NOW + timedelta(days=8)
    fetched, _ = bench.pull_all(cursor)
    assert {run.ended_at for run in runs_of(fetched)} == {NOW + timedelta(days=day) for day in range(1, 8)}


# --- what goes wrong ---------------------------------------------------------------------------------------------


def test_too_many_requests_say_when_to_come_back(bench: Bench) -> None:
    bench.server.fail_next("too many requests")
    with pytest.raises(TemporaryFailure) as busy:
        bench.pull()
    assert busy.value.retry_after == 90


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("fault", ["half an answer", "a web page", "broken", "dropped", "huge", "another shape"])
def test_a_damaged_answer_is_a_failure_in_words(bench: Bench, fault: str, after: int) -> None:
    bench.end_job(NOW - HOUR)
    bench.server.fail_next(fault, after=after)
    with pytest.raises(DeliveryFailure) as failed:
        bench.pull()
    assert len(failed.value.reason) > 20
    assert not any(secret in failed.value.reason for secret in secrets_of(bench.config()))


def test_an_answer_byte_by_byte_ends_at_the_deadline(bench: Bench) -> None:
    bench.server.fail_next("slow")
    with pytest.raises(TemporaryFailure, match="in time"):
        bench.connector.fetch(bench.config(), bench.session(seconds=0.6), cursor={}, now=NOW)


@pytest.mark.parametrize(
    "cursor",
    [{"until": "soon"}, {"until": -5, "seen": []}, {"until": True, "seen": {"a": "b"}}, {"seen": None, "running": 5}],
)
def test_a_cursor_of_another_shape_begins_anew(bench: Bench, cursor: dict[str, object]) -> None:
    bench.end_job(NOW - HOUR)
    fetched, _ = bench.pull_all(cursor)
    assert len(runs_of(fetched)) == 1
