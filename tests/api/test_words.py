"""/words and /letter-templates: the language, templates and their preview by the API; who may."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.models import LetterTemplate, Route
from tests.api.conftest import Caller, Callers
from tests.api.things import Things
from tests.world import World

SENT = {"route": None, "language": "", "subject": "{{ client }}", "body": "Hello {{ client }}", "html": ""}


def test_the_language_is_read_and_set(api: Caller) -> None:
    assert api.get("/words").json() == {"language": "en"}
    assert api.put("/words", {"language": "de"}).json() == {"language": "de"}
    assert api.get("/words").json() == {"language": "de"}
    assert api.put("/words", {"language": "tlh"}).status_code == 422


def test_a_clients_language_is_set(api: Caller, world: World) -> None:
    path = f"/clients/{world.client.uid}"
    assert api.get(path).json()["language"] == ""
    assert api.patch(path, {"language": "fr"}).json()["language"] == "fr"
    assert api.patch(path, {"language": ""}).json()["language"] == ""
    assert api.patch(path, {"language": "xx"}).status_code == 422
    made = api.post("/clients", {"name": "New", "code": "new", "language": "es"}).json()
    assert made["language"] == "es"


def test_a_template_is_added_changed_and_deleted(api: Caller, world: World) -> None:
    route = Route.objects.of(world.tenant).create(position=90, name="Night")
    made = api.post("/letter-templates", SENT | {"route": str(route.uid), "language": "de"})
    assert made.status_code == 201
    template = made.json()
    assert (template["route"], template["language"], template["body"]) == (str(route.uid), "de", "Hello {{ client }}")
    assert template["changed_by"]
    assert api.get("/letter-templates").json()["items"] == [template]
    path = f"/letter-templates/{template['uid']}"
    assert api.get(path).json() == template
    changed = api.put(path, SENT | {"html": "<p>{{ client }}</p>"}).json()
    assert (changed["route"], changed["language"], changed["html"]) == (None, "", "<p>{{ client }}</p>")
    assert api.send("DELETE", path).status_code == 204
    assert api.get(path).status_code == 404


@pytest.mark.parametrize(
    ("values", "field", "sentence"),
    [
        ({"body": "a\n{{ nope }}"}, "body", "Line 2: There is no value “nope”."),
        ({"subject": "{{ 10 ** 9 }}"}, "subject", "Line 1: A template does not compute."),
        ({"html": "{{ client.__class__ }}"}, "html", "There is no “__class__”."),
        ({"subject": "", "body": ""}, "body", "Nothing is written"),
        ({"language": "tlh"}, "language", ""),
        ({"route": "3f1c7a30-52aa-4d0b-9a8e-2d6e0c1b7f11"}, "route", "There is no such route."),
        ({"body": "x" * 20_001}, "body", ""),
    ],
)
def test_what_cannot_work_is_refused(api: Caller, values: dict[str, Any], field: str, sentence: str) -> None:
    for path in ("/letter-templates", "/letter-templates/preview"):
        if path.endswith("preview") and "Nothing" in sentence:
            continue
        answer = api.post(path, SENT | values)
        assert answer.status_code == 422
        assert sentence in str(answer.json()["errors"][field])
    assert api.get("/letter-templates").json()["items"] == []


def test_a_second_one_for_the_same_is_refused(api: Caller) -> None:
    assert api.post("/letter-templates", SENT).status_code == 201
    assert api.post("/letter-templates", SENT).status_code == 422


def test_the_preview_is_of_a_real_incident(api: Caller, things: Things, world: World) -> None:
    incident = str(things.own.incident.uid)
    shown = api.post(
        "/letter-templates/preview", SENT | {"incident": incident, "body": "{{ client }} {{ link }}"}
    ).json()
    assert shown["subject"] == world.client.name
    assert shown["text"].startswith(f"{world.client.name} http")
    assert shown["text"].endswith(f"/incidents/{incident}")
    stored = api.post("/letter-templates/preview", {"incident": incident, "language": "fr"}).json()
    assert stored["language"] == "fr"
    assert "À essayer" in stored["text"]
    assert LetterTemplate.objects.of(world.tenant).count() == 0
    assert api.post("/letter-templates/preview", {}).json()["text"].startswith("The backup failed 3 times")
    other = "3f1c7a30-52aa-4d0b-9a8e-2d6e0c1b7f11"
    assert api.post("/letter-templates/preview", {"incident": other}).status_code == 422


def test_who_may(callers: Callers, things: Things) -> None:
    made = callers.owner.post("/letter-templates", SENT).json()
    path = f"/letter-templates/{made['uid']}"
    writes: list[tuple[str, str, Any]] = [
        ("POST", "/letter-templates", SENT | {"language": "de"}), ("PUT", path, SENT), ("DELETE", path, None),
        ("PUT", "/words", {"language": "de"}), ("POST", "/letter-templates/preview", {}),
    ]  # fmt: skip
    for method, address, body in writes:
        assert callers.reader.send(method, address, body=body).status_code == 403
        assert callers.nobody.send(method, address, body=body).status_code == 401
        assert callers.reseller.send(method, address, body=body).status_code == 404
    assert callers.reseller.get("/letter-templates").json()["items"] == []
    assert callers.reseller.get("/words").status_code == 404
    for method in ("GET", "PUT", "DELETE"):
        assert callers.stranger.send(method, path, body=SENT if method == "PUT" else None).status_code == 404
    foreign = callers.stranger.post("/letter-templates/preview", {"incident": str(things.own.incident.uid)})
    assert foreign.status_code == 422
    assert callers.owner.get(path).json()["body"] == "Hello {{ client }}"
