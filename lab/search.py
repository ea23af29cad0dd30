"""Search servers: OpenSearch or Elasticsearch nodes, one JVM each, and a small client of theirs.

The servers are the official ones with few modules (the artifacts for integration tests): `_bulk`,
`_search`, `_stats` work as everywhere; Elasticsearch's answers `GET /` with 405 and has no painless,
no scaled_float and no data streams. A node's `processors` is the number of its cores.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.documents import MAPPING
from lab.java import Jdk
from lab.processes import SERVER_USER, Process, ProcessError, Registry, start

INDEX = "events"
HTTP, TRANSPORT = 19200, 19300  # base ports; node n adds n, 0 is the first
HEAP = "1g"


class SearchError(RuntimeError):
    """A search server that did not answer, or answered with an error."""


class Client:
    """One kept-alive connection to a node."""

    def __init__(self, port: int = HTTP, timeout: float = 10.0) -> None:
        self.port, self.timeout = port, timeout
        self.connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: Any = None, timeout: float | None = None) -> tuple[int, bytes]:
        """Status and body; SearchError if there is no answer. A broken connection is opened anew next time."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kind = "application/x-ndjson" if isinstance(body, bytes) else "application/json"
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout or self.timeout)
            self.connection.request(method, path, data, {"Content-Type": kind})
            answer = self.connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise SearchError(f"port {self.port} {method} {path}: no answer ({error!r})") from None

    def json(self, method: str, path: str, body: Any = None, timeout: float | None = None) -> Any:
        status, answer = self.ask(method, path, body, timeout)
        if status >= 300:
            raise SearchError(f"port {self.port} {method} {path}: {status} {answer[:300]!r}")
        return json.loads(answer)

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def node_settings(product: str, node: int, nodes: int, processors: int, folder: Path) -> dict[str, Any]:
    """elasticsearch.yml or opensearch.yml of node `node` (0 is the first) of `nodes`."""
    names = [f"n{i}" for i in range(nodes)]
    found: dict[str, Any] = {
        "cluster.name": "lab",
        "node.name": f"n{node}",
        "network.host": "127.0.0.1",
        "http.port": HTTP + node,
        "transport.port": TRANSPORT + node,
        "path.data": str(folder / "data"),
        "path.logs": str(folder / "logs"),
        "node.processors": processors,
        "discovery.seed_hosts": [f"127.0.0.1:{TRANSPORT + i}" for i in range(nodes)],
    }
    first = "cluster.initial_cluster_manager_nodes" if product == "opensearch" else "cluster.initial_master_nodes"
    found |= {"discovery.type": "single-node"} if nodes == 1 else {first: names}
    return found if product == "opensearch" else found | {"xpack.security.enabled": False}


def jvm_options(text: str, logs: Path) -> str:
    """The server's jvm.options with its own heap and with absolute paths: the server's user may not write beside it."""
    text = re.sub(r"(?m)^(-Xm[sx]).*\n", "", text)
    text = text.replace("logs/", f"{logs}/").replace("HeapDumpPath=data", f"HeapDumpPath={logs}")
    return text + f"\n-Xms{HEAP}\n-Xmx{HEAP}\n"


@dataclass
class Servers:
    """The nodes of one run."""

    product: str
    jdk: Jdk
    server: Path
    folder: Path
    registry: Registry
    count: int
    cores: Sequence[int]
    outlives: bool = False
    running: dict[int, Process] = field(default_factory=dict)

    @property
    def ports(self) -> list[int]:
        return [HTTP + n for n in range(self.count)]

    def prepare(self, n: int) -> Path:
        """A node's own settings; its folder belongs to the server's user."""
        folder = self.folder / f"node{n}"
        shutil.copytree(self.server / "config", folder / "config", dirs_exist_ok=True)
        (folder / "logs").mkdir(exist_ok=True)
        settings = node_settings(self.product, n, self.count, len(set(self.cores)), folder)
        name = "opensearch.yml" if self.product == "opensearch" else "elasticsearch.yml"
        (folder / "config" / name).write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in settings.items()))
        options = folder / "config" / "jvm.options"
        options.write_text(jvm_options(options.read_text(), folder / "logs"))
        if os.geteuid() == 0:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, SERVER_USER, SERVER_USER)
        return folder

    def start(self) -> None:
        for n in range(self.count):
            self.prepare(n)
            self.start_one(n)

    def start_one(self, n: int) -> None:
        folder = self.folder / f"node{n}"
        prefix = "OPENSEARCH" if self.product == "opensearch" else "ES"
        env = {f"{prefix}_JAVA_HOME": str(self.jdk.home), f"{prefix}_PATH_CONF": str(folder / "config")}
        env |= {"JAVA_HOME": str(self.jdk.home), "HOME": str(folder), f"{prefix}_TMPDIR": str(folder / "logs")}
        self.running[n] = start(
            self.registry, f"search-{n}", [str(self.server / "bin" / self.product)], cores=self.cores,
            log=self.folder / f"search-{n}.log", env=env, cwd=folder, outlives=self.outlives,
            user=SERVER_USER if os.geteuid() == 0 else None,
        )  # fmt: skip

    def wait_ready(self, patience: float = 120) -> None:
        """Until all nodes have joined and the cluster answers."""
        until = time.monotonic() + patience
        ask = f"/_cluster/health?wait_for_nodes={self.count}&timeout=5s"
        while True:
            for process in self.running.values():
                process.expect_alive()
            try:
                client = Client(timeout=8)
                if not client.json("GET", ask)["timed_out"]:
                    return
            except SearchError as error:
                if time.monotonic() > until:
                    tail = self.running[0].tail()
                    raise ProcessError(f"{self.product} not ready in {patience:g} s: {error}; log:\n{tail}") from None
            finally:
                client.close()
            time.sleep(0.5)

    def create_index(self, ask: Mapping[str, Any]) -> None:
        """The index of the run, its copies assigned."""
        settings = {
            "number_of_shards": ask["shards"],
            "number_of_replicas": ask["replicas"],
            "refresh_interval": ask["refresh"],
            "codec": ask["codec"],
        }
        client = Client(timeout=60)
        client.json("PUT", f"/{INDEX}", {"settings": {"index": settings}, "mappings": MAPPING})
        client.json("GET", f"/_cluster/health/{INDEX}?wait_for_status=green&timeout=30s")
        client.close()

    def stop(self) -> None:
        for n in sorted(self.running, reverse=True):
            self.running.pop(n).stop()


def visible(client: Client, partitions: int) -> dict[str, list[int]]:
    """Documents visible and highest sequence visible, by partition: what a search sees now."""
    each = {"terms": {"field": "p", "size": partitions}, "aggs": {"s": {"max": {"field": "seq"}}}}
    body = {"size": 0, "track_total_hits": False, "aggs": {"p": each}}
    buckets = client.json("POST", f"/{INDEX}/_search?request_cache=false", body)["aggregations"]["p"]["buckets"]
    return {str(b["key"]): [b["doc_count"], int(b["s"]["value"])] for b in buckets}
