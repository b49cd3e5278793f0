"""A server below any protocol, for what no healthy server does: it says bytes and holds the line, or hangs up."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate_for(host: str, folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate for a host name, as a file to trust and as a server's context."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)
    return certificate, context


class RawServer:
    """Says the same bytes to everyone who connects, then holds the line or hangs up."""

    def __init__(self, says: bytes, *, hold: bool, context: ssl.SSLContext | None = None) -> None:
        self._says, self._hold, self._context = says, hold, context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> int:
        self._thread.start()
        port: int = self._listening.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                caller, _ = self._listening.accept()
                with caller, self._context.wrap_socket(caller, server_side=True) if self._context else caller as line:
                    if self._says:
                        read_request(line)
                        line.sendall(self._says)
                    if self._hold:
                        self._over.wait(10)
            except OSError:
                continue


def read_request(line: socket.socket) -> None:
    """Take the whole HTTP request: what is left unread when a line is closed makes the system drop the answer, too."""
    line.settimeout(1)
    taken = b""
    try:
        while b"\r\n\r\n" not in taken:
            taken += line.recv(65536) or b"\r\n\r\n"
        head, _, body = taken.partition(b"\r\n\r\n")
        lengths = [part.split(b":")[1] for part in head.lower().split(b"\r\n") if part.startswith(b"content-length:")]
        while lengths and len(body) < int(lengths[0]):
            body += line.recv(65536) or b" " * int(lengths[0])
    except TimeoutError:
        pass
    line.settimeout(None)
