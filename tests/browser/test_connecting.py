"""A technician connects a server on the running product: pick, copy the snippet, see its first log arrive."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from django.conf import settings
from playwright.sync_api import Browser, Page, expect

from msp.backups.models import BackupJob
from msp.estate.models import BackupServer
from msp.ingest.models import InboxItem
from tests.dashboard.scene import browser_of
from tests.journeys.running_product import RunningProduct
from tests.world import World, make_world

pytestmark = [pytest.mark.browser, pytest.mark.journey, pytest.mark.django_db(transaction=True)]

RESTIC = Path(__file__).parents[1] / "fixtures" / "logs" / "restic" / "backup-first-json" / "stdout.log"
#: The promise is "under two minutes"; idle it takes about ten seconds, and a busy machine is no fault of the pages.
SECONDS = 110


@pytest.fixture
def world(transactional_db: None) -> World:
    return make_world()


@pytest.fixture
def product(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningProduct]:
    running = RunningProduct()
    monkeypatch.setenv("BACKLEDGER_BASE_URL", running.url)
    with running:
        yield running


@pytest.fixture
def page(world: World, product: RunningProduct, chromium: Browser) -> Iterator[Page]:
    """The technician's browser on the running product, logged in; what it complains about fails the test."""
    context = chromium.new_context(base_url=product.url, permissions=["clipboard-read", "clipboard-write"])
    complaints: list[str] = []
    page = context.new_page()
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    session = browser_of(world.technician).cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": product.url}])
    page.goto("/")
    yield page
    context.close()
    assert complaints == []


def copied(page: Page, name: str) -> str:
    """What the copy button of that name put into the clipboard."""
    expect(page.locator(".btn.copied")).to_have_count(0)
    page.get_by_role("button", name=name).click()
    expect(page.locator(".btn.copied")).to_have_count(1)
    return str(page.evaluate("navigator.clipboard.readText()"))


def run_snippet(snippet: str, log: bytes) -> requests.Response:
    """What the pasted curl command does with the log that is piped into it."""
    (key,), (url,) = re.findall(r"Bearer (bl_[\w-]{43})", snippet), re.findall(r'"(http://[^"]+)"', snippet)
    return requests.post(url, data=log, headers={"Authorization": f"Bearer {key}"}, timeout=10)


def pick_and_name(page: Page, product: str, *, client: str, name: str) -> None:
    page.get_by_role("link", name="Connect a server").first.click()
    page.get_by_label("Find a product").press_sequentially(product)
    page.locator(f'#products a[href^="/settings/servers/connect/{product}/"]').click()
    page.get_by_label("Name of the server").fill(name)
    page.get_by_label("Client", exact=True).select_option(label=client)
    page.get_by_role("button", name="Register and show how to send").click()


def test_pick_copy_and_see_the_first_log_arrive(world: World, page: Page) -> None:
    began = time.monotonic()
    pick_and_name(page, "restic", client="Acme Dental", name="files02")
    expect(page.get_by_text("Waiting for the first log")).to_be_visible()
    page.get_by_role("tab", name="HTTP").click()
    marked = page.evaluate("document.body.dataset.stays = 'here'")
    answer = run_snippet(copied(page, "Copy: Without it"), RESTIC.read_bytes())
    assert (answer.status_code, marked) == (202, "here")
    arrival = page.locator(".arrival")
    expect(arrival).to_contain_text("Arrived and read", timeout=20_000)
    assert time.monotonic() - began < SECONDS
    for words in ("restic", "by HTTP", "job made", "Good", "Acme Dental"):
        expect(arrival).to_contain_text(words)
    assert page.evaluate("document.body.dataset.stays") == "here", "the page was loaded again"
    job = BackupJob.objects.of(world.tenant).get(server__name="files02")
    arrival.get_by_role("link", name=job.name).click()
    expect(page).to_have_url(re.compile(r"/runs/\d{4}-\d{2}/"))


def test_the_wrapper_installs_as_printed_and_its_first_log_arrives(world: World, page: Page, tmp_path: Path) -> None:
    pick_and_name(page, "restic", client="Acme Dental", name="files03")
    install, command = copied(page, "Copy: Install the wrapper"), copied(page, "Copy: With the wrapper")
    wrapper, settings_file = tmp_path / "backledger-run", tmp_path / "backledger.conf"
    places = {"/usr/local/bin/backledger-run": str(wrapper), "/etc/backledger.conf": str(settings_file)}
    script = f"{install}\n{command}".replace("restic backup --json /srv/data", f"cat {RESTIC}")
    for printed, here in places.items():
        script = script.replace(printed, here)
    script = re.sub(r"^backledger-run", f"{wrapper} --config {settings_file}", script, flags=re.M)
    environment = {**os.environ, "BACKLEDGER_SPOOL": str(tmp_path / "spool"), "BACKLEDGER_WAIT_SECONDS": "10"}
    environment = {name: value for name, value in environment.items() if "proxy" not in name.lower()}
    subprocess.run(["sh", "-ec", script], env=environment, check=True, timeout=60)
    arrival = page.locator(".arrival")
    expect(arrival).to_contain_text("Arrived and read", timeout=20_000)
    expect(arrival).to_contain_text("job made")
    assert BackupJob.objects.of(world.tenant).get(server__name="files03").name == "files"


def test_a_log_that_nobody_can_place_leads_to_the_inbox_and_a_reload_tells_no_key(world: World, page: Page) -> None:
    pick_and_name(page, "restic", client="several, or a new one", name="shared01")
    key = copied(page, "Copy the key")
    page.reload()
    expect(page.get_by_text("was shown once")).to_be_visible()
    assert key not in page.content()
    assert BackupServer.objects.of(world.tenant).filter(name="shared01").count() == 1, "the form was sent again"
    page.get_by_role("button", name="Make a new key").click()
    fresh = copied(page, "Copy the key")
    address = f"{page.url.split('/settings')[0]}/api/v1/logs"
    answers = [
        requests.post(address, data=RESTIC.read_bytes(), headers={"Authorization": f"Bearer {each}"}, timeout=10)
        for each in (key, fresh)
    ]
    assert [answer.status_code for answer in answers] == [401, 202]
    arrival = page.locator(".arrival")
    expect(arrival).to_contain_text("waits for you", timeout=20_000)
    expect(arrival).to_contain_text("belongs to no known job")
    arrival.get_by_role("link", name="Say whose it is").click()
    item = InboxItem.objects.of(world.tenant).get(server__name="shared01")
    expect(page).to_have_url(re.compile(str(item.uid)))


def test_pages_fit_a_phone_and_work_by_keyboard(world: World, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    pick_and_name(page, "veeam", client="Acme Dental", name="veeam01")
    expect(page.get_by_text("Waiting for the first log")).to_be_visible()
    wide = "document.documentElement.scrollWidth <= innerWidth"
    assert page.evaluate(wide)
    page.get_by_role("tab", name="Mail").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="HTTP")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="HTTP")).to_be_visible()
    assert page.evaluate(wide)
    page.goto("/settings/servers/connect/")
    assert page.evaluate(wide)
    field = page.get_by_label("Find a product")
    expect(field).to_be_focused()
    field.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#products li:nth-child(2) a")).to_be_focused()
    field.fill("no such product")
    expect(page.get_by_text("No product is called that")).to_be_visible()
    field.fill("duplicati webhook")
    expect(page.locator("#products li:visible")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/connect/duplicati/$"))
    expect(page.get_by_label("Name of the server")).to_be_focused()
