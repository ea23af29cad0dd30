"""MSK's IAM login as AWS defines it: what goes over the wire is held against botocore's own presigned address.

The mechanism AWS_MSK_IAM sends one JSON object whose signature is that of the presigned request
`GET https://BROKER/?Action=kafka-cluster:Connect` (aws-msk-iam-auth, "Details"). A broker of a few lines takes the
handshake over TLS, signs the same with botocore and the time that the client stated, and lets it in or not.
"""

from __future__ import annotations

import datetime
import gc
import json
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from calibration import live_kafka
from calibration.live import LiveError, Trouble
from calibration.live_tls import Tls
from tests.test_calibration_live_http import certificate

pytest.importorskip("kafka")
pytest.importorskip("botocore")

KEY, SECRET, TOKEN = "AKIAPLANTEDKEYVALUE1", "plantedSecretKey/ofForty+characters0aB1cD", "planted-session-token-xyz"
API_VERSIONS, METADATA, SASL_HANDSHAKE, SASL_AUTHENTICATE = 18, 3, 17, 36
UNSUPPORTED_VERSION, AUTHENTICATION_FAILED = 35, 58
IAM = {"FLOODMARK_KAFKA_MECHANISM": "AWS_MSK_IAM"}
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


def presigned(host: str, region: str, stamp: str, token: str = TOKEN, secret: str = SECRET) -> dict[str, str]:
    """The query of botocore's presigned request at that time, in lower case."""
    import botocore.auth
    import botocore.credentials
    from botocore.awsrequest import AWSRequest

    at = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ")
    request = AWSRequest("GET", f"https://{host}/", params={"Action": "kafka-cluster:Connect"})
    signer = botocore.auth.SigV4QueryAuth(
        botocore.credentials.Credentials(KEY, secret, token or None), "kafka-cluster", region, expires=900
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: at)
        signer.add_auth(request)
    return {name.lower(): values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}


class Broker:
    """Speaks TLS and as much of Kafka's protocol as a login takes; keeps what it was sent."""

    def __init__(self, pem: Path, region: str) -> None:
        self.region, self.sent, self.lets_in = region, [], True  # type: ignore[var-annotated]
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pem)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.settimeout(0.1)
        self.over = threading.Event()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.listening.getsockname()[1]}"

    def serve(self) -> None:
        while not self.over.is_set():
            try:
                plain, _ = self.listening.accept()
            except OSError:
                continue
            threading.Thread(target=self.talk, args=(plain,), daemon=True).start()

    def talk(self, plain: socket.socket) -> None:
        try:
            plain.settimeout(3)
            with self.context.wrap_socket(plain, server_side=True) as connection:
                while True:
                    frame = _exactly(connection, struct.unpack(">i", _exactly(connection, 4))[0])
                    body = self.answer(*struct.unpack(">hhi", frame[:8]), frame[8:])
                    if body is None:
                        return
                    connection.sendall(struct.pack(">i", len(body)) + body)
        except OSError:
            pass

    def answer(self, key: int, version: int, correlation: int, rest: bytes) -> bytes | None:
        """The response to a request of that key; None hangs up."""
        head = struct.pack(">i", correlation)
        if key == API_VERSIONS:
            known = ((API_VERSIONS, 0, 0), (METADATA, 0, 1), (SASL_HANDSHAKE, 0, 1), (SASL_AUTHENTICATE, 0, 0))
            rows = b"".join(struct.pack(">hhh", *one) for one in known)
            return head + struct.pack(">hi", UNSUPPORTED_VERSION if version else 0, len(known)) + rows
        skip = 2 + max(struct.unpack(">h", rest[:2])[0], 0)  # the client's id
        if key == SASL_HANDSHAKE:
            return head + struct.pack(">hi", 0, 1) + _string("AWS_MSK_IAM")
        if key == SASL_AUTHENTICATE:
            told = json.loads(rest[skip + 4 :])
            self.sent.append(told)
            if self.judged(told) and self.lets_in:
                welcome = b'{"version":"2020_10_22","request-id":"0"}'
                return head + struct.pack(">hh", 0, -1) + struct.pack(">i", len(welcome)) + welcome
            return head + struct.pack(">h", AUTHENTICATION_FAILED) + _string("Access denied") + struct.pack(">i", 0)
        return None

    def judged(self, told: dict[str, str]) -> bool:
        """Whether the object is the presigned request that AWS would expect of these credentials."""
        token = told.get("x-amz-security-token", "")
        wanted = presigned("127.0.0.1", self.region, told["x-amz-date"], token) | {"host": "127.0.0.1"}
        return all(told.get(name) == value for name, value in wanted.items())


