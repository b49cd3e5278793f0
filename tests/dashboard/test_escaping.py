"""Names, hosts and logs come from strangers: none of them becomes markup, on any page."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from alerts.models import Incident
from msp.backups.models import BackupJob
from msp.estate.models import BackupServer, Client
from tests.dashboard import scene
from tests.dashboard.conftest import Stage, run_address
from tests.dashboard.scene import browser_of

EVIL = "</title><script>alert(1)</script><img src=x onerror=alert(2)>\"' onmouseover=alert(3) x='"


@pytest.fixture
def hostile(stage: Stage) -> list[str]:
    """Pages on which every text that strangers can choose is hostile."""
    world = stage.world
    Client.objects.of(world.tenant).filter(pk=world.client.pk).update(name=EVIL, notes=EVIL)
    BackupServer.objects.of(world.tenant).filter(pk=world.server.pk).update(name=EVIL)
    BackupJob.objects.of(world.tenant).filter(pk=world.job.pk).update(name=EVIL, product=EVIL[:60])
    scene.fold(world.job, last_outcome="failure", check_after=scene.now())
    Incident.objects.of(world.tenant).filter(pk=stage.incident.pk).update(
        summary=EVIL, lines=[EVIL], evidence={EVIL: EVIL, "at": EVIL}, untold_reason=EVIL
    )
    ticket = scene.make_ticket(world.job, subject=EVIL, external_id=EVIL, external_url="javascript:alert(4)")
    error = {"message": EVIL, "path": EVIL}
    run = scene.make_run(
        world.job,
        at=scene.now() - timedelta(hours=4),
        outcome="failure",
        receipt_id=scene.make_receipt(world.tenant, f"one\n{EVIL}\n").pk,
        host=EVIL,
        archive=EVIL,
        errors=[error],
        errors_total=1,
        problems=[EVIL],
        notes=[EVIL],
        files={EVIL: 3},
        components=[{"type": EVIL, "name": EVIL, "outcome": EVIL}],
    )
    item = scene.make_inbox_item(world.tenant, f"{EVIL}\n", detail=EVIL, source_job=EVIL, item=EVIL, host=EVIL, line=1)
    return [
        "/", "/clients/", "/incidents/", "/tickets/", "/inbox/", f"/search/?text={EVIL}", f"/inbox/{item.uid}/",
        f"/tickets/{ticket.uid}/", run_address(run), f"{run_address(run)}?text=script", *stage.addresses().values(),
    ]  # fmt: skip


def test_hostile_text_stays_text_on_every_page(stage: Stage, hostile: list[str]) -> None:
    browser = browser_of(stage.world.owner)
    for address in hostile:
        if address.endswith("log.txt"):
            continue
        response = browser.get(address)
        page = response.content.decode()
        assert response.status_code == 200, address
        assert "<script>alert" not in page, address
        assert "<img src=x" not in page, address
        assert "javascript:" not in page, address
        assert "alert(1)" in page, address
        assert "unsafe-inline" not in response["Content-Security-Policy"]


def test_no_page_has_inline_script_or_style(stage: Stage, hostile: list[str]) -> None:
    browser = browser_of(stage.world.owner)
    for address in ["/login/", *hostile]:
        page = browser.get(address).content.decode()
        tags = re.findall(r"<[a-zA-Z][^<>]*>", page)
        assert not [tag for tag in tags if re.search(r"\sstyle\s*=", re.sub(r'"[^"]*"', '""', tag))], address
        assert not [tag for tag in tags if re.search(r"\son[a-z]+\s*=", re.sub(r'"[^"]*"', '""', tag))], address
        assert not [tag for tag in tags if tag.startswith("<script") and " src=" not in tag], address
        assert "<style" not in page, address
