"""A real IMAP server (pymap, its in-memory backend) as a process of its own, and a scripted one for what none does.

``ImapServer`` is filled and looked into by the standard library's client. ``ScriptedImap`` speaks just enough of the
protocol to offer XOAUTH2 and to break off, claim or refuse what a test wants.
"""

from __future__ import annotations

import base64
import contextlib
import imaplib
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

USER, PASSWORD = "demouser", "demopass"
READY_SECONDS = 20


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class ImapServer:
    """Use as a context manager; ``host`` and ``port`` are where it listens, without encryption."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        self.port = free_port()

    def __enter__(self) -> Self:
        command = ["-c", "from pymap.main import main; raise SystemExit(main())", "--no-service", "admin", "--host"]
        self._process = subprocess.Popen(
            [sys.executable, *command, self.host, "--port", str(self.port), "--no-tls", "dict", "--demo-data"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), self.client():
                return self
            time.sleep(0.1)
        self.__exit__(None, None, None)
        raise AssertionError("the IMAP server did not start")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(10)

    @contextlib.contextmanager
    def client(self) -> Iterator[imaplib.IMAP4]:
        connection = imaplib.IMAP4(self.host, self.port, timeout=10)
        try:
            connection.login(USER, PASSWORD)
            yield connection
        finally:
            connection.shutdown()

    def make_folder(self, name: str) -> None:
        with self.client() as client:
            assert client.create(name)[0] == "OK"

    def put(self, folder: str, *mails: bytes) -> None:
        """Mails that arrived now."""
        with self.client() as client:
            for mail in mails:
                assert client.append(folder, "", imaplib.Time2Internaldate(time.time()), mail)[0] == "OK"

    def flags(self, folder: str) -> list[str]:
        """The flags of each mail, in order."""
        with self.client() as client:
            client.select(folder, True)
            _, answer = client.fetch("1:*", "(FLAGS)")
            return [match[1] for item in answer if (match := re.search(r"FLAGS \((.*?)\)", str(item)))]

    def count(self, folder: str) -> int:
        with self.client() as client:
            _, answer = client.select(folder, True)
            return int(str(answer[0], "ascii")) if answer[0] else 0


@dataclass
class Script:
    """What the scripted server holds and does. ``bearer`` is the access token it takes."""

    mails: dict[int, bytes] = field(default_factory=dict)
    bearer: str = "token-1"
    uid_validity: int = 1
    break_off_at: str = ""
    claimed_size: int | None = None
    refuse: str = ""
    commands: list[str] = field(default_factory=list)


class ScriptedImap:
    """Use as a context manager. Every connection is served by the same script, one after the other."""

    host = "127.0.0.1"

    def __init__(self, script: Script) -> None:
        self.script = script
        self._listener = socket.create_server((self.host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer, contextlib.suppress(OSError):
                self._converse(peer)

    def _converse(self, peer: socket.socket) -> None:
        peer.sendall(b"* OK ready\r\n")
        with peer.makefile("rb") as lines:
            for raw in lines:
                tag, _, command = raw.decode("ascii").strip().partition(" ")
                self.script.commands.append(command)
                if self.script.break_off_at and self.script.break_off_at in command:
                    return
                if command.startswith("AUTHENTICATE XOAUTH2"):
                    peer.sendall(self._authenticate(tag, peer, lines))
                elif self.script.refuse and self.script.refuse in command:
                    peer.sendall(f"{tag} NO not here\r\n".encode())
                else:
                    peer.sendall(self._answer(command) + f"{tag} OK done\r\n".encode())
                if command == "LOGOUT":
                    return

    def _authenticate(self, tag: str, peer: socket.socket, lines: object) -> bytes:
        peer.sendall(b"+ \r\n")
        said = base64.b64decode(lines.readline()).decode()  # type: ignore[attr-defined]
        if said == f"user={USER}\x01auth=Bearer {self.script.bearer}\x01\x01":
            return f"{tag} OK welcome\r\n".encode()
        peer.sendall(b"+ " + base64.b64encode(b'{"status":"400"}') + b"\r\n")
        lines.readline()  # type: ignore[attr-defined]
        return f"{tag} NO AUTHENTICATE failed.\r\n".encode()

    def _answer(self, command: str) -> bytes:
        mails = self.script.mails
        if command == "CAPABILITY":
            return b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2 UIDPLUS MOVE\r\n"
        if command.startswith(("SELECT", "EXAMINE")):
            after = max(mails, default=0) + 1
            validity = self.script.uid_validity
            return f"* {len(mails)} EXISTS\r\n* OK [UIDVALIDITY {validity}] x\r\n* OK [UIDNEXT {after}] x\r\n".encode()
        if command.startswith("UID SEARCH"):
            wanted = re.search(r"UID SEARCH UID (\d+):(\d+)", command)
            low, high = (int(wanted[1]), int(wanted[2])) if wanted else (0, 10**9)
            return f"* SEARCH {' '.join(str(uid) for uid in sorted(mails) if low <= uid <= high)}\r\n".encode()
        if "RFC822.SIZE" in command:
            uids = [int(uid) for uid in re.findall(r"\d+", command.split(" ")[2])]
            return b"".join(f"* {uid} FETCH (UID {uid} RFC822.SIZE {len(mails[uid])})\r\n".encode() for uid in uids)
        if "BODY.PEEK" in command:
            uid = int(command.split(" ")[2])
            size = len(mails[uid]) if self.script.claimed_size is None else self.script.claimed_size
            return f"* {uid} FETCH (UID {uid} BODY[] {{{size}}}\r\n".encode() + mails[uid] + b")\r\n"
        return b""
