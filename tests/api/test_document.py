"""docs/api.md: every command in it works as printed, and every operation has one; its table of problems is true."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from http import HTTPStatus
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command

from alerts.models import LetterTemplate, Silence
from billing.charging import OneOffDraft, enter_one_off
from billing.discounting import DiscountDraft, give_discount
from billing.models import Agreement
from msp.api.problems import Problem
from msp.channels.addressing import make_address
from msp.channels.models import Mailbox, PullSource
from msp.estate.models import Machine
from msp.estate.spans import Actor
from msp.ingest.models import AssignmentRule, InboxItem
from msp.outbox.lanes import mark
from tests.api.conftest import NOW, Caller
from tests.api.things import Things, make_incident, make_ticket
from tests.billing.psa_desks import connected
from tests.world import START, World, make_client, make_job

DOCUMENT = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
COMMANDS = [block for block in re.findall(r"```sh\n(.*?)```", DOCUMENT, re.S) if block.startswith("curl")]


def read_command(command: str, values: dict[str, str]) -> tuple[str, str, Any]:
    """Method, path and body of a curl command whose variables are replaced as a shell would."""
    for name, value in values.items():
        command = re.sub(rf"\${name}\b", value, command)
    words = shlex.split(command.replace("\\\n", " "))
    assert "Authorization: Bearer KEY" in words
    body = words[words.index("-d") + 1] if "-d" in words else None
    method = words[words.index("-X") + 1] if "-X" in words else "GET" if body is None else "POST"
    (address,) = (word for word in words if word.startswith("HOST"))
    if "--data-binary" in words:
        return "POST", address.removeprefix("HOST"), words[words.index("--data-binary") + 1].encode()
    return method, address.removeprefix("HOST"), None if body is None else json.loads(body)


@pytest.fixture
def psa_uid(world: World, request: pytest.FixtureRequest, settings: Any) -> Iterator[str]:
    """The uid of a destination that keeps agreements, for the commands that ask one."""
    with ExitStack() as stack:
        if "psa-" not in request.node.name:
            yield ""
            return
        settings.BACKLEDGER = replace(settings.BACKLEDGER, allow_private_destinations=True)
        yield str(connected(world, "connectwise", stack)[0].uid)


@pytest.fixture
def values(things: Things, world: World, psa_uid: str) -> dict[str, str]:
    own = things.own
    named: dict[str, Any] = {
        "CLIENT": own.client,
        "JOB": own.job,
        "SELECTION": own.job.selection,
        "RUN": own.run,
        "RECEIPT": own.receipt,
        "INCIDENT": own.incident,
    }
    named |= {"TICKET": own.ticket, "INVOICE": own.invoice, "LINE": own.line, "SERVER": world.server}
    named["MACHINE"] = Machine.objects.of(world.tenant).create(client=own.client, name="srv1", registered_at=START)
    named["GONE"] = make_job(world.tenant, world.server, world.client, "gone", gone_at=START)
    named["ADDRESS"] = make_address(world.tenant, world.server, actor=Actor(name="T", now=START))
    named["MAILBOX"] = Mailbox.objects.of(world.tenant).create(
        host="127.0.0.1", port=1, security="none", username="u", secrets={"password": "p"},
        check_after=START, created_at=START,
    )  # fmt: skip
    named["SOURCE"] = PullSource.objects.of(world.tenant).create(
        server=world.server, name="s", kind="comet", config={"url": "http://127.0.0.1:1", "username": "u"},
        secrets={"password": "p"}, check_after=START, created_at=START,
    )  # fmt: skip
    named["WAITING"] = make_ticket(world.tenant, make_client(world.tenant, "Waiting"))
    mark(world.tenant.pk, "ticket", [named["WAITING"].pk], now=NOW + timedelta(hours=1))
    named["RULE"] = AssignmentRule.objects.of(world.tenant).create(name="r", position=1, patterns={"job": "z"})
    named["TEMPLATE"] = LetterTemplate.objects.of(world.tenant).create(body="{{ default }}", changed_at=START)
    named["SILENCE"] = Silence.objects.of(world.tenant).create(
        scope_kind="tenant", scope_id=world.tenant.pk, starts_at=START, ends_at=START + timedelta(days=365)
    )
    named["STICKY"] = make_incident(world.tenant, own.client, own.job, sticky=True)
    named["ITEM"] = InboxItem.objects.of(world.tenant).create(
        receipt_id=1, place=0, reason="unassigned", source_job="j", opened_at=START
    )
    named["AGREEMENT"] = agreement = Agreement.objects.of(world.tenant).select_related("bill_to").earliest("pk")
    charge = OneOffDraft(kind="charge", description="c", amount=Decimal(1))
    named["CHARGE"] = enter_one_off(world.tenant, agreement, draft=charge, actor="T", now=START)
    discount = DiscountDraft(name="d", percent=Decimal(1), starts_on=START.date())
    named["DISCOUNT"] = give_discount(world.tenant, agreement, draft=discount, actor="T", now=START)
    named["PROPOSED"] = make_job(world.tenant, world.server, world.client, "second", state="proposed")
    known = {"BL_KEY": "KEY", "BACKLEDGER": "HOST", "PSA": psa_uid, "PLAN": f"plan-{own.client.pk}"}
    return known | {name: str(row.uid) for name, row in named.items()}


@pytest.mark.parametrize("command", COMMANDS, ids=[command.split("/api/v1/")[1].strip('" \n') for command in COMMANDS])
def test_a_command_works_as_it_is_printed(command: str, api: Caller, values: dict[str, str]) -> None:
    method, path, body = read_command(command, values)
    assert api.send(method, path, body=body).status_code in (200, 201, 204)


def test_every_operation_has_a_command_or_is_told(values: dict[str, str]) -> None:
    told = StringIO()
    call_command("spectacular", stdout=told)
    schema = yaml.safe_load(told.getvalue())
    shown = {read_command(command, values)[:2] for command in COMMANDS}
    patterns = [
        (method.upper(), re.sub(r"\{\w+\}", "[^/?]+", path) + r"(\?.*)?")
        for path, methods in schema["paths"].items()
        for method in methods
    ]
    missing = {
        f"{method} {pattern}"
        for method, pattern in patterns
        if not any(method == sent and re.fullmatch(pattern, path) for sent, path in shown)
    }
    one_of_a_list = {"clients", "jobs", "servers"}
    assert missing == {f"GET /api/v1/{name}/[^/?]+(\\?.*)?" for name in one_of_a_list} | {"GET /api/v1/servers(\\?.*)?"}


def test_the_table_of_problems_is_true() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \| (.+?) \|", DOCUMENT, re.M)
    assert len(rows) >= 10
    for status in (401, 404, 429, 500, 503):
        ((_, names),) = [row for row in rows if row[0] == str(status)]
        assert names.strip("`") == Problem(status, "x.").as_body()["type"].rsplit(":", 1)[1]
    assert {int(code) for row in rows for code in row[0].split(",")} <= {int(status) for status in HTTPStatus}
