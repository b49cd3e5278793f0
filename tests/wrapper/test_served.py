"""Both files of the wrapper can be fetched by anybody, as they are, from an address that a snippet may name."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.wrapper.loading import WRAPPER


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["backledger-run", "backledger-run.ps1"])
def test_the_wrapper_is_served_as_it_is(name: str) -> None:
    answer = Client().get(f"/wrapper/{name}")
    assert answer.status_code == 200
    assert answer.content == (WRAPPER.parent / name).read_bytes()
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert Client().post(f"/wrapper/{name}").status_code == 405


@pytest.mark.django_db
def test_nothing_else_of_the_folder_is_served() -> None:
    for name in ("", "..%2fmanage.py", "README.md"):
        assert Client().get(f"/wrapper/{name}").status_code == 404
