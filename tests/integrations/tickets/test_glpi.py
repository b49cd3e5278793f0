"""What is special to GLPI: sessions that end, solutions, the bin, text with marks, and signed timestamps."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from integrations.configuration import BadConfig, config_from_json
from integrations.errors import DeliveryFailure, OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.tickets import Thread, TicketText, glpi
from tests.doubles.desk import Bench
from tests.doubles.desks.glpi import SECRET, Glpi, bench
from tests.integrations.tickets.configs import NOW, TICKET, a_call

NOTE = TicketText(TICKET.text.subject, "Still failing: <0x80070070> & more.\nSecond line.")


@pytest.fixture
def made() -> Iterator[Bench]:
    with ExitStack() as stack:
        yield bench(stack)


@pytest.fixture
def desk(made: Bench) -> Glpi:
    assert isinstance(made.desk, Glpi)
    return made.desk


def opened(made: Bench, reference: str = TICKET.reference) -> Thread:
    ticket = replace(TICKET, reference=reference)
    return Thread(reference, glpi.create(made.config, ticket, call=a_call()).external_id)


def test_every_session_is_ended_also_after_a_failure(made: Bench, desk: Glpi) -> None:
    thread = opened(made)
    desk.fail_next("server error")
    with pytest.raises(OutcomeUnknown):
        glpi.comment(made.config, thread, NOTE, sequence=1, call=a_call())
    assert desk.sessions == 0
    assert all("glpi-s3cret" not in request.target for request in desk.log)


@pytest.mark.parametrize("fault", ["server error", "answer lost after commit", "unavailable"])
def test_a_log_in_that_breaks_off_can_be_repeated(made: Bench, desk: Glpi, fault: str) -> None:
    desk.fail_next(fault, on="any")  # type: ignore[arg-type]
    with pytest.raises(TemporaryFailure):
        glpi.create(made.config, TICKET, call=a_call())
    assert desk.tickets == []


def test_a_wrong_application_token_says_to_check_the_tokens(made: Bench) -> None:
    config = replace(made.config, app_token="wr0ng-app")
    with pytest.raises(PermanentFailure, match="check address and tokens") as caught:
        glpi.create(config, TICKET, call=a_call())
    assert "wr0ng" not in caught.value.reason


def test_text_arrives_letter_by_letter_and_is_read_back_without_marks(made: Bench, desk: Glpi) -> None:
    thread = opened(made)
    glpi.comment(made.config, thread, NOTE, sequence=1, call=a_call())
    assert desk.ticket(thread.external_id).fields["last"]["content"].startswith("Still failing: &lt;0x80070070&gt;")
    assert desk.arrived()[-1] == NOTE.body
    desk.say_there(thread.external_id, "Tina Tech", "1 < 2")
    glpi.close(made.config, thread, NOTE, sequence=2, call=a_call())
    standing = glpi.read(made.config, thread, call=a_call())
    assert standing is not None
    theirs = [remark.text for remark in standing.remarks if not remark.ours]
    assert theirs == ["1 < 2"]
    assert standing.remarks[-1].id == "solution-1"
    assert standing.remarks[-1].text == NOTE.body
    assert standing.remarks[-1].author == "Backup & Robot"


@pytest.mark.parametrize(("closing", "status"), [("solved", "5"), ("closed", "6")])
def test_closing_solves_or_closes(made: Bench, desk: Glpi, closing: str, status: str) -> None:
    thread = opened(made)
    config = replace(made.config, closing=closing)
    glpi.close(config, thread, NOTE, sequence=1, call=a_call())
    glpi.close(config, thread, NOTE, sequence=1, call=a_call())
    assert desk.ticket(thread.external_id).status == status
    assert len(desk.arrived()) == 2


def test_what_the_profile_may_not_do_is_not_taken_for_done(made: Bench, desk: Glpi) -> None:
    thread = opened(made)
    desk.may_solve = desk.may_reopen = False
    with pytest.raises(PermanentFailure, match="was not solved: it is 'New'"):
        glpi.close(made.config, thread, NOTE, sequence=1, call=a_call())
    desk.set_status_there(thread.external_id, "5")
    with pytest.raises(PermanentFailure, match="was not closed: it is 'Pending'"):
        glpi.close(replace(made.config, closing="closed"), thread, NOTE, sequence=1, call=a_call())
    desk.set_status_there(thread.external_id, "6")
    with pytest.raises(PermanentFailure, match="was not reopened: it is 'Closed'"):
        glpi.reopen(made.config, thread, NOTE, sequence=2, call=a_call())


def test_a_ticket_in_the_bin_is_gone(made: Bench, desk: Glpi) -> None:
    thread = opened(made)
    desk.delete_there(thread.external_id)
    assert glpi.read(made.config, thread, call=a_call()) is None
    assert glpi.find(made.config, TICKET.reference, call=a_call()) is None
    with pytest.raises(PermanentFailure, match="not in GLPI any more"):
        glpi.reopen(made.config, thread, NOTE, sequence=1, call=a_call())


def test_a_longer_reference_is_not_ours(made: Bench) -> None:
    longer = opened(made, TICKET.reference + "0")
    assert glpi.find(made.config, TICKET.reference, call=a_call()) is None
    ours = opened(made)
    found = glpi.find(made.config, TICKET.reference, call=a_call())
    assert found is not None
    assert found.external_id == ours.external_id != longer.external_id
    for number in range(20):
        opened(made, f"{TICKET.reference[:-1]}x{number}")
    with pytest.raises(PermanentFailure, match="too many"):
        glpi.find(made.config, TICKET.reference[:-1], call=a_call())


def test_settings_are_sent_and_followups_are_private_unless_shown(made: Bench, desk: Glpi) -> None:
    config = replace(made.config, category="3", group="4", default_company="18")
    created = glpi.create(config, TICKET, call=a_call())
    given = desk.ticket(created.external_id).fields["given"]
    assert (given["itilcategories_id"], given["_groups_id_assign"], given["entities_id"]) == (3, 4, 18)
    thread = Thread(TICKET.reference, created.external_id)
    for public, private in ((False, 1), (True, 0)):
        glpi.comment(replace(config, public=public), thread, NOTE, sequence=1, call=a_call())
        assert desk.ticket(thread.external_id).fields["last"]["is_private"] == private


def test_checking_says_what_is_wrong(made: Bench, desk: Glpi) -> None:
    (problem,) = glpi.check(replace(made.config, default_company="99"), call=a_call())
    assert "99" in problem
    desk.interface = "helpdesk"
    assert "technician" in glpi.check(made.config, call=a_call())[0]
    desk.interface, desk.companies = "central", {}
    assert "no entity" in glpi.check(made.config, call=a_call())[0]


def test_callbacks_name_the_ticket_of_a_followup_and_are_refused_when_late(made: Bench, desk: Glpi) -> None:
    late = desk.callback("1001", event="update", at=(NOW - timedelta(minutes=6)).isoformat())
    with pytest.raises(PermanentFailure, match="five minutes"):
        glpi.read_webhook(made.config, *late, call=a_call())
    headers, body = desk.callback("1001", event="update", at=NOW.isoformat())
    with pytest.raises(PermanentFailure, match="does not match"):
        glpi.read_webhook(made.config, headers | {"X-GLPI-timestamp": "9" * 30}, body, call=a_call())
    followup = json.dumps({"event": "new", "item": {"id": 7, "itemtype": "Ticket", "items_id": 1001}}).encode()
    signed = hmac.new(SECRET.encode(), followup + headers["X-GLPI-timestamp"].encode(), hashlib.sha256).hexdigest()
    for signature, told in ((headers["X-GLPI-signature"], body), (signed, followup)):
        (event,) = glpi.read_webhook(made.config, headers | {"X-GLPI-signature": signature}, told, call=a_call())
        assert event.external_id == "1001"


@pytest.mark.parametrize("field", ["url", "default_company", "group", "closing", "webhook_secret"])
def test_settings_that_cannot_work_are_refused(made: Bench, field: str) -> None:
    with pytest.raises(BadConfig) as caught:
        config_from_json(glpi.Config, dict(made.stored) | {field: "not this"})
    assert caught.value.field == field


@pytest.mark.parametrize("answer", ["[]", "{}", '{"session_token": "s"}', '{"session_token": "s", "id": 1001}', "7"])
def test_odd_answers_are_failures(made: Bench, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    thread = opened(made)
    monkeypatch.setattr("integrations.tickets.json_api.decode", lambda body: json.loads(answer))
    for act in (glpi.read, lambda config, thread, call: glpi.find(config, thread.reference, call=call),
                lambda config, thread, call: glpi.companies(config, "", call=call)):  # fmt: skip
        with pytest.raises(DeliveryFailure):
            act(made.config, thread, call=a_call())
    assert glpi.check(made.config, call=a_call())