def _exactly(connection: ssl.SSLSocket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        if not part:
            raise ConnectionError
        found += part
    return found


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


@contextmanager
def broker(pem: Path, region: str = "eu-west-1") -> Iterator[Broker]:
    made = Broker(pem, region)
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.over.set()
        thread.join(5)
        made.listening.close()
        gc.collect()  # kafka-python leaves the sockets of a failed start to the collector


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """AWS's chain with planted credentials and nothing of the machine's own."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in (("ACCESS_KEY_ID", KEY), ("SECRET_ACCESS_KEY", SECRET), ("SESSION_TOKEN", TOKEN)):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    yield


def asked(at: str, fingerprint: str) -> Trouble:
    """The first thing that a cluster's source says, which is trouble, as the broker knows no topics."""
    tls = Tls(fingerprints=(fingerprint,))
    source = live_kafka.kafka_source([at], live_kafka.settings(IAM), tls, seconds=2.0)
    seen = next(iter(source.sample(everything=True)))
    source.close()
    assert isinstance(seen, Trouble)
    return seen


def test_the_login_is_the_presigned_request_that_aws_defines(tmp_path: Path, chain: None) -> None:
    pem, fingerprint = certificate(tmp_path)
    with broker(pem) as b:
        seen = asked(b.address, fingerprint)
        told: dict[str, Any] = b.sent[0]
        assert b.judged(told)
    assert (told["version"], told["action"], told["x-amz-expires"]) == ("2020_10_22", "kafka-cluster:Connect", "900")
    assert told["x-amz-credential"].endswith("/eu-west-1/kafka-cluster/aws4_request")
    assert seen.reason != "unauthorized", seen.message  # it was let in, and found a broker without topics
    forged = {**told, "x-amz-signature": "0" * 64}
    assert not b.judged(forged)


def test_what_the_broker_refuses_names_the_login_and_shows_no_credential(tmp_path: Path, chain: None) -> None:
    pem, fingerprint = certificate(tmp_path)
    with broker(pem, region="us-east-1") as b:  # signed for another region than the cluster's
        seen = asked(b.address, fingerprint)
    assert seen.reason == "unauthorized" and "Access denied" in seen.message, seen
    assert not [one for one in (KEY, SECRET, TOKEN) if one in seen.line()]


@pytest.mark.parametrize(
    ("lacks", "env", "words"),
    [
        ("AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY", {}, "AWS's chain has no credentials; log in"),
        ("AWS_DEFAULT_REGION", {}, "no region; set AWS_DEFAULT_REGION or give --region"),
        (
            "",
            {"FLOODMARK_KAFKA_PROTOCOL": "SASL_PLAINTEXT"},
            "SASL_PLAINTEXT; expected SASL_SSL",
        ),
        ("", {"FLOODMARK_KAFKA_PROTOCOL": "SSL"}, "AWS_MSK_IAM with _PROTOCOL = SSL; expected SASL_SSL"),
    ],
)
def test_what_iam_lacks_is_said_before_anybody_is_asked(
    chain: None, monkeypatch: pytest.MonkeyPatch, lacks: str, env: dict[str, str], words: str
) -> None:
    for name in lacks.split():
        monkeypatch.delenv(name)
    with pytest.raises(LiveError, match=words):
        live_kafka.settings(IAM | env)


def test_a_region_that_is_given_is_signed_for(chain: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    live_kafka.settings(IAM, region="eu-west-1")
    assert os.environ["AWS_DEFAULT_REGION"] == "eu-west-1"
