"""What every ticket gateway must do, run against a real server of its kind: a new gateway adds one ``Bench`` here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from integrations.errors import DeliveryFailure, OutcomeUnknown, PermanentFailure, TemporaryFailure
from integrations.tickets import (
    GATEWAYS,
    BadConfig,
    Call,
    Created,
    Gateway,
    Thread,
    TicketText,
    config_from_json,
    config_to_json,
    describe,
    secrets_of,
)
from tests.doubles import mailbox as mail_double
from tests.doubles.mailbox import Mailbox
from tests.doubles.ticket_server import TOKEN, TicketServer
from tests.integrations.tickets.configs import TICKET, a_call, email_json, rest_json

NOTE = TicketText(TICKET.text.subject, "Still failing: error 0x80070070.")
FINAL = TicketText(TICKET.text.subject, "A good run ended at 21:00 UTC.")


@dataclass(frozen=True)
class Bench:
    """A gateway with a server: what arrived there as (kind, text), and how to make the next write fail."""

    gateway: Gateway
    stored: dict[str, object]
    arrived: Callable[[], list[str]]
    lose_answer: Callable[[], None]
    busy: Callable[[], None]
    refuse: Callable[[], None]
    bad_field: tuple[str, object]
    unreachable: dict[str, object]

    @property
    def config(self) -> Any:
        return config_from_json(self.gateway.Config, self.stored)


def _email_bench(stack: ExitStack) -> Bench:
    mailbox = stack.enter_context(Mailbox(demand_login=False))
    return Bench(
        gateway=GATEWAYS["email"],
        stored=email_json(mailbox.port, username=mail_double.USER, password=mail_double.PASSWORD),
        arrived=lambda: [_plain_text(message) for message in mailbox.messages()],
        lose_answer=lambda: mailbox.fail_next("drop after mail"),
        busy=lambda: mailbox.fail_next("come back later"),
        refuse=lambda: mailbox.fail_next("refuse recipient"),
        bad_field=("sender", "no address"),
        unreachable={"port": 1},
    )


def _plain_text(message: Any) -> str:
    return str(message.get_body(("plain",)).get_content())


def _rest_bench(stack: ExitStack) -> Bench:
    server = stack.enter_context(TicketServer())
    return Bench(
        gateway=GATEWAYS["rest"],
        stored=rest_json(server.url),
        arrived=lambda: [note for ticket in server.tickets for note in ticket.notes],
        lose_answer=lambda: server.fail_next("answer lost after commit", method="POST"),
        busy=lambda: server.fail_next("too many requests", method="POST"),
        refuse=lambda: server.fail_next("refused", method="POST"),
        bad_field=("create_body", {"title": "{{ subjekt }}"}),
        unreachable={"base_url": "http://127.0.0.1:1"},
    )


DESKS = Path(__file__).parents[1] / "doubles" / "desks"
BENCHES: dict[str, Callable[[ExitStack], Bench]] = {"email": _email_bench, "rest": _rest_bench}


def test_every_gateway_has_a_bench() -> None:
    native = {path.stem.replace("_", "-") for path in DESKS.glob("[a-z]*.py")}
    assert set(BENCHES) | native == set(GATEWAYS)


@pytest.fixture(params=sorted(BENCHES))
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield BENCHES[request.param](stack)


def create(bench: Bench, call: Call | None = None) -> Created:
    return bench.gateway.create(bench.config, TICKET, call=call or a_call())


def thread_of(created: Created) -> Thread:
    return Thread(TICKET.reference, created.external_id)


def test_a_ticket_is_created_commented_and_closed_in_order(bench: Bench) -> None:
    thread = thread_of(create(bench))
    bench.gateway.comment(bench.config, thread, NOTE, sequence=1, call=a_call(key="k-2"))
    bench.gateway.close(bench.config, thread, FINAL, sequence=2, call=a_call(key="k-3"))
    first, second, third = (text.replace("\r\n", "\n").strip() for text in bench.arrived())
    assert first == TICKET.text.body
    assert second == NOTE.body
    assert third == FINAL.body


def test_a_repeat_makes_the_same_id(bench: Bench) -> None:
    if bench.gateway.find_after(bench.config) is None:
        assert create(bench).external_id == create(bench).external_id
    else:
        created = create(bench)
        assert bench.gateway.find(bench.config, TICKET.reference, call=a_call()) == created


def test_a_presumed_id_is_the_real_one_or_nothing(bench: Bench) -> None:
    presumed = bench.gateway.presumed_id(bench.config, TICKET.reference)
    assert presumed in ("", create(bench).external_id)
    assert bool(presumed) is (bench.gateway.find_after(bench.config) is None), "where nothing can be found"


def test_a_lost_answer_leaves_the_outcome_unknown_and_the_ticket_there(bench: Bench) -> None:
    bench.lose_answer()
    with pytest.raises(OutcomeUnknown):
        create(bench)
    assert len(bench.arrived()) == 1


def test_a_lost_answer_to_a_comment_is_unknown_too(bench: Bench) -> None:
    thread = thread_of(create(bench))
    bench.lose_answer()
    with pytest.raises(OutcomeUnknown):
        bench.gateway.comment(bench.config, thread, NOTE, sequence=1, call=a_call())


def test_a_busy_server_is_temporary_and_nothing_happened(bench: Bench) -> None:
    bench.busy()
    with pytest.raises(TemporaryFailure):
        create(bench)
    assert bench.arrived() == []
    assert create(bench).external_id


def test_a_refusal_is_permanent_and_names_the_host(bench: Bench) -> None:
    bench.refuse()
    with pytest.raises(PermanentFailure, match=r"127\.0\.0\.1"):
        create(bench)
    assert bench.arrived() == []


def test_an_unreachable_server_is_temporary(bench: Bench) -> None:
    config = config_from_json(bench.gateway.Config, bench.stored | bench.unreachable)
    with pytest.raises(TemporaryFailure, match="refused the connection before"):
        bench.gateway.create(config, TICKET, call=a_call())
    assert bench.gateway.check(config, call=a_call())


def test_a_private_address_needs_the_operators_leave(bench: Bench) -> None:
    with pytest.raises(PermanentFailure, match="must not be called"):
        create(bench, replace(a_call(), allow_private=False))
    assert bench.arrived() == []


def test_a_good_configuration_has_no_problems_and_checking_sends_nothing(bench: Bench) -> None:
    assert bench.gateway.check(bench.config, call=a_call()) == ()
    assert bench.arrived() == []


def test_a_bad_configuration_is_refused_with_a_sentence(bench: Bench) -> None:
    field, value = bench.bad_field
    with pytest.raises(BadConfig) as caught:
        config_from_json(bench.gateway.Config, bench.stored | {field: value})
    assert caught.value.field == field
    assert caught.value.reason.endswith(".")


def test_every_required_setting_is_asked_for_by_its_label(bench: Bench) -> None:
    required = [item for item in describe(bench.gateway.Config) if item.required]
    assert required
    for item in required:
        with pytest.raises(BadConfig, match=f"{item.label} is required"):
            config_from_json(bench.gateway.Config, {k: v for k, v in bench.stored.items() if k != item.name})


def test_an_unknown_setting_is_refused(bench: Bench) -> None:
    with pytest.raises(BadConfig, match="There is no such setting"):
        config_from_json(bench.gateway.Config, bench.stored | {"hots": "x"})


def test_a_stored_configuration_is_read_back_the_same(bench: Bench) -> None:
    assert config_from_json(bench.gateway.Config, config_to_json(bench.config)) == bench.config


def test_secrets_stand_neither_in_repr_nor_in_failures(bench: Bench) -> None:
    secrets = secrets_of(bench.config)
    assert secrets
    texts = [repr(bench.config)]
    for spoil in (bench.refuse, bench.busy, bench.lose_answer):
        spoil()
        with pytest.raises(DeliveryFailure) as caught:
            create(bench)
        texts.append(caught.value.reason)
    assert not [secret for secret in secrets for text in texts if secret in text or secret.split()[-1] in text]


def test_wrong_credentials_are_a_problem_without_the_secret(bench: Bench) -> None:
    wrong = {"password": "wr0ng-password"} if "password" in bench.stored else {"authorization": "Token wr0ng-token"}
    config = config_from_json(bench.gateway.Config, bench.stored | wrong)
    problems = bench.gateway.check(config, call=a_call())
    assert len(problems) == 1
    assert "wr0ng" not in problems[0]


def test_finding_is_certain_or_refused(bench: Bench) -> None:
    lag = bench.gateway.find_after(bench.config)
    if lag is None:
        with pytest.raises(PermanentFailure, match="cannot be"):
            bench.gateway.find(bench.config, TICKET.reference, call=a_call())
    else:
        assert lag >= timedelta(0)
        assert bench.gateway.find(bench.config, TICKET.reference, call=a_call()) is None


def test_an_unsigned_callback_is_refused(bench: Bench) -> None:
    with pytest.raises(PermanentFailure):
        bench.gateway.read_webhook(bench.config, {}, b'{"ticket": {"id": 1, "status": "closed"}}', call=a_call())


def test_every_setting_can_be_shown_in_a_form(bench: Bench) -> None:
    for item in describe(bench.gateway.Config):
        assert item.label
        assert item.kind in ("text", "number", "switch", "json", "list")
        assert not (item.secret and item.default), "a secret has no default to show"


def test_the_doubles_secret_is_what_is_stored() -> None:
    assert rest_json("http://x")["authorization"] == TOKEN
