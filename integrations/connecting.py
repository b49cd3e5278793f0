"""Opens a connection that cannot outlive its deadline; used by the HTTP door and the mail gateway.

Time-outs of a socket count from byte to byte, so a peer that sends one byte at a time could hold a worker for ever.
``CutOff`` shuts the socket at the deadline whatever it is doing, a TLS handshake included.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time

import certifi

from integrations.addresses import Address


class CutOff:
    """Shuts the watched socket at ``deadline``, a value of ``time.monotonic``."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self._timer: threading.Timer | None = None
        self._socket: socket.socket | None = None

    def remaining(self) -> float:
        """Seconds left, at least a hundredth, as 0 would mean "do not wait" or "no limit" to a socket."""
        return max(0.01, self.deadline - time.monotonic())

    def passed(self) -> bool:
        """Whether the deadline has passed: what was read last may be cut short."""
        return time.monotonic() >= self.deadline

    def dial(self, address: Address, *, seconds: float) -> socket.socket:
        """Connect to a checked address within ``seconds``; raises OSError."""
        dialled = socket.create_connection((address.ip, address.port), timeout=min(seconds, self.remaining()))
        self._socket = dialled.dup()  # TLS takes over the original object; a duplicate still reaches the connection
        self._timer = threading.Timer(self.remaining(), self._cut)
        self._timer.daemon = True
        self._timer.start()
        dialled.settimeout(self.remaining())
        return dialled

    def stop(self) -> None:
        """Stop watching; must be called when the connection is done with."""
        if self._timer is not None and self._socket is not None:
            self._timer.cancel()
            self._timer.join()
            self._socket.close()
            self._timer = self._socket = None

    def _cut(self) -> None:
        try:
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the peer was quicker: already closed


def tls_context() -> ssl.SSLContext:
    """The system's certificates (SSL_CERT_FILE is honoured, for a private authority) and those of certifi."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def any_signer() -> ssl.SSLContext:
    """Takes a certificate of any signer: only for a connection that checks its fingerprint itself."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def what_happened(error: Exception, cut_off: CutOff) -> str:
    """A broken connection in words that follow the name of a host; shows nothing of what was sent."""
    if isinstance(error, TimeoutError) or cut_off.passed():
        return "did not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "refused the connection"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"showed a certificate that is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return "could not agree on TLS"
    return "closed the connection or could not be reached"
