"""Servers that misbehave get a clear word in bounded time, and no server learns or repeats a secret."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calibration.live import LiveError
from calibration.live_http import Endpoint, Limits
from calibration.live_login import Header, checked, login, sigv4
from calibration.live_tls import Tls
from tests import live_servers as servers

SHORT = Limits(seconds=0.6, body_bytes=1_000_000)


def refused(url: str, limits: Limits = SHORT, **more: Any) -> LiveError:
    began = time.monotonic()
    with Endpoint(url, limits=limits, **more) as endpoint, pytest.raises(LiveError) as caught:
        endpoint.get_json("/_nodes/stats")
    assert time.monotonic() - began < limits.seconds + 0.5
    return caught.value


@pytest.mark.parametrize(
    ("behave", "reason", "words"),
    [
        (servers.silent, "slow", "no whole answer within 0.6 s"),
        (servers.dripping_head, "slow", "no whole answer within 0.6 s"),
        (servers.dripping_body, "slow", "no whole answer within 0.6 s"),
        (servers.cut_gzip, "cut short", "the gzip ends in its middle"),
        (servers.cut_body, "cut short", "closed in the middle of the answer"),
        (servers.garbage, "garbage", "does not speak HTTP"),
        (servers.web_page, "garbage", "not JSON but a web page"),
        (servers.hangs_up, "unreachable", "closed without an answer"),
    ],
)
def test_a_misbehaving_server_gets_a_clear_word_in_bounded_time(
    behave: Callable[..., None], reason: str, words: str
) -> None:
    with servers.hostile(behave) as url:
        error = refused(url)
    assert error.reason == reason and words in str(error) and url in str(error)


@pytest.mark.parametrize("behave", [servers.endless, servers.bomb])
def test_no_answer_takes_more_memory_than_its_bound(behave: Callable[..., None]) -> None:
    with servers.hostile(behave) as url:
        error = refused(url, Limits(seconds=5.0, body_bytes=1_000_000))
    assert error.reason == "too large" and "more than" in str(error)


def test_nobody_listening_is_told_as_that() -> None:
    error = refused("http://127.0.0.1:9")
    assert error.reason == "unreachable" and "no connection" in str(error)


@pytest.mark.parametrize(
    ("status", "reason"), [(401, "unauthorized"), (403, "forbidden"), (404, "missing"), (500, "failed"), (302, "moved")]
)
def test_a_refusal_says_which_and_repeats_the_server_s_reason(status: int, reason: str) -> None:
    body = {"error": {"type": "security_exception", "reason": "action [x] is unauthorized for user [bob]"}}
    with servers.server({"/": (status, body, {"Location": "https://u:pw123@elsewhere/login?token=abc"})}) as s:
        error = refused(s.url)
    assert error.reason == reason
    assert ("https://elsewhere/login" if status == 302 else "is unauthorized for user [bob]") in str(error)
    assert "pw123" not in str(error) and "token=abc" not in str(error)


def test_a_throttled_question_is_asked_again_as_the_server_says() -> None:
    answers = [(429, "later", {"Retry-After": "0"}), (503, "later", {"Retry-After": "0"}), {"ok": 1}]
    with (
        servers.server({"/": lambda asked: answers.pop(0)}) as s,
        Endpoint(s.url, limits=Limits(seconds=5)) as endpoint,
    ):
        assert endpoint.get_json("/") == {"ok": 1}
        assert len(s.asked) == 3


def test_a_server_that_asks_to_wait_longer_than_there_is_time_is_not_waited_for() -> None:
    with servers.server({"/": (429, "{}", {"Retry-After": "3600"})}) as s:
        error = refused(s.url)
        assert len(s.asked) == 1
    assert error.reason == "throttled" and error.wait_seconds == 3600 and "wait 3600 s" in str(error)


def test_the_server_s_clock_is_compared_with_ours() -> None:
    with servers.server({"/": {}}, clock_ahead=-90.0) as s, Endpoint(s.url) as endpoint:
        endpoint.get_json("/")
    assert endpoint.ahead_seconds == pytest.approx(-90, abs=1.5)


def certificate(folder: Path) -> tuple[Path, str]:
    """A self-signed certificate of another name than the address, with its key; its SHA-256."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "search.internal")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    path = folder / "own.pem"
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(pem))
    return path, hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).hexdigest()


