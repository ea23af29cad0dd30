"""Closed-loop bulk clients: each sends a bulk, waits for its answer, and sends the next.

Runs as a process of its own. The bodies are made beforehand, so that the clients' core makes load and no
documents. Times are those of the clients; `took_mean` is what the server said.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from lab.documents import Documents
from lab.load import quantiles
from lab.search import INDEX, Client

BODIES = 24


def bodies(size: int, bulk: int) -> list[bytes]:
    documents, now = Documents(size), int(time.time() * 1000)
    made = [documents.make(now, i, i % 4) for i in range(BODIES * bulk)]
    return [b"".join(b'{"index":{}}\n' + d + b"\n" for d in made[i * bulk : (i + 1) * bulk]) for i in range(BODIES)]


class Loop:
    """The clients' tally; `warm` until the measured part begins."""

    def __init__(self, ask: dict[str, Any]) -> None:
        self.ask, self.bodies = ask, bodies(ask["size"], ask["bulk"])
        self.started = time.time()
        self.from_, self.until = self.started + ask["warm_s"], self.started + ask["warm_s"] + ask["seconds"]
        self.lock = threading.Lock()
        self.all, self.measured, self.rejected, self.last = 0, 0, 0, 0.0
        self.seconds: list[float] = []
        self.took: list[float] = []

    def client(self, number: int) -> None:
        client, turn = Client(self.ask["ports"][number % len(self.ask["ports"])], timeout=60), number * 7
        while time.time() < self.until:
            asked = time.time()
            body = self.bodies[turn % BODIES]
            answer = client.json("POST", f"/{INDEX}/_bulk?filter_path=took,errors,items.*.status", body)
            statuses = [item["index"]["status"] for item in answer["items"]] if answer["errors"] else []
            self.note(asked, time.time(), answer["took"] / 1000, sum(status >= 300 for status in statuses))
            turn += 1

    def note(self, asked: float, answered: float, took: float, rejected: int) -> None:
        with self.lock:
            done = self.ask["bulk"] - rejected
            self.all += done
            if asked >= self.from_:
                self.measured, self.rejected = self.measured + done, self.rejected + rejected
                self.seconds.append(answered - asked)
                self.took.append(took)
                self.last = max(self.last, answered)

    def run(self) -> dict[str, Any]:
        clients = [threading.Thread(target=self.client, args=(i,)) for i in range(self.ask["clients"])]
        for one in clients:
            one.start()
        for one in clients:
            one.join()
        seconds = self.last - self.from_
        times = quantiles(self.seconds)
        return {
            "t_measured_from": self.from_,
            "docs_all": self.all,
            "docs": self.measured,
            "seconds": seconds,
            "docs_per_s": self.measured / seconds,
            "rejected": self.rejected,
            "bytes_per_doc_request": sum(map(len, self.bodies)) / (BODIES * self.ask["bulk"]),
            "bulk_s": {name: times[name] for name in ("p50", "p90", "p99", "mean")},
            "took_mean": sum(self.took) / len(self.took),
        }


def main() -> None:
    """`bulk.py ask.json`: runs the clients and writes the result to `out`."""
    ask = json.loads(Path(sys.argv[1]).read_text())
    Path(ask["out"]).write_text(json.dumps(Loop(ask).run(), indent=1))


if __name__ == "__main__":
    main()
