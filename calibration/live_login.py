"""Logins: how Floodmark shows who it is, from the environment or from AWS's own chain; never from a command line.

    FLOODMARK_SEARCH_USER, FLOODMARK_SEARCH_PASSWORD     basic
    FLOODMARK_SEARCH_API_KEY                             Elasticsearch's encoded API key
    FLOODMARK_SEARCH_TOKEN                               bearer
    (no variable; an option asks for it)                 SigV4 by botocore's chain

and the same with PROMETHEUS, SPARK, METRICS in place of SEARCH; KAFKA has names of its own (`live_kafka`).
Each value is remembered, so that no text of ours ever shows it.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from calibration.live import LiveError
from calibration.secrets import remember, without_userinfo

HOW = "set FLOODMARK_{0}_USER and FLOODMARK_{0}_PASSWORD, FLOODMARK_{0}_API_KEY or FLOODMARK_{0}_TOKEN"


class Login(Protocol):
    """Gives the headers that show who we are for one request."""

    @property
    def how(self) -> str: ...

    def headers(self, method: str, url: str, body: bytes | None) -> dict[str, str]: ...


@dataclass(frozen=True)
class Nobody:
    """No credentials."""

    how: str = "no credentials"

    def headers(self, method: str, url: str, body: bytes | None) -> dict[str, str]:
        return {}


@dataclass(frozen=True)
class Header:
    """One fixed Authorization header."""

    value: str = field(repr=False)
    how: str

    def headers(self, method: str, url: str, body: bytes | None) -> dict[str, str]:
        return {"Authorization": self.value}


@dataclass(frozen=True)
class SigV4:
    """Requests signed for an AWS service, with credentials of botocore's chain (renewed as that renews them)."""

    credentials: Any = field(repr=False)
    service: str
    region: str
    how: str = "SigV4"

    def headers(self, method: str, url: str, body: bytes | None) -> dict[str, str]:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        request = AWSRequest(method=method, url=url, data=body, headers={"Host": urlsplit(url).netloc})
        if self.service == "aoss":  # serverless asks for the digest as a signed header
            request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(body or b"").hexdigest()
        frozen = self.credentials.get_frozen_credentials()
        for secret in (frozen.access_key, frozen.secret_key, frozen.token):
            remember(secret)
        SigV4Auth(frozen, self.service, self.region).add_auth(request)
        return {name: str(value) for name, value in request.headers.items() if name.lower() != "host"}


def login(system: str, environment: Mapping[str, str] | None = None) -> Login:
    """The login for a system ("search", "prometheus", …) that the environment holds; refuses two at once."""
    env, prefix = os.environ if environment is None else environment, f"FLOODMARK_{system.upper()}_"
    user, password = env.get(prefix + "USER"), env.get(prefix + "PASSWORD")
    key, token = env.get(prefix + "API_KEY"), env.get(prefix + "TOKEN")
    for secret in (password, key, token):
        remember(secret)
    given = [name for name, value in (("USER", user), ("API_KEY", key), ("TOKEN", token)) if value]
    if len(given) > 1:
        raise LiveError("settings", f"{', '.join(prefix + name for name in given)} are all set; one of them would do")
    if bool(user) != bool(password):
        lacking = prefix + ("PASSWORD" if user else "USER")
        raise LiveError("settings", f"{lacking} is not set, and basic authentication needs both")
    if user and password:
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        remember(pair)
        return Header(f"Basic {pair}", f"basic, as {prefix}USER")
    if key:
        return Header(f"ApiKey {key}", "API key")
    return Header(f"Bearer {token}", "bearer token") if token else Nobody()


def sigv4(service: str, region: str | None = None) -> SigV4:
    """Signing for `es` (OpenSearch Service), `aoss` or `aps` (Managed Prometheus), by botocore's own chain."""
    try:
        import botocore.session
    except ImportError:
        raise LiveError("settings", "SigV4 needs botocore: pip install 'floodmark[aws]'") from None
    session = botocore.session.get_session()
    credentials = session.get_credentials()
    region = region or session.get_config_variable("region")
    if credentials is None:
        raise LiveError(
            "unauthorized", "SigV4: AWS's chain has no credentials; log in (aws sso login) or set AWS_PROFILE"
        )
    if not region:
        raise LiveError("settings", "SigV4: no region; set AWS_REGION or give --region, such as eu-west-1")
    return SigV4(credentials, service, region)


def checked(url: str, option: str, system: str) -> str:
    """The address without a trailing slash; refuses one with userinfo, query or another scheme, showing no secret."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise LiveError("settings", f"{option}: not an address; expected such as https://host:9200") from None
    if parts.username is not None or parts.password is not None:
        remember(parts.password or parts.username)
        raise LiveError(
            "settings",
            f"{option}: an address with a user or password in it would show them to everyone who can list "
            f"processes; give {without_userinfo(url)} and {HOW.format(system.upper())}",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise LiveError("settings", f"{option} = {without_userinfo(url)}; expected http:// or https:// and a host")
    if parts.query or parts.fragment:
        raise LiveError("settings", f"{option} = {without_userinfo(url)}?…; expected an address without a query")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
