"""Kafka without JMX: what any client may ask of brokers (kafka-python; confluent-kafka has no log dirs).

Stored bytes of each replica and end offsets of each partition, twice: their growth over each other is the
stored size of a record after compression, and the growth of offsets is the rate. With them topics,
leaders, in-sync replicas, settings that differ from the defaults, and committed offsets of groups.

    FLOODMARK_KAFKA_PROTOCOL   PLAINTEXT (default), SSL, SASL_SSL, SASL_PLAINTEXT
    FLOODMARK_KAFKA_MECHANISM  PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, AWS_MSK_IAM (by AWS's own chain)
    FLOODMARK_KAFKA_USER, FLOODMARK_KAFKA_PASSWORD
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from calibration.live import Answer, Call, LiveError, Reason, Source
from calibration.live_tls import Tls, pinned, trusting
from calibration.secrets import redact_text, remember

T = TypeVar("T")
SLOW_SECONDS = 60.0
MOST_TOPICS = 500
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "AWS_MSK_IAM")
CANNOT_TELL = (
    "requests, their times and broker CPU: those need a JMX exporter, or MSK's metrics",
    "bytes before compression, and batch sizes: those are the producers'",
    "lag of Spark: it commits to its checkpoint and not to Kafka, so use StreamingQueryProgress",
)
DEFAULTS = ("DEFAULT_CONFIG", "ConfigSourceType.DEFAULT_CONFIG", "5")
HOW = "FLOODMARK_KAFKA_MECHANISM, _USER and _PASSWORD, or AWS's chain"
_REFUSED = re.compile(r"(?:Sasl\w*Error|UnsupportedSaslMechanism\w*|IllegalSaslState\w*)(?:: [^\n)]{1,280})?")
_CLIENTS = itertools.count(1)
_DENIED = ("AuthorizationFailed", "AuthorizationError", "Authorization")


def settings(environment: Mapping[str, str] | None = None, region: str | None = None) -> dict[str, Any]:
    """How to log in, from the environment. Raises LiveError for what is contradictory or unknown."""
    env = os.environ if environment is None else environment
    user, password = env.get("FLOODMARK_KAFKA_USER"), env.get("FLOODMARK_KAFKA_PASSWORD")
    remember(password)
    mechanism = env.get("FLOODMARK_KAFKA_MECHANISM", "PLAIN" if user else "").upper()
    protocol = env.get("FLOODMARK_KAFKA_PROTOCOL", "SASL_SSL" if mechanism else "PLAINTEXT").upper()
    for name, value, known in (("PROTOCOL", protocol, PROTOCOLS), ("MECHANISM", mechanism, ("", *MECHANISMS))):
        if value not in known:
            expected = ", ".join(one for one in known if one)
            raise LiveError("settings", f"FLOODMARK_KAFKA_{name} = {value}; expected one of {expected}")
    found: dict[str, Any] = {"security_protocol": protocol}
    if mechanism and not protocol.startswith("SASL"):
        raise LiveError("settings", f"FLOODMARK_KAFKA_MECHANISM = {mechanism} with _PROTOCOL = {protocol}; expected "
                        "SASL_SSL or SASL_PLAINTEXT, or no mechanism")  # fmt: skip
    if mechanism == "AWS_MSK_IAM":
        _checked_iam(protocol, region)
    if protocol.startswith("SASL"):
        if mechanism != "AWS_MSK_IAM" and not (user and password):
            raise LiveError("settings", f"{protocol} needs FLOODMARK_KAFKA_USER and FLOODMARK_KAFKA_PASSWORD")
        found |= {"sasl_mechanism": mechanism, "sasl_plain_username": user, "sasl_plain_password": password}
    return found


def _checked_iam(protocol: str, region: str | None) -> None:
    """What kafka-python needs to sign for MSK, said before it connects: TLS, credentials of AWS's chain, a region."""
    if protocol != "SASL_SSL":
        raise LiveError("settings", f"FLOODMARK_KAFKA_PROTOCOL = {protocol}; expected SASL_SSL, as MSK's IAM needs TLS")
    try:
        import botocore.session
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise LiveError("settings", "AWS_MSK_IAM needs botocore: pip install 'floodmark[aws]'") from None
    if region:
        os.environ["AWS_DEFAULT_REGION"] = region  # the client reads it from AWS's chain only
    session = botocore.session.get_session()
    try:
        credentials = session.get_credentials()
    except BotoCoreError as error:
        raise LiveError("unauthorized", f"AWS_MSK_IAM: {error}; set AWS_PROFILE, or run aws sso login") from None
    if credentials is None:
        said = "AWS's chain has no credentials; log in (aws sso login) or set AWS_PROFILE"
        raise LiveError("unauthorized", f"AWS_MSK_IAM: {said}")
    if not session.get_config_variable("region"):
        raise LiveError("settings", "AWS_MSK_IAM: no region; set AWS_DEFAULT_REGION or give --region, as eu-west-1")
    frozen = credentials.get_frozen_credentials()
    for secret in (frozen.access_key, frozen.secret_key, frozen.token):
        remember(secret)


