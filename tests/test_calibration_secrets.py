"""Secrets are hidden in every shape that live systems hold them in, and figures are left alone."""

from __future__ import annotations

import base64
import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.live import Answer, LiveError, Trouble
from calibration.secrets import HIDDEN, redact, redact_exposition, redact_text, remember, sensitive

PLANTED = "pl4nted-Secret"
SHAPES = [
    "https://svc:{0}@db.internal:5432/x",
    "redis://:{0}@cache:6379",
    "jdbc:postgresql://db/x?user=a&password={0}&ssl=true",
    "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"a\" password=\"{0}\";",
    "-Djavax.net.ssl.trustStorePassword={0} -Xmx1g",
    "--api-key {0} --verbose",
    "Authorization: Bearer {0}",
    "{{\"client_secret\": \"{0}\"}}",
    "aws_secret_access_key = {0}",
    "AccountKey={0};EndpointSuffix=core",
    "https://bucket/x?X-Amz-Credential={0}&X-Amz-Signature={0}",
    "sasl.jaas.config={0}",
    "token: '{0}'",
    "Cookie: {0}",
    "-----BEGIN RSA PRIVATE KEY-----\n{0}\n-----END RSA PRIVATE KEY-----",
    "spark.hadoop.fs.s3a.session.token {0}",
    "<property><name>fs.s3a.secret.key</name><value>{0}</value></property>",
    "<password>{0}</password>",
    "curl -u elastic:{0} https://search:9200",
    "machine search login elastic password {0}",
    "SASL_SSL://client:{0}@b-1:9096",
    "https://hooks.internal/x?key={0}&room=1",
]  # fmt: skip
PLAIN = {
    "nodes": {"tokens_total": 17, "password_reset_count": 4, "bypass": "yes", "name": "n0", "heap": "1gb", "ok": True},
    "build_hash": "8a2d5d5d2e2b6f8c0d1e2f3a4b5c6d7e8f9a0b1c",
    "cluster_uuid": "fmsvLYKHQpOjSY2FzncbJQ",
    "path": "/var/lib/elasticsearch/nodes/0/indices/fmsvLYKHQpOjSY2FzncbJQ/0",
    "query": "match_all",
    "listeners": "PLAINTEXT://127.0.0.1:9092,SSL://:9093",
    "time": "2026-11-24T10:43:56.252Z",
    "class": "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_secret_is_hidden_in_every_shape(shape: str) -> None:
    text = shape.format(PLANTED)
    for told in (
        redact_text(text),
        json.dumps(redact({"a": [{"b": text}]})),
        str(LiveError("failed", f"x: {text}")),
        Trouble(0.0, "s", "c", "failed", text).line(),
        Answer(0.0, "s", "k", body={"deep": [text]}, asked={"query": text}).line(),
    ):
        assert PLANTED not in told and "hidden" in told


@pytest.mark.parametrize(
    "body",
    [
        {"password": PLANTED},
        {"xpack.security.http.ssl.keystore.secure_password": PLANTED},
        {"fs": {"s3a": {"secret": {"key": [PLANTED]}}}},
        {"credentials": {"user": PLANTED, "rest": [PLANTED]}},
        [["spark.hadoop.fs.s3a.secret.key", PLANTED]],
        [{"name": "db.password", "value": PLANTED}, {"Key": "ApiKey", "Value": PLANTED}],
        {"sslKeyPassword": PLANTED, "apiKey": PLANTED, "sasl.jaas.config": PLANTED},
        {"pin": {"password": 1234567}},
    ],
)
def test_a_value_is_hidden_by_the_name_it_stands_under(body: object) -> None:
    told = json.dumps(redact(body))
    assert PLANTED not in told and "1234567" not in told and HIDDEN in told


def test_figures_names_and_hashes_are_left_alone() -> None:
    assert redact(PLAIN) == PLAIN
    for text in PLAIN.values():
        assert not isinstance(text, str) or redact_text(text) == text


def test_aws_s_secret_key_is_known_by_its_shape() -> None:
    text = "key wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY and AKIAIOSFODNN7EXAMPLE"
    assert redact_text(text) == f"key {HIDDEN} and {HIDDEN}"


def test_a_credential_of_our_own_is_hidden_in_every_coding() -> None:
    secret = "s p/e:c+ial&own"
    remember(secret)
    coded = base64.b64encode(secret.encode()).decode()
    for form in (secret, coded, "s%20p%2Fe%3Ac%2Bial%26own", "s+p%2Fe%3Ac%2Bial%26own"):
        assert HIDDEN in redact_text(f"answer {form} end")
        assert form not in redact_exposition(f'up{{x="{form}"}} 1') and form not in json.dumps(redact({form: form}))


def test_labels_are_hidden_and_samples_stay() -> None:
    help_line, labels = f"# HELP a password={PLANTED}", f'db_password="{PLANTED}",u="http://x:{PLANTED}@h/"'
    text = f"{help_line}\na{{{labels}}} 12.5 170\nb 3\nc_token_total 4"
    told = redact_exposition(text)
    assert PLANTED not in told and told.endswith("} 12.5 170\nb 3\nc_token_total 4")


@given(st.text(min_size=1, max_size=200))
def test_hiding_twice_hides_no_more(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


@pytest.mark.parametrize("unit", ["a", "password", "token.", "x=1 ", "a://b:", "eyJ", "Ab1/", 'a="', "-----BEGIN "])
def test_no_text_makes_it_slow(unit: str) -> None:
    began = time.process_time()
    redact_text(unit * (200_000 // len(unit)))
    assert time.process_time() - began < 1.0


def test_real_recordings_pass_through_unchanged(facts: Path) -> None:
    """What the laboratory's systems said holds no secret, and none is seen in it."""
    folder = facts / "lab" / "fit-pipe-2s"

    def first(name: str) -> Any:
        with gzip.open(folder / f"{name}.jsonl.gz") as file:
            return json.loads(file.readline())

    for name in ("search.nodes_stats", "search.cat_shards", "progress", "procs"):
        assert redact(first(name)) == first(name), name
    text = first("kafka-1.prom")["text"]
    assert redact_exposition(text) == text


def test_names_are_read_by_their_words() -> None:
    assert all(map(sensitive, ("db.password", "SSLKeyPassword", "aws_access_key_id", "X-Auth-Token", "private-key")))
    assert not any(map(sensitive, ("passenger", "keyword", "tokenizer", "monkey", "secretary", "primary_key_count")))
