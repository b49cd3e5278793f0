"""The first login is made once, works, and its password is printed only then."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from msp.tenants.models import Membership, Tenant, User


@pytest.mark.django_db
def test_the_first_login_is_printed_once_and_works(client: Client) -> None:
    first, second = StringIO(), StringIO()
    call_command("first_login", stdout=first)
    call_command("first_login", stdout=second)
    given = json.loads(first.getvalue())
    assert second.getvalue() == ""
    assert (Tenant.objects.count(), User.objects.count()) == (1, 1)
    assert Membership.unwalled.get().role == "owner"
    assert User.objects.get().check_password(given["password"])
    assert not User.objects.get().check_password("")
