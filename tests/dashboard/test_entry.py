"""The way in: passwords, lock-out, going on to the page that was asked for, and people of several or no tenants."""

from __future__ import annotations

import pytest
from django.test import Client as Browser
from django.test import override_settings

from msp.tenants.models import Membership, User
from tests.dashboard.scene import browser_of, now
from tests.world import PASSWORD, World

CORRECT = {"username": "tech@northwind.example", "password": PASSWORD}


def test_a_wrong_password_gets_one_sentence(world: World) -> None:
    response = Browser().post("/login/", {**CORRECT, "password": "wrong"})
    assert response.status_code == 200
    assert "No login fits this email address and password." in response.content.decode()


def test_too_many_wrong_passwords_lock_the_login(world: World) -> None:
    browser = Browser()
    with override_settings(AXES_FAILURE_LIMIT=3):
        for _ in range(2):
            assert browser.post("/login/", {**CORRECT, "password": "wrong"}).status_code == 200
        response = browser.post("/login/", {**CORRECT, "password": "wrong"})
        assert response.status_code == 429
        assert "Too many wrong passwords" in response.content.decode()
        assert browser.post("/login/", CORRECT).status_code == 429


@pytest.mark.parametrize(
    "asked,reached",
    [
        ("/incidents/?kind=errors", "/incidents/?kind=errors"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_the_login_goes_on_to_our_own_pages_only(world: World, asked: str, reached: str) -> None:
    response = Browser().post("/login/", {**CORRECT, "next": asked})
    assert response["Location"] == reached


def test_who_belongs_to_two_tenants_chooses_and_stays(world: World) -> None:
    Membership.objects.of(world.other).create(user=world.technician, role="reader", created_at=now())
    browser = Browser()
    response = browser.post("/login/", {**CORRECT, "next": "/tickets/"})
    assert response["Location"] == "/choose/?next=%2Ftickets%2F"
    page = browser.get(response["Location"]).content.decode()
    assert "Northwind MSP" in page
    assert "Other MSP" in page
    chosen = browser.post("/choose/", {"tenant": str(world.other.uid), "next": "/tickets/"})
    assert chosen["Location"] == "/tickets/"
    assert "Elsewhere Ltd" in browser.get("/clients/").content.decode()
    assert browser.get(f"/clients/{world.client.uid}/").status_code == 404


def test_nobody_chooses_a_tenant_of_others(world: World) -> None:
    browser = browser_of(world.technician)
    browser.post("/choose/", {"tenant": str(world.other.uid), "next": "https://evil.example/"})
    page = browser.get("/clients/").content.decode()
    assert "Acme Dental" in page
    assert "Elsewhere Ltd" not in page


def test_who_belongs_to_nobody_is_told_so(world: World) -> None:
    browser = browser_of(User.objects.create_user("alone@x.example", password=PASSWORD))
    assert browser.get("/")["Location"] == "/no-access/"
    response = browser.get("/no-access/")
    assert response.status_code == 403
    assert "belongs to no active company" in response.content.decode()


def test_a_suspended_tenant_lets_nobody_in(world: World) -> None:
    world.tenant.state = "suspended"
    world.tenant.save()
    assert browser_of(world.technician).get("/")["Location"] == "/no-access/"


def test_logging_out_needs_a_form_and_ends_the_session(world: World) -> None:
    browser = browser_of(world.technician)
    assert browser.get("/logout/").status_code == 405
    assert browser.post("/logout/")["Location"] == "/login/"
    assert browser.get("/").status_code == 302


def test_an_address_that_is_not_there_is_a_page(world: World) -> None:
    response = browser_of(world.technician).get("/nowhere/")
    assert response.status_code == 404
    assert "There is nothing at this address" in response.content.decode()


@override_settings(DEBUG=False)
def test_an_error_of_ours_is_a_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **values: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("msp.dashboard.views.search.list_clients", broken)
    browser = browser_of(world.technician)
    browser.raise_request_exception = False
    response = browser.get("/search/?text=x")
    assert response.status_code == 500
    assert "Something broke on our side" in response.content.decode()
    assert "secret detail" not in response.content.decode()


def test_the_chosen_theme_is_drawn_at_once_and_nothing_else_is(world: World) -> None:
    browser = browser_of(world.technician)
    browser.cookies["theme"] = "dark"
    assert '<html lang="en" data-theme="dark">' in browser.get("/").content.decode()
    browser.cookies["theme"] = "x onload=alert(1)"
    assert '<html lang="en">' in browser.get("/").content.decode()