def test_a_self_signed_certificate_is_trusted_only_when_it_is_named(tmp_path: Path) -> None:
    path, fingerprint = certificate(tmp_path)
    colons = ":".join(fingerprint[i : i + 2] for i in range(0, 64, 2)).upper()
    with servers.server({"/": {"ok": 1}}, tls=path) as s:
        plain = refused(s.url, Limits(seconds=3))
        other = refused(
            s.url, Limits(seconds=3), tls=Tls(fingerprints=("ab" * 32,)), login=Header("Basic eHl6", "basic")
        )
        assert not s.asked  # nobody who is not trusted sees a request, let alone a login
        for tls in (Tls(fingerprints=(colons,)), Tls(ca_file=path)):
            with Endpoint(s.url, tls=tls) as endpoint:
                assert endpoint.get_json("/") == {"ok": 1}
    assert plain.reason == other.reason == "tls"
    assert "--ca-file" in str(plain) and "--fingerprint" in str(plain) and fingerprint in str(other)


@pytest.mark.parametrize("tls", [{"fingerprints": ("12",)}, {"ca_file": Path("no.pem"), "fingerprints": ("ab" * 32,)}])
def test_trust_that_cannot_be_meant_is_refused(tls: dict[str, Any]) -> None:
    with pytest.raises(LiveError, match="fingerprint"):
        Tls(**tls)


def test_a_secret_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(LiveError) as caught:
        checked("https://bob:hunter2-xyz@search:9200/a?token=t0ps3cret", "--search", "search")
    text = str(caught.value)
    assert "hunter2" not in text and "t0ps3cret" not in text and "bob" not in text
    assert "https://search:9200/a" in text and "FLOODMARK_SEARCH_PASSWORD" in text


@pytest.mark.parametrize(
    "url", ["search:9200", "ftp://search", "https://", "http://[::1", "http://host:99999", "http://h/?a=b"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(LiveError, match="--search"):
        checked(url, "--search", "search")


def test_the_login_of_the_environment_reaches_the_server_and_no_error() -> None:
    env = {"FLOODMARK_SEARCH_USER": "bob", "FLOODMARK_SEARCH_PASSWORD": "correct-horse"}
    with servers.server({"/": lambda asked: (401, f"no: {asked.headers['Authorization']} correct-horse")}) as s:
        error = refused(s.url, login=login("search", env), system="search")
        assert s.asked[0].headers["Authorization"] == "Basic Ym9iOmNvcnJlY3QtaG9yc2U="
    assert "correct-horse" not in str(error) and "Ym9iOmNv" not in str(error)
    assert "asked with basic, as FLOODMARK_SEARCH_USER" in str(error)
    assert "correct-horse" not in repr(login("search", env))


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"FLOODMARK_SPARK_USER": "bob"}, "FLOODMARK_SPARK_PASSWORD is not set"),
        ({"FLOODMARK_SPARK_TOKEN": "abcd", "FLOODMARK_SPARK_API_KEY": "efgh"}, "are all set"),
    ],
)
def test_half_a_login_is_refused(env: dict[str, str], words: str) -> None:
    with pytest.raises(LiveError, match=words):
        login("spark", env)


def test_requests_are_signed_with_the_credentials_of_aws_s_own_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE0000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret-key-0123")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "planted-session-token")
    with servers.server({"/": {"ok": 1}}) as s, Endpoint(s.url, login=sigv4("es", "eu-west-1")) as endpoint:
        endpoint.get_json("/_cat/shards", {"h": "index,shard", "a": "x y"})
        headers, query = s.asked[0].headers, s.asked[0].query
    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE0000/")
    assert "/eu-west-1/es/aws4_request" in headers["Authorization"] and headers["X-Amz-Security-Token"]
    signed = sigv4("aoss", "eu-west-1").headers("POST", "https://h.aoss.amazonaws.com/x", b"{}")
    assert "x-amz-content-sha256" in signed["Authorization"]
    assert "x%20y" in query  # a plus sign would be signed as another character than the server reads


def test_signing_without_credentials_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(LiveError, match="aws sso login"):
        sigv4("es", "eu-west-1")
