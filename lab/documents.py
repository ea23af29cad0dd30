"""Documents: the JSON that travels, a web event of a chosen size.

A document carries its due time (`@timestamp`, epoch ms), its sequence and its partition, a handful of
keyword fields of few and of many values, and a message of words that fills it to the size asked for.
Standard library only: the load, the bulk clients and the Spark job all import it.
"""

from __future__ import annotations

import random

HOSTS, PATHS, WORDS = 40, 200, 2000
EVENTS = ("view", "click", "search", "order", "refund")
STATUS = (200, 200, 200, 200, 201, 204, 301, 404, 500)
AGENTS = tuple(f"Mozilla/5.0 ({system}) Browser/{v}.0" for system in ("Linux", "Windows", "Mac") for v in range(90, 98))
SMALLEST = 330  # bytes: all fields at their longest and no message

MAPPING = {
    "dynamic": False,
    "properties": {
        "@timestamp": {"type": "date", "format": "epoch_millis"},
        "seq": {"type": "long"},
        "p": {"type": "integer"},
        "host": {"type": "keyword"},
        "user_id": {"type": "long"},
        "status": {"type": "integer"},
        "bytes": {"type": "long"},
        "path": {"type": "keyword"},
        "agent": {"type": "keyword"},
        "event": {"type": "keyword"},
        "session": {"type": "keyword"},
        "message": {"type": "text"},
    },
}
SCHEMA = (
    "`@timestamp` LONG, seq LONG, p INT, host STRING, user_id LONG, status INT, bytes LONG, path STRING, "
    "agent STRING, event STRING, session STRING, message STRING"
)


class Documents:
    """Makes documents of `size` bytes; the same seed gives the same bytes.

    Field values are drawn from prepared tables by a small linear congruence, so that a document costs a
    microsecond or two and the load stays a few per cent of a core.
    """

    def __init__(self, size: int, seed: int = 1) -> None:
        if size < SMALLEST:
            raise ValueError(f"load.size = {size} bytes; a document's fields alone need {SMALLEST} bytes or more")
        draw = random.Random(seed)
        self.size = size
        self.hosts = [f"web-{i:02d}.zone-{'abc'[i % 3]}" for i in range(HOSTS)]
        self.paths = [f"/shop/{draw.choice(EVENTS)}/{draw.randrange(10**6):06d}" for _ in range(PATHS)]
        self.sessions = [f"{draw.getrandbits(64):016x}" for _ in range(5000)]
        words = ["".join(draw.choices("etaoinshrdlucmfwyp", k=draw.randint(2, 9))) for _ in range(WORDS)]
        ranks = [1 / (i + 1) for i in range(WORDS)]  # Zipf, as in text
        self.text = " ".join(draw.choices(words, ranks, k=40_000))
        self.span = len(self.text) - size

    def make(self, due_ms: int, sequence: int, partition: int) -> bytes:
        """One document of exactly `size` bytes."""
        r = (sequence * 2654435761 + 40503) & 0xFFFFFFFF
        head = (
            f'{{"@timestamp":{due_ms},"seq":{sequence},"p":{partition},"host":"{self.hosts[r % HOSTS]}",'
            f'"user_id":{r >> 8},"status":{STATUS[r % 9]},"bytes":{r & 0xFFFF},"path":"{self.paths[(r >> 3) % PATHS]}",'
            f'"agent":"{AGENTS[(r >> 5) % len(AGENTS)]}","event":"{EVENTS[(r >> 7) % 5]}",'
            f'"session":"{self.sessions[(r >> 4) % 5000]}","message":"'
        )
        at = (r >> 2) % self.span
        return (head + self.text[at : at + self.size - len(head) - 2] + '"}').encode()
