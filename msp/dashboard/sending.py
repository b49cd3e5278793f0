"""How a product's logs are sent: the formats' guides as the pages of a connection show them, filled in for a server.

Called by the pages that connect a server and by a server's own page. A key is in the answer only if it was in the
filling. The first way of a guide is the one we recommend, and stays first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.conf import settings

from integrations.logs import FORMATS, Format
from integrations.logs.guide import ADDRESS, Channel, Guide, Way, filled
from integrations.pulling import CONNECTORS
from msp.channels.addressing import written
from msp.channels.models import MailAddress
from msp.estate.models import BackupServer

#: What a way is called on its tab and on a product's tile.
CHANNELS: Mapping[Channel, str] = {
    "wrapper": "Wrapper",
    "http": "HTTP",
    "email": "Mail",
    "webhook": "Webhook",
    "pull": "Pull",
    "folder": "File drop",
}
#: Formats of home-made logs: offered to whoever does not find a product.
GENERAL = ("script", "own")
#: The zone that guides write into a snippet; that of the server takes its place.
EXAMPLE_ZONE = "timezone=Europe/Berlin"
#: What stands in place of a key that is not shown, and of an address that is not there yet.
NO_KEY, NO_ADDRESS = "YOUR-KEY", "YOUR-ADDRESS"

INSTALL = """\
curl -fsSLo /usr/local/bin/backledger-run @URL@/wrapper/backledger-run && chmod 755 /usr/local/bin/backledger-run
install -m 600 /dev/null /etc/backledger.conf
printf 'url = @URL@\\nkey = @KEY@\\n' > /etc/backledger.conf
backledger-run --check"""
INSTALL_WINDOWS = """\
Invoke-WebRequest @URL@/wrapper/backledger-run.ps1 -OutFile C:\\ProgramData\\backledger-run.ps1
Set-Content C:\\ProgramData\\backledger.conf "url = @URL@`nkey = @KEY@"
icacls C:\\ProgramData\\backledger.conf /inheritance:r /grant:r "*S-1-5-18:F" "*S-1-5-32-544:F"
powershell -NoProfile -ExecutionPolicy Bypass -File C:\\ProgramData\\backledger-run.ps1 -Check"""
RUN, RUN_WINDOWS = "backledger-run ", "backledger-run.ps1 "
POWERSHELL = "powershell -NoProfile -ExecutionPolicy Bypass -File C:\\ProgramData\\backledger-run.ps1 "
#: A command that only a Unix shell understands has no twin for Windows.
UNIX_ONLY = ("sh -c", "/usr/")


@dataclass(frozen=True)
class Product:
    """A format as a tile to pick: ``words`` are what a search looks through, in lower case."""

    name: str
    label: str
    line: str
    channels: tuple[str, ...]
    words: str


@dataclass(frozen=True)
class Filling:
    """What goes into a snippet. ``key`` and ``address`` empty: not to be shown, or none there."""

    url: str
    zone: str
    key: str = ""
    address: str = ""


@dataclass(frozen=True)
class Step:
    """One thing to paste; ``id`` is its own on the page."""

    id: str
    title: str
    snippet: str
    note: str = ""
    language: str = "sh"


@dataclass(frozen=True)
class System:
    """How the wrapper is installed and used on one kind of system."""

    name: str
    id: str
    title: str
    install: Step
    steps: tuple[Step, ...]

    @property
    def is_single(self) -> bool:
        """One step says what the heading above it says."""
        return len(self.steps) == 1


@dataclass(frozen=True)
class Tab:
    """All ways of one channel. ``systems`` is for the wrapper; the others have ``steps`` alone.

    ``connector`` is the kind of pull source that asks the product itself: a form instead of a snippet.
    """

    channel: Channel
    id: str
    title: str
    steps: tuple[Step, ...]
    systems: tuple[System, ...] = ()
    connector: str = ""


def list_products() -> tuple[Product, ...]:
    """All formats by their labels; those of home-made logs come last."""
    products = sorted(
        (name for name in FORMATS if name not in GENERAL), key=lambda name: FORMATS[name].LABEL.casefold()
    )
    return tuple(_product(name, FORMATS[name]) for name in (*products, *GENERAL))


def _product(name: str, module: Format) -> Product:
    guide = module.GUIDE
    channels = tuple(CHANNELS[channel] for channel in channels_of(name))
    words = " ".join((name, module.LABEL, guide.releases, *channels, *guide.operations))
    return Product(name, module.LABEL, guide.releases, channels, words.casefold())


def channels_of(name: str) -> tuple[Channel, ...]:
    """Those of the format's guide, in its order; then pull, if there is a connector for the product."""
    guided = dict.fromkeys(way.channel for way in FORMATS[name].GUIDE.ways)
    pulled: dict[Channel, None] = {"pull": None} if connector_of(name) else {}
    return tuple(guided | pulled)


