"""AWS's own client within bounds: each try takes so long and each answer is so large, whoever it is that answers.

botocore waits so long for each byte, and reads into memory whatever comes: a proxy that drips, or one that never ends,
would hold a recording for ever. Credentials, proxies and retries stay botocore's own.
"""

from __future__ import annotations

import time
from typing import Any

from calibration.live import LiveError

MOST_BYTES = 64 * 1024**2
CHUNK = 65536
SECONDS = 20.0


def client(service: str, region: str | None, seconds: float = SECONDS) -> Any:
    """boto3's client of a service; it raises what botocore raises, and a LiveError beyond the bounds."""
    import boto3
    from botocore.config import Config

    retries: Any = {"mode": "adaptive", "max_attempts": 4}
    config = Config(
        retries=retries, connect_timeout=min(5.0, seconds), read_timeout=seconds, user_agent_extra="floodmark"
    )
    made = boto3.Session().client(service, region_name=region, config=config)
    session = made._endpoint.http_session  # botocore offers no other place for this
    ask = session.send

    def send(request: Any) -> Any:
        began = time.monotonic()
        request.stream_output = True  # the body is left to us
        response = ask(request)
        response._content = _read(response.raw, began + 2 * seconds, f"{service}: {request.url.split('?')[0]}")
        return response

    session.send = send
    return made


def _read(raw: Any, until: float, where: str) -> bytes:
    """The body, within time and size, each piece as it comes. Raises LiveError."""
    from urllib3.exceptions import HTTPError

    found = bytearray()
    while True:
        try:
            piece = raw.read1(CHUNK, decode_content=False)
        except (HTTPError, OSError) as error:
            raise LiveError("cut short", f"{where}: the answer broke off ({type(error).__name__})") from None
        if not piece:
            return bytes(found)
        found += piece
        if len(found) > MOST_BYTES:
            raise LiveError("too large", f"{where}: an answer of more than {MOST_BYTES >> 20} MiB")
        if time.monotonic() > until:
            raise LiveError("slow", f"{where}: no whole answer in time")
