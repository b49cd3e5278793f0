"""What every gateway to a ticket system's own API must do, run against the double of that system.

A new gateway adds ``tests/doubles/desks/<its name>.py`` with a ``bench``. What is wrong with an answer, a callback or a
configuration must end as one of the failures of ``integrations.errors``, never as a crash and never as a wrong "done".
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from importlib import import_module

import pytest

from integrations.errors import DeliveryFailure, OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.tickets import (
    GATEWAYS,
    BadConfig,
    Created,
    NewTicket,
    Standing,
    Thread,
    TicketText,
    config_from_json,
    config_to_json,
    describe,
    secrets_of,
)
from tests.doubles.desk import Bench, Fault
from tests.integrations.tickets.configs import NOW, TICKET, a_call

NATIVE = sorted(set(GATEWAYS) - {"email", "rest"})
OURS: NewTicket = replace(TICKET, company="17")
NOTE = TicketText(TICKET.text.subject, "Still failing: error 0x80070070.")
FINAL = TicketText(TICKET.text.subject, "A good run ended at 21:00 UTC.")
AGAIN = TicketText(TICKET.text.subject, "It failed again at 23:00 UTC.")


@pytest.fixture(params=NATIVE)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield import_module(f"tests.doubles.desks.{request.param.replace('-', '_')}").bench(stack)


def create(bench: Bench, ticket: NewTicket = OURS, *, key: str = "k-1", seconds: float = 5.0) -> Created:
    return bench.gateway.create(bench.config, ticket, call=a_call(key=key, seconds=seconds))


def opened(bench: Bench) -> Thread:
    return Thread(OURS.reference, create(bench).external_id)


def read(bench: Bench, thread: Thread) -> Standing:
    standing = bench.gateway.read(bench.config, thread, call=a_call())
    assert standing is not None
    return standing


def can(bench: Bench, ability: str) -> bool:
    return ability in bench.gateway.abilities(bench.config)


def text_of(messages: list[str]) -> str:
    return "\n---\n".join(messages).replace("\r\n", "\n")


# --- the life of a ticket ---------------------------------------------------------------------------------------------


def test_a_ticket_is_opened_added_to_and_closed_in_order(bench: Bench) -> None:
    thread = opened(bench)
    bench.gateway.comment(bench.config, thread, NOTE, sequence=1, call=a_call(key="k-2"))
    bench.gateway.close(bench.config, thread, FINAL, sequence=2, call=a_call(key="k-3"))
    arrived = text_of(bench.desk.arrived())
    places = [arrived.find(words) for words in ("Last good run 2026-11-19", NOTE.body, FINAL.body)]
    assert -1 not in places
    assert places == sorted(places), "in this order"
    assert [arrived.count(words) for words in (NOTE.body, FINAL.body)] == [1, 1]
    assert len(bench.desk.tickets) == 1


def test_the_ticket_bears_subject_reference_and_company(bench: Bench) -> None:
    created = create(bench)
    ticket = bench.desk.ticket(created.external_id)
    assert "Acme Dental: no good backup" in ticket.subject
    assert ticket.reference == OURS.reference
    if can(bench, "companies"):
        assert ticket.company == "17"
    assert created.url is None or created.url.startswith("http")


def test_a_long_subject_and_odd_letters_are_taken(bench: Bench) -> None:
    text = TicketText("Größe ✓ " + "x" * 400, 'Zeile\n<b>kein HTML</b> & "quotes" {{ braces }} é\n')
    created = create(bench, replace(OURS, text=text))
    assert bench.desk.ticket(created.external_id).subject.startswith("Größe ✓ xxx")


def test_a_client_that_ends_a_line_makes_no_header_and_no_second_field(bench: Bench) -> None:
    create(bench, replace(OURS, client="Evil\r\nX-Other: 1", text=TicketText("a\r\nb", "c")))
    assert len(bench.desk.tickets) == 1


def test_closing_a_ticket_that_a_person_closed_sends_nothing_more(bench: Bench) -> None:
    if not can(bench, "read"):
        pytest.skip("this system cannot be read")
    thread = opened(bench)
    bench.desk.set_status_there(thread.external_id, bench.desk.closed_status)
    before = list(bench.desk.arrived())
    bench.gateway.close(bench.config, thread, FINAL, sequence=1, call=a_call())
    assert bench.desk.arrived() == before, "a message to a closed ticket may open it again"


def test_closing_makes_it_closed_there_and_reopening_makes_it_open(bench: Bench) -> None:
    thread = opened(bench)
    if not can(bench, "read"):
        pytest.skip("this system cannot be read")
    assert not read(bench, thread).closed
    bench.gateway.close(bench.config, thread, FINAL, sequence=1, call=a_call(key="k-2"))
    assert read(bench, thread).closed
    if can(bench, "reopen"):
        bench.gateway.reopen(bench.config, thread, AGAIN, sequence=2, call=a_call(key="k-3"))
        assert not read(bench, thread).closed
        assert AGAIN.body in text_of(bench.desk.arrived())
    else:
        with pytest.raises(PermanentFailure):
            bench.gateway.reopen(bench.config, thread, AGAIN, sequence=2, call=a_call(key="k-3"))


# --- exactly one ------------------------------------------------------------------------------------------------------


def test_a_ticket_whose_answer_was_lost_is_found_by_our_reference(bench: Bench) -> None:
    create(bench, replace(OURS, reference="BL-0000000001"))
    bench.desk.fail_next("answer lost after commit")
    with pytest.raises(OutcomeUnknown):
        create(bench)
    if bench.gateway.find_after(bench.config) is None:
        return
    found = bench.gateway.find(bench.config, OURS.reference, call=a_call())
    assert found is not None
    assert bench.desk.ticket(found.external_id).reference == OURS.reference


def test_what_nobody_opened_is_not_found(bench: Bench) -> None:
    lag = bench.gateway.find_after(bench.config)
    if lag is None:
        with pytest.raises(PermanentFailure):
            bench.gateway.find(bench.config, OURS.reference, call=a_call())
        return
    create(bench, replace(OURS, reference="BL-0000000001"))
    assert lag >= timedelta(0)
    assert bench.gateway.find(bench.config, OURS.reference, call=a_call()) is None


def test_a_search_that_ignores_our_reference_lends_us_no_strangers_ticket(bench: Bench) -> None:
    if bench.gateway.find_after(bench.config) is None:
        pytest.skip("this system cannot be searched")
    for number in range(5):
        create(bench, replace(OURS, reference=f"BL-000000000{number}"))
    bench.desk.ignore_filters = True
    try:
        found = bench.gateway.find(bench.config, OURS.reference, call=a_call())
    except PermanentFailure:
        return  # it said that it cannot tell: a person decides
    assert found is None


def test_a_closed_ticket_is_found_too(bench: Bench) -> None:
    if bench.gateway.find_after(bench.config) is None:
        pytest.skip("this system cannot be searched")
    thread = opened(bench)
    bench.desk.set_status_there(thread.external_id, bench.desk.closed_status)
    found = bench.gateway.find(bench.config, OURS.reference, call=a_call())
    assert found is not None
    assert found.external_id == thread.external_id


def test_a_repeat_with_the_same_key_is_one_ticket_or_is_found_twice_by_nobody(bench: Bench) -> None:
    """Two workers at once: we never rely on the other side, but what it makes of both must stay findable."""
    made: list[Created] = []
    workers = [threading.Thread(target=lambda: made.append(create(bench))) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(made) == 2
    if bench.gateway.find_after(bench.config) is not None:
        found = [bench.gateway.find(bench.config, OURS.reference, call=a_call()) for _ in range(2)]
        assert found[0] == found[1]
        assert found[0] is not None
        assert found[0].external_id in {one.external_id for one in made}


# --- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        ("answer lost after commit", OutcomeUnknown), ("server error", OutcomeUnknown),
        ("server error after commit", OutcomeUnknown), ("html", OutcomeUnknown), ("no id", OutcomeUnknown),
        ("huge answer", OutcomeUnknown), ("slow answer", OutcomeUnknown), ("too many requests", TemporaryFailure),
        ("unavailable", TemporaryFailure), ("refused", PermanentFailure), ("redirect to private", PermanentFailure),
        ("echo credentials", PermanentFailure),
    ],
)  # fmt: skip
def test_what_a_failed_creation_means(bench: Bench, fault: Fault, failure: type[DeliveryFailure]) -> None:
    bench.desk.fail_next(fault)
    with pytest.raises(DeliveryFailure) as caught:
        create(bench, seconds=2.0)
    assert type(caught.value) is failure or (failure is PermanentFailure and isinstance(caught.value, failure))
    assert caught.value.reason.endswith(".") or "answered" in caught.value.reason
    for secret in secrets_of(bench.config):
        assert secret not in caught.value.reason


def test_retry_after_is_passed_on(bench: Bench) -> None:
    bench.desk.fail_next("too many requests")
    with pytest.raises(TemporaryFailure) as caught:
        create(bench)
    assert caught.value.retry_after == 17.0
    assert bench.desk.tickets == []


@pytest.mark.parametrize("fault", ["answer lost after commit", "server error", "too many requests", "refused", "html"])
def test_failed_comments_and_closings_never_pass_for_done_or_crash(bench: Bench, fault: Fault) -> None:
    thread = opened(bench)
    for act in (bench.gateway.comment, bench.gateway.close):
        bench.desk.fail_next(fault)
        try:
            act(bench.config, thread, NOTE, sequence=1, call=a_call())
        except DeliveryFailure:
            continue
        assert (act, fault) == (bench.gateway.comment, "html"), "only a comment's answer need not be understood"


@pytest.mark.parametrize("fault", ["server error", "too many requests", "html", "refused", "redirect to private"])
def test_failed_reads_and_searches_are_failures_not_answers(bench: Bench, fault: Fault) -> None:
    thread = opened(bench)
    if can(bench, "read"):
        bench.desk.fail_next(fault, on="any")
        with pytest.raises((TemporaryFailure, PermanentFailure)):
            bench.gateway.read(bench.config, thread, call=a_call())
    if bench.gateway.find_after(bench.config) is not None:
        bench.desk.fail_next(fault, on="any")
        with pytest.raises((TemporaryFailure, PermanentFailure)):
            bench.gateway.find(bench.config, OURS.reference, call=a_call())


def test_an_unreachable_server_is_temporary(bench: Bench) -> None:
    config = config_from_json(bench.gateway.Config, dict(bench.stored) | dict(bench.unreachable))
    with pytest.raises(TemporaryFailure):
        bench.gateway.create(config, OURS, call=a_call())
    assert bench.gateway.check(config, call=a_call())


def test_wrong_credentials_are_a_problem_without_the_secret(bench: Bench) -> None:
    config = config_from_json(bench.gateway.Config, dict(bench.stored) | dict(bench.wrong_credentials))
    problems = bench.gateway.check(config, call=a_call())
    assert problems
    assert not any("wr0ng" in problem for problem in problems)
    with pytest.raises(PermanentFailure) as caught:
        bench.gateway.create(config, OURS, call=a_call())
    assert "wr0ng" not in caught.value.reason
    assert bench.desk.tickets == []


def test_a_private_address_needs_the_operators_leave(bench: Bench) -> None:
    with pytest.raises(PermanentFailure, match="must not be called"):
        bench.gateway.create(bench.config, OURS, call=replace(a_call(), allow_private=False))
    assert bench.desk.log == []


def test_a_company_that_is_gone_is_refused_and_nothing_opened(bench: Bench) -> None:
    if not can(bench, "companies"):
        pytest.skip("this system keeps no companies")
    with pytest.raises(PermanentFailure) as caught:
        create(bench, replace(OURS, company="999999"))
    assert caught.value.reason
    assert bench.desk.tickets == []


# --- their side -------------------------------------------------------------------------------------------------------


def test_status_person_and_messages_are_read(bench: Bench) -> None:
    if not can(bench, "read"):
        pytest.skip("this system cannot be read")
    thread = opened(bench)
    bench.desk.say_there(thread.external_id, "Tina Tech", "Replaced the disk.")
    bench.desk.assign_there(thread.external_id, "Tina Tech")
    standing = read(bench, thread)
    assert standing.external_id == thread.external_id
    assert standing.reference in ("", OURS.reference)
    assert standing.assignee in ("", "Tina Tech")
    theirs = [remark for remark in standing.remarks if "Replaced the disk." in remark.text]
    assert not standing.remarks or (len(theirs) == 1 and not theirs[0].ours)
    assert len({remark.id for remark in standing.remarks}) == len(standing.remarks)


def test_a_status_of_their_own_is_open_until_it_is_one_of_the_closed(bench: Bench) -> None:
    if not can(bench, "read"):
        pytest.skip("this system cannot be read")
    thread = opened(bench)
    bench.desk.set_status_there(thread.external_id, bench.desk.odd_status)
    standing = read(bench, thread)
    assert not standing.closed
    assert standing.status


def test_a_deleted_ticket_is_none_and_closing_it_is_done(bench: Bench) -> None:
    if not can(bench, "read"):
        pytest.skip("this system cannot be read")
    thread = opened(bench)
    bench.desk.delete_there(thread.external_id)
    assert bench.gateway.read(bench.config, thread, call=a_call()) is None
    bench.gateway.close(bench.config, thread, FINAL, sequence=1, call=a_call())


def test_companies_are_listed_and_searched(bench: Bench) -> None:
    if not can(bench, "companies"):
        with pytest.raises(PermanentFailure):
            bench.gateway.companies(bench.config, "", call=a_call())
        return
    everyone = bench.gateway.companies(bench.config, "", call=a_call())
    assert {(one.id, one.name) for one in everyone} == set(bench.desk.companies.items())
    found = bench.gateway.companies(bench.config, "Acme", call=a_call())
    assert "17" in {one.id for one in found}
    assert "18" not in {one.id for one in found}


def test_settings_that_are_looked_up_offer_choices_and_no_other_does(bench: Bench) -> None:
    for item in describe(bench.gateway.Config):
        if item.looked_up:
            choices = bench.gateway.choices(bench.config, item.name, call=a_call())
            assert choices
            assert all(choice.value and choice.label for choice in choices)
            config_from_json(bench.gateway.Config, dict(bench.stored) | {item.name: choices[0].value})
        else:
            with pytest.raises(PermanentFailure):
                bench.gateway.choices(bench.config, item.name, call=a_call())


# --- callbacks --------------------------------------------------------------------------------------------------------


def test_a_genuine_callback_names_the_ticket_and_the_same_event_each_time(bench: Bench) -> None:
    if not can(bench, "callbacks"):
        with pytest.raises(PermanentFailure):
            bench.gateway.read_webhook(bench.config, {}, b"{}", call=a_call())
        return
    thread = opened(bench)
    headers, body = bench.desk.callback(thread.external_id, event="ev-1", at=NOW.isoformat())
    events = bench.gateway.read_webhook(bench.config, headers, body, call=a_call())
    again = bench.gateway.read_webhook(bench.config, headers, body, call=a_call())
    assert events == again
    assert events
    assert {event.external_id for event in events} == {thread.external_id}
    other = bench.gateway.read_webhook(
        bench.config, *bench.desk.callback(thread.external_id, event="ev-2", at=NOW.isoformat()), call=a_call()
    )
    assert {event.event_id for event in events}.isdisjoint({event.event_id for event in other})


def test_a_callback_that_is_not_proven_is_refused(bench: Bench) -> None:
    if not can(bench, "callbacks"):
        pytest.skip("this system calls nobody")
    thread = opened(bench)
    headers, body = bench.desk.callback(thread.external_id, event="ev-1", at=NOW.isoformat())
    forged = [{name: value[:-4] + "AAAA" for name, value in headers.items()}, {}]
    for wrong in forged:
        with pytest.raises(PermanentFailure):
            bench.gateway.read_webhook(bench.config, wrong, body, call=a_call())


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff\xfe", b'{"id": {}}', b"[" * 5000, b'{"a":' * 5000])
def test_a_callback_of_nonsense_is_refused_without_a_crash(bench: Bench, body: bytes) -> None:
    headers: dict[str, str] = {}
    if can(bench, "callbacks"):
        headers, _ = bench.desk.callback(opened(bench).external_id, event="ev-1", at=NOW.isoformat())
    with pytest.raises(PermanentFailure):
        bench.gateway.read_webhook(bench.config, headers, body, call=a_call())


# --- configuration ----------------------------------------------------------------------------------------------------


def test_a_good_configuration_has_no_problems_and_checking_writes_nothing(bench: Bench) -> None:
    assert bench.gateway.check(bench.config, call=a_call()) == ()
    assert bench.desk.arrived() == []


def test_a_bad_configuration_is_refused_with_a_sentence(bench: Bench) -> None:
    field, value = bench.bad_field
    with pytest.raises(BadConfig) as caught:
        config_from_json(bench.gateway.Config, dict(bench.stored) | {field: value})
    assert caught.value.field == field
    assert caught.value.reason.endswith(".")


def test_every_setting_can_be_shown_stored_and_read_back(bench: Bench) -> None:
    assert config_from_json(bench.gateway.Config, config_to_json(bench.config)) == bench.config
    for item in describe(bench.gateway.Config):
        assert item.label
        assert not (item.secret and item.default), "a secret has no default to show"
    for secret in secrets_of(bench.config):
        assert secret not in repr(bench.config)


def test_the_pace_is_a_share_of_what_the_system_allows(bench: Bench) -> None:
    assert 1 <= bench.gateway.CALLS_PER_MINUTE <= 600