def checked_bootstrap(text: str) -> list[str]:
    """HOST:PORT[,HOST:PORT…]; refuses what is none.

    >>> checked_bootstrap("b-1.x:9092,[::1]:9094")
    ['b-1.x:9092', '[::1]:9094']
    """
    servers = [one.strip() for one in text.split(",") if one.strip()]
    for one in servers:
        if not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.\-]+):\d{1,5}", one):
            raise LiveError("settings", f"--kafka {redact_text(one)}: expected HOST:PORT, such as broker-1:9092")
    if not servers:
        raise LiveError("settings", "--kafka: no broker; expected HOST:PORT, such as broker-1:9092")
    return servers


class Heard(logging.Handler):
    """What kafka-python logs of one client while it connects; of a login that was refused it says so nowhere else."""

    def __init__(self, client: str) -> None:
        super().__init__(logging.ERROR)
        self.thread, self.refused = f"kafka-io-{client}", ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.threadName == self.thread and (found := _REFUSED.search(record.getMessage())):
            self.refused = found[0].strip()


class Kafka:
    """An admin client, opened at the first question and anew after a failure."""

    def __init__(self, servers: list[str], login: dict[str, Any], tls: Tls, seconds: float = 10.0) -> None:
        self.servers, self.login, self.tls, self.seconds = servers, login, tls, seconds
        self.client: Any = None
        number = next(_CLIENTS)
        self.id = "floodmark" if number == 1 else f"floodmark-{number}"
        self.heard = Heard(self.id)
        self.offsets_of: dict[str, list[int]] = {}

    @property
    def shown(self) -> str:
        return ",".join(self.servers)

    def open(self) -> Any:
        try:
            import kafka
        except ImportError:
            raise LiveError(
                "settings", "Kafka's admin interface needs kafka-python: pip install 'floodmark[kafka]'"
            ) from None
        log = logging.getLogger("kafka")  # it raises a time-out, and only logs that the login was refused
        log.propagate = False
        log.setLevel(logging.ERROR)
        log.addHandler(self.heard)
        milliseconds = int(self.seconds * 1000)
        more: dict[str, Any] = dict(self.login)
        if "SSL" in self.login["security_protocol"]:
            more["ssl_context"] = self._context()
            more["ssl_check_hostname"] = not self.tls.fingerprints
        return kafka.KafkaAdminClient(
            bootstrap_servers=self.servers, client_id=self.id, request_timeout_ms=milliseconds,
            bootstrap_timeout_ms=milliseconds, **more,
        )  # fmt: skip

    def _context(self) -> Any:
        if self.tls.fingerprints:
            host, _, port = self.servers[0].rpartition(":")
            return pinned(host.strip("[]"), int(port), self.tls.fingerprints, self.seconds)
        return trusting(self.tls.ca_file)

    def ask(self, question: Callable[[Any], T]) -> T:
        """The answer to a question put to the admin client, within twice its time-out. Raises LiveError."""
        box: list[Any] = []

        def work() -> None:
            try:
                if self.client is None:
                    self.client = self.open()
                box.append(question(self.client))
            except BaseException as error:
                box.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(2 * self.seconds + 1)
        if not box:
            self.client = None
            raise LiveError("slow", f"{self.shown}: no answer within {2 * self.seconds + 1:g} s")
        if isinstance(box[0], LiveError):
            raise box[0]
        if isinstance(box[0], BaseException):
            raise self._refusal(box[0])
        answer: T = box[0]
        return answer

    def _refusal(self, error: BaseException) -> LiveError:
        kind = type(error).__name__
        text = f"{self.shown}: {kind.removesuffix('Error')}: {str(error)[:300]}"
        reason: Reason = "failed"
        if any(word in kind for word in _DENIED):
            reason = "forbidden"
        elif "Authentication" in kind or "Sasl" in kind:
            reason, text = "unauthorized", f"{text}; see {HOW}"
        elif "Unsupported" in kind or "IncompatibleBroker" in kind:
            reason = "missing"
        elif "Timeout" in kind or "TimedOut" in kind or "NoBrokers" in kind or "Connection" in kind:
            if self.client is None or "Bootstrap" in kind or "bootstrap" in text:
                return self._unreached()
            reason, self.client = "slow", None
        return LiveError(reason, text)

    def _unreached(self) -> LiveError:
        """Why nobody could be talked to: a refused login, no connection, no trust, or another protocol on that port."""
        self.client = None
        if self.heard.refused:
            return LiveError("unauthorized", f"{self.shown}: {self.heard.refused[:300]}; see {HOW}")
        protocol, (host, _, port) = self.login["security_protocol"], self.servers[0].rpartition(":")
        other = "PLAINTEXT or SASL_PLAINTEXT" if "SSL" in protocol else "SSL or SASL_SSL"
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=self.seconds) as plain:
                if "SSL" in protocol:
                    with self._context().wrap_socket(plain, server_hostname=host.strip("[]")):
                        pass
        except ssl.SSLCertVerificationError as error:
            said = f"the certificate is not trusted ({error.verify_message}); give --ca-file, or --fingerprint"
            return LiveError("tls", f"{self.shown}: {said}")
        except ssl.SSLError:
            return LiveError("tls", f"{self.shown}: no TLS on that port; is it FLOODMARK_KAFKA_PROTOCOL={other}?")
        except OSError as error:
            return LiveError("unreachable", f"{self.shown}: no connection ({error.strerror or error})")
        said = f"takes connections and does not speak Kafka as {protocol} for this login"
        return LiveError("unreachable", f"{self.shown}: {said}; is it FLOODMARK_KAFKA_PROTOCOL={other}, another port?")

    def close(self) -> None:
        logging.getLogger("kafka").removeHandler(self.heard)
        if self.client is not None:
            self.client.close()

    def topics(self) -> dict[str, Any]:
        """{"topics": {topic: {partition: {leader, replicas, isr}}}} of topics that are no internals."""
        found: dict[str, Any] = {}
        for topic in self.ask(lambda client: client.describe_topics()):
            name = topic["name"]
            if topic.get("is_internal") or name.startswith("__"):
                continue
            found[name] = {
                str(part["partition_index"]): {
                    "leader": part["leader_id"],
                    "replicas": part["replica_nodes"],
                    "isr": part["isr_nodes"],
                }
                for part in topic["partitions"]
            }
        self.offsets_of = {name: sorted(int(p) for p in parts) for name, parts in sorted(found.items())[:MOST_TOPICS]}
        return {"topics": found}

    def offsets(self) -> dict[str, Any]:
        """{"offsets": {topic: {partition: end}}, "earliest": …}."""
        from kafka import TopicPartition
        from kafka.admin import OffsetSpec

        if not self.offsets_of:
            self.topics()
        found: dict[str, Any] = {}
        for word, spec in (("offsets", OffsetSpec.LATEST), ("earliest", OffsetSpec.EARLIEST)):
            wanted = {TopicPartition(t, p): spec for t, parts in self.offsets_of.items() for p in parts}
            seen = self.ask(lambda client, wanted=wanted: client.list_partition_offsets(wanted))  # type: ignore[misc]
            found[word] = {}
            for at, one in seen.items():
                found[word].setdefault(at.topic, {})[str(at.partition)] = one.offset
        return found

    def log_dirs(self) -> dict[str, Any]:
        """The bytes of every replica, in the form of kafka-log-dirs.sh."""
        brokers = self.ask(lambda client: client.describe_log_dirs())
        return {"version": 1, "brokers": [_broker_dirs(one) for one in brokers]}

    def cluster(self) -> dict[str, Any]:
        told = self.ask(lambda client: client.describe_cluster())
        brokers = [
            {
                "id": one.get("broker_id", one.get("node_id")),
                "host": one["host"],
                "port": one["port"],
                "rack": one.get("rack"),
            }
            for one in told["brokers"]
        ]
        found = {"clusterId": told.get("cluster_id"), "controller": told.get("controller_id"), "brokers": brokers}
        with contextlib.suppress(LiveError):  # Kafka 2.4 and newer
            features = self.ask(lambda client: client.describe_features())
            found["features"] = {name: one["finalized"][1] for name, one in features.items() if "finalized" in one}
        return found

    def configs(self) -> dict[str, Any]:
        """{"configs": {"broker 1" | "topic events": {name: value}}} where they differ from the defaults."""
        from kafka.admin import ConfigResource, ConfigResourceType

        if not self.offsets_of:
            self.topics()
        brokers = [str(one["id"]) for one in self.cluster()["brokers"]]
        wanted = [ConfigResource(ConfigResourceType.BROKER, name) for name in brokers]
        wanted += [ConfigResource(ConfigResourceType.TOPIC, name) for name in self.offsets_of]
        told = self.ask(lambda client: client.describe_configs(wanted, config_filter="all"))
        found: dict[str, dict[str, Any]] = {}
        for kind, resources in told.items():
            for name, entries in resources.items():
                word = str(getattr(kind, "name", kind)).lower()
                own = {key: one for key, one in entries.items() if str(one["config_source"]) not in DEFAULTS}
                found[f"{word} {name}"] = {key: one["value"] for key, one in own.items() if not one["is_sensitive"]}
        return {"configs": found}

    def groups(self) -> dict[str, Any]:
        """{"groups": {group: {topic: {partition: committed}}}}."""
        listed = self.ask(lambda client: client.list_groups())
        names = sorted({str(one.get("group_id", one) if isinstance(one, Mapping) else one[0]) for one in listed})
        found: dict[str, Any] = {}
        if not names:
            return {"groups": {}}
        for group, told in self.ask(lambda client: client.list_group_offsets(names[:MOST_TOPICS])).items():
            for at, one in told.items():
                found.setdefault(str(group), {}).setdefault(at.topic, {})[str(at.partition)] = one.offset
        return {"groups": found}


