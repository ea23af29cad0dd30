"""Open-loop load on Kafka: records sent when they are due, whatever the broker does.

Runs as a process of its own, in the laboratory's Python environment. Acknowledgement time counts from
the due time, so what the load itself was late is in it; `max_behind_s` says how late it ever was. Waits
are inside `poll`, which serves the delivery callbacks: a sleep between sends would be in their times.
A load that falls more than `give_up_s` behind stops: it measures itself by then.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from lab.documents import Documents
from lab.schedule import Schedule

SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
GRAIN = 0.002  # s: each wait; poll counts whole milliseconds, so a shorter one spins and starves who shares the core


def quantiles(values: list[float]) -> dict[str, float]:
    """Nearest-rank quantiles and the mean [s]; empty where nothing was acknowledged."""
    ordered = sorted(values)
    if not ordered:
        return {}
    found = {name: ordered[min(len(ordered) - 1, int(share * len(ordered)))] for name, share in SHARES.items()}
    return found | {"mean": sum(ordered) / len(ordered)}


def thin(raw: str) -> dict[str, Any]:
    """What is kept of librdkafka's statistics: totals, and batch and request windows [bytes, records, µs]."""
    stats = json.loads(raw)
    brokers = [b for b in stats["brokers"].values() if b["nodeid"] >= 0]
    topics = list(stats["topics"].values())
    one = topics[0] if topics else {}
    return {
        "t": time.time(),
        "tx": stats["tx"],
        "tx_bytes": stats["tx_bytes"],
        "txmsgs": stats["txmsgs"],
        "batchsize": one.get("batchsize"),
        "batchcnt": one.get("batchcnt"),
        **{name: [b[name] for b in brokers] for name in ("rtt", "outbuf_latency", "int_latency")},
    }


def settings(ask: dict[str, Any]) -> dict[str, Any]:
    """librdkafka's settings for what the experiment asks."""
    found = {
        "bootstrap.servers": ask["bootstrap"],
        "linger.ms": ask["linger_ms"],
        "batch.size": ask["batch_bytes"],
        "acks": ask["acks"],
        "compression.type": ask["compression"],
        "queue.buffering.max.messages": 2_000_000,
        "queue.buffering.max.kbytes": 1_000_000,
        "message.timeout.ms": 120_000,
        "statistics.interval.ms": 1000,
    }
    if ask.get("idempotent"):
        found["enable.idempotence"] = True
    if ask.get("ca"):
        found |= {"security.protocol": "SSL", "ssl.ca.location": ask["ca"]}
    return found


class Load:
    """One plan sent: `run` returns what producer.json holds."""

    def __init__(self, ask: dict[str, Any]) -> None:
        from confluent_kafka import Producer

        self.ask, self.stats, self.acks, self.failed = ask, [], [], 0
        self.schedule = Schedule.of(ask["plan"])
        self.documents = Documents(ask["size"], ask.get("seed", 1))
        self.producer = Producer(settings(ask) | {"stats_cb": lambda raw: self.stats.append(thin(raw))})

    def delivered(self, due: float) -> Any:
        def note(error: Any, message: Any) -> None:
            if error is not None:
                self.failed += 1
            else:
                self.acks.append(time.time() - due)

        return note

    def run(self) -> dict[str, Any]:
        ask, producer = self.ask, self.producer
        producer.list_topics(ask["topic"], timeout=20)  # connected, metadata at hand
        producer.poll(0.2)
        t0 = time.time() + 0.3
        behind, sent = self.send_all(t0)
        left = producer.flush(120)
        return {
            "sent": sent,
            "seq0": ask["seq0"],
            "failed": self.failed + left,
            "t0": t0,
            "t_planned_end": t0 + self.schedule.seconds,
            "t_flushed": time.time(),
            "max_behind_s": behind,
            "ack_s": quantiles(self.acks),
        }

    def send_all(self, t0: float) -> tuple[float, int]:
        """Sends each record once its time has come; the longest delay of the load itself [s], and records sent.

        A record waits up to a grain beyond its due time; acknowledgement times count from due, and have it in them.
        """
        ask, behind, sent, partitions = self.ask, 0.0, 0, self.ask["partitions"]
        now = time.time()
        for offset in self.schedule.due_times():
            due = t0 + offset
            while due > now:
                self.producer.poll(GRAIN)
                now = time.time()
            behind = max(behind, now - due)
            if behind > ask["give_up_s"]:
                raise SystemExit(f"load.plan: the load fell {behind:.1f} s behind; lower its rate or give it a core")
            self.send(due, ask["seq0"] + sent, partitions)
            sent += 1
            if sent % 64 == 0:
                self.producer.poll(0)
                now = time.time()
        self.producer.poll(max(t0 + self.schedule.seconds - time.time(), 0.0))
        return behind, sent

    def send(self, due: float, sequence: int, partitions: int) -> None:
        partition = sequence % partitions
        value = self.documents.make(int(due * 1000), sequence, partition)
        callback = self.delivered(due)
        while True:
            try:
                return self.producer.produce(self.ask["topic"], value, partition=partition, on_delivery=callback)
            except BufferError:  # the queue is full: the record waits here, and is late
                self.producer.poll(0.05)


def main() -> None:
    """`load.py ask.json`: sends, and writes producer.json, arrivals.csv and the statistics beside it."""
    ask = json.loads(Path(sys.argv[1]).read_text())
    load = Load(ask)
    answer = load.run()
    out, tail = Path(ask["out"]), ask["suffix"]
    corners = "".join(f"{answer['t0'] + at!r},{count}\n" for at, count in load.schedule.corners())
    (out / f"arrivals{tail}.csv").write_text("t,sent\n" + corners)
    if not tail:  # the warm-up's own is no use to anyone
        (out / "producer_stats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in load.stats))
    (out / f"producer{tail}.json").write_text(json.dumps(answer, indent=1))


if __name__ == "__main__":
    main()
