"""Real backups by real tools under the wrapper, while the service is killed and comes back: each is one run, once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from msp.backups.models import BackupJob, JobRun
from msp.ingest.models import InboxItem, Receipt, ReceiptQueue
from tests.journeys.running_product import RunningProduct, wait_until
from tests.world import World, make_world
from tests.wrapper.loading import WRAPPER, environment, waiting

pytestmark = [pytest.mark.journey, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

TOOLS = ("restic", "borg", "rsync")
#: The source holds these files; their sum is what every tool must tell as protected.
FILES = {"report.txt": 70_000, "deep/down/mail.mbox": 1_234_567, "empty": 0}
SIZE = sum(FILES.values())


@pytest.fixture(autouse=True)
def tools() -> None:
    """``make test`` installs them as root; where nobody may, they are missed aloud."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        told = f"real backups were not tried: {', '.join(missing)} not found (apt-get install restic borgbackup rsync)"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)


@pytest.fixture
def world(transactional_db: None) -> World:
    made = make_world()
    BackupJob.objects.of(made.tenant).update(registered_at=timezone.now() - timedelta(hours=1))
    return made


@pytest.fixture
def product(world: World) -> Iterator[RunningProduct]:
    with RunningProduct() as running:
        yield running


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for name, size in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    return folder


class Machine:
    """A backup server with the wrapper installed: its spool and repositories stand below ``folder``."""

    def __init__(self, folder: Path, *, url: str, key: str) -> None:
        self.folder = folder
        secrets = {"RESTIC_PASSWORD": "x", "BORG_PASSPHRASE": "x", "BORG_BASE_DIR": str(folder / "borg-home")}
        self._environment = environment(folder, url, BACKLEDGER_KEY=key, BACKLEDGER_WAIT_SECONDS="4", **secrets)

    def prepare(self) -> None:
        self._run("restic", "init", "-q", "-r", str(self.folder / "restic"))
        self._run("borg", "init", "-e", "none", str(self.folder / "borg"))

    def wrapped(self, *arguments: str) -> int:
        done = subprocess.run(
            [sys.executable, str(WRAPPER), *arguments], env=self._environment, timeout=120, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.returncode

    def back_up(self, tool: str, source: Path) -> int:
        commands = {
            "restic": ["restic", "-r", str(self.folder / "restic"), "backup", "--json", str(source)],
            "borg": ["borg", "create", "--json", "--show-rc", f"{self.folder}/borg::{{now}}", str(source)],
            "rsync": ["rsync", "-a", "--stats", f"{source}/", f"{self.folder}/mirror/"],
        }
        return self.wrapped("--job", tool, "--", *commands[tool])

    def spooled(self) -> list[str]:
        return [each["job"] for each in waiting(self.folder)]

    def _run(self, *command: str) -> None:
        subprocess.run(command, env=self._environment, check=True, stdin=subprocess.DEVNULL, capture_output=True)


@pytest.fixture
def machine(tmp_path: Path, world: World, product: RunningProduct) -> Machine:
    made = Machine(tmp_path, url=product.url, key=world.server_key)
    made.prepare()
    return made


def runs_of(world: World, product: RunningProduct) -> list[JobRun]:
    """Every run, once nothing waits to be processed."""
    queue = ReceiptQueue.objects.of(world.tenant)
    wait_until(lambda: not queue.exists(), what="the queue", seconds=60, poke=product.look)
    return list(JobRun.objects.of(world.tenant).order_by("ended_at"))


def restart(product: RunningProduct) -> None:
    product.start("web")
    wait_until(product._answers, what="the web server to answer", seconds=60)


def test_backups_run_while_the_service_is_away_and_each_is_told_once(
    world: World, product: RunningProduct, machine: Machine, source: Path
) -> None:
    assert machine.wrapped("--check") == 0
    assert machine.back_up("rsync", source) == 0
    assert machine.spooled() == []

    product.kill("web")
    assert [machine.back_up(tool, source) for tool in TOOLS] == [0, 0, 0]
    assert sorted(machine.spooled()) == sorted(TOOLS)

    restart(product)
    kept = {path: path.read_bytes() for path in (machine.folder / "spool" / "waiting").iterdir()}
    assert machine.wrapped("--flush") == 0
    assert machine.spooled() == []
    for path, content in kept.items():  # as if we had died between the answer and the removal
        path.write_bytes(content)
    assert machine.wrapped("--flush") == 0

    runs = runs_of(world, product)
    names = {job.pk: job.name for job in BackupJob.objects.of(world.tenant)}
    told = sorted((names[run.job_id], run.operation, run.outcome, run.protected_bytes) for run in runs)
    assert [each[:3] for each in told] == [(tool, "backup", "success") for tool in ("borg", "restic", "rsync", "rsync")]
    borg, *others = [each[3] or 0 for each in told]
    assert others == [SIZE, SIZE, SIZE]
    assert SIZE <= borg < SIZE + 5000  # borg counts names and rights, too
    assert Receipt.objects.of(world.tenant).count() == 4
    assert not InboxItem.objects.of(world.tenant).exists()


def test_a_failed_backup_is_a_failed_run_and_its_exit_code_goes_out(
    world: World, product: RunningProduct, machine: Machine, source: Path
) -> None:
    product.kill("web")
    codes = [machine.back_up(tool, source / "not there") for tool in TOOLS]
    assert codes == [1, 1, 23]  # of restic a failure, of borg a warning, of rsync (which reached nothing) a failure
    assert len(machine.spooled()) == 3
    restart(product)
    assert machine.back_up("restic", source) == 0  # every run sends what waits

    runs = runs_of(world, product)
    names = {job.pk: job.name for job in BackupJob.objects.of(world.tenant)}
    bad = [(names[run.job_id], run.outcome, run.exit_code, run.complete) for run in runs if run.exit_code]
    assert sorted(bad) == [
        ("borg", "warning", 1, False), ("restic", "failure", 1, False), ("rsync", "failure", 23, False),
    ]  # fmt: skip
    assert [run.protected_bytes for run in runs if not run.exit_code] == [SIZE]
    assert machine.spooled() == []


def test_a_service_killed_while_backups_go_on_gets_every_run_once(
    world: World, product: RunningProduct, machine: Machine, source: Path
) -> None:
    """Ten nights; the web process dies again and again, at moments that no side knows of."""
    for night in range(10):
        if night % 3 == 0:
            product.kill("web")
        (source / "night").write_bytes(b"x" * (night + 1))
        assert machine.back_up("rsync", source) == 0
        if night % 3 == 1:
            restart(product)
    if "web" not in product._processes:
        restart(product)
    wait_until(lambda: machine.wrapped("--flush") == 0, what="an empty spool", seconds=60)
    sizes = [run.protected_bytes for run in runs_of(world, product)]
    assert sorted(size for size in sizes if size is not None) == [SIZE + night + 1 for night in range(10)]
    assert len(sizes) == 10


def test_the_measured_selection_arrives_with_the_run(
    world: World, product: RunningProduct, machine: Machine, source: Path
) -> None:
    mirror = str(machine.folder / "mirror")
    command = ["rsync", "-a", "--stats", f"{source}/", f"{mirror}/"]
    assert machine.wrapped("--job", "rsync", "--measure", str(source), "--measure-list", "--", *command) == 0
    (run,) = runs_of(world, product)
    assert (run.outcome, run.protected_bytes) == ("success", SIZE)
    assert (run.host, run.exit_code) == (os.uname().nodename, 0)