def _broker_dirs(one: Mapping[str, Any]) -> dict[str, Any]:
    broker = one.get("broker", one.get("node_id", one.get("broker_id")))
    return {"broker": broker, "logDirs": [_log_dir(each) for each in one.get("log_dirs", one.get("results", []))]}


def _log_dir(one: Mapping[str, Any]) -> dict[str, Any]:
    replicas = []
    for topic in one.get("topics", []):
        for part in topic["partitions"]:
            name = f"{topic.get('name', topic.get('topic'))}-{part['partition_index']}"
            row = {
                "partition": name,
                "size": part.get("partition_size", part.get("size")),
                "offsetLag": part["offset_lag"],
            }
            replicas.append(row | {"isFuture": part["is_future_key"]})
    found = {"logDir": one.get("log_dir"), "error": one.get("error_code") or None, "partitions": replicas}
    for ours, theirs in (("totalBytes", "total_bytes"), ("usableBytes", "usable_bytes")):
        if (one.get(theirs) or -1) >= 0:
            found[ours] = one[theirs]
    return found


def kafka_source(
    servers: list[str], login: dict[str, Any], tls: Tls, name: str = "kafka", seconds: float = 10.0
) -> Source:
    """A cluster's admin interface as a source."""
    kafka = Kafka(servers, login, tls, seconds)

    def call(kind: str, question: Callable[[], Any], every: float = 0.0) -> Call:
        def ask() -> Iterator[Answer]:
            body = question()
            yield Answer(time.time(), name, kind, body=body)

        return Call(kind.removeprefix("kafka_"), ask, every)

    calls = [
        call("kafka_topics", kafka.topics, SLOW_SECONDS),
        call("kafka_offsets", kafka.offsets),
        call("kafka_log_dirs", kafka.log_dirs),
        call("kafka_groups", kafka.groups),
        call("kafka_cluster", kafka.cluster, SLOW_SECONDS),
        call("kafka_configs", kafka.configs, 5 * SLOW_SECONDS),
    ]
    resolution = "at each tick; offsets are exact, sizes are those of the segments as written"
    return Source(name, kafka.shown, calls, resolution, CANNOT_TELL, kafka.close)
