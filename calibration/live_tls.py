"""TLS: whose certificate is trusted, said explicitly, never silently less than the system's own rules.

By default the system's trust store decides. A company's own authority is a file (`ca_file`). A
self-signed certificate is pinned by its SHA-256 fingerprint: it is fetched once without sending
anything, compared, and then is the only one trusted for that address, whatever name it bears.
"""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from calibration.live import LiveError

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Tls:
    """A file of authorities (PEM), or SHA-256 of the only certificates that are trusted; neither: the system's."""

    ca_file: Path | None = None
    fingerprints: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for one in self.fingerprints:
            normal(one)
        if self.ca_file is not None and self.fingerprints:
            raise LiveError("settings", "a CA file and a fingerprint; one of them would do")


def normal(fingerprint: str) -> str:
    """A SHA-256 fingerprint as 64 hex digits; colons and `sha256:` are taken off.

    >>> normal("SHA256 Fingerprint=" + ":".join(["AB"] * 32))[:6]
    'ababab'
    """
    text = re.sub(r"(?i)^\s*sha-?256( fingerprint)?[:=]", "", fingerprint).replace(":", "").strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise LiveError(
            "settings",
            "the fingerprint is not the 64 hex digits of a SHA-256; "
            "`openssl x509 -noout -fingerprint -sha256 -in cert.pem` prints it",
        )
    return text


def context(tls: Tls, url: str, seconds: float = 10.0) -> ssl.SSLContext:
    """The context for connections to that address."""
    if tls.fingerprints:
        parts = urlsplit(url)
        return pinned(parts.hostname or "", parts.port or PORTS[parts.scheme], tls.fingerprints, seconds)
    return trusting(tls.ca_file)


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """The system's rules, or those with this file's authorities alone."""
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except FileNotFoundError:
        raise LiveError("settings", f"CA file {ca_file} does not exist") from None
    except (OSError, ssl.SSLError):
        raise LiveError("settings", f"CA file {ca_file} holds no certificate in PEM form") from None


def pinned(host: str, port: int, fingerprints: Sequence[str], seconds: float) -> ssl.SSLContext:
    """A context that trusts only the certificate with one of these; refuses where the server shows another."""
    wanted = {normal(one) for one in fingerprints}
    der = shown(host, port, seconds)
    seen = hashlib.sha256(der).hexdigest()
    if seen not in wanted:
        raise LiveError(
            "tls",
            f"{host}:{port} shows a certificate with SHA-256 {seen}, not the one that was given; "
            "if it was renewed, check it at the server and give that fingerprint",
        )
    only = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    only.load_verify_locations(cadata=der)
    only.check_hostname = False
    only.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the leaf itself is the anchor
    only.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return only


def shown(host: str, port: int, seconds: float) -> bytes:
    """The certificate that a server shows [DER]; nothing is sent to it and nothing is trusted by this."""
    look = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    look.check_hostname, look.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=seconds) as plain,
            look.wrap_socket(plain, server_hostname=host) as wrapped,
        ):
            return wrapped.getpeercert(binary_form=True) or b""
    except ssl.SSLError:
        raise LiveError("tls", f"{host}:{port} does not speak TLS; is it http://?") from None
    except OSError as error:
        raise LiveError("unreachable", f"{host}:{port}: {error.strerror or error}") from None