def connector_of(name: str) -> str:
    """The kind of pull source that brings logs of this format; "" for none."""
    return next((kind for kind, connector in CONNECTORS.items() if name in connector.FORMATS), "")


def needs_address(guide: Guide) -> bool:
    """Whether one of its ways is a mail to an address of the server's own."""
    return any(ADDRESS in way.snippet or ADDRESS in way.note for way in guide.ways)


def filling_of(server: BackupServer, *, secret: str = "", address: MailAddress | None = None) -> Filling:
    """What goes into the snippets of a server."""
    mail = written(address, domain=settings.BACKLEDGER.mail_domain) if address else ""
    return Filling(url=settings.BACKLEDGER.base_url, zone=server.timezone, key=secret, address=mail)


def ways_of(name: str, filling: Filling) -> tuple[Tab, ...]:
    """A tab for each channel of the format, in the order of its guide."""
    ways = FORMATS[name].GUIDE.ways
    return tuple(
        _tab(name, channel, tuple(way for way in ways if way.channel == channel), filling)
        for channel in channels_of(name)
    )


def _tab(name: str, channel: Channel, ways: tuple[Way, ...], filling: Filling) -> Tab:
    id = f"{name}-{channel}"
    steps = tuple(
        Step(f"{id}-{nth}", way.title, _fill(way.snippet, filling), _fill(way.note, filling), way.language)
        for nth, way in enumerate(ways, 1)
    )
    systems = tuple(_systems(id, steps, filling)) if channel == "wrapper" else ()
    connector = connector_of(name) if channel == "pull" else ""
    return Tab(channel, id, CHANNELS[channel], steps, systems, connector)


def _systems(id: str, steps: tuple[Step, ...], filling: Filling) -> Iterator[System]:
    if not any(step.language == "powershell" for step in steps):
        yield _system("unix", "Linux, macOS, BSD", id, _fill(INSTALL, filling), steps)
    windows = tuple(twin for step in steps if (twin := _on_windows(step)) is not None)
    if windows:
        yield _system("windows", "Windows", id, _fill(INSTALL_WINDOWS, filling), windows)


def _system(name: str, title: str, id: str, install: str, steps: tuple[Step, ...]) -> System:
    return System(name, f"{id}-{name}", title, Step(f"{id}-{name}-install", "Install the wrapper", install), steps)


def _on_windows(step: Step) -> Step | None:
    """The same by the wrapper's twin, None for what is no single command of both systems."""
    start = next((word for word in (RUN_WINDOWS, RUN) if step.snippet.startswith(word)), None)
    if start is None or "\n" in step.snippet or any(word in step.snippet for word in UNIX_ONLY):
        return None
    command = POWERSHELL + step.snippet.removeprefix(start)
    return Step(f"{step.id}-windows", step.title, command, step.note, "powershell")


def _fill(text: str, filling: Filling) -> str:
    text = text.rstrip("\n").replace(EXAMPLE_ZONE, f"timezone={filling.zone}")
    return filled(text, url=filling.url, key=filling.key or NO_KEY, address=filling.address or NO_ADDRESS)
