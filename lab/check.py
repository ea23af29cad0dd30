"""The smoke: Kafka, Spark and OpenSearch started, 200 records sent through them, all stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from lab.experiment import Experiment, parse
from lab.processes import ProcessError
from lab.record import Writer
from lab.run import Run
from lab.stack import Kit, Stack

RECORDS = 200


def smoke(product: str = "opensearch", brokers: int = 1) -> Experiment:
    """200 records in two seconds through one Spark query into one index."""
    raw: dict[str, Any] = {
        "type": "pipe",
        "set": "test",
        "question": "does the stack run?",
        "load": {"plan": [[2, RECORDS / 2]]},
        "kafka": {"partitions": 2, "brokers": brokers, "copies": brokers},
        "spark": {"trigger_ms": 1000},
        "search": {"product": product},
    }
    return parse(raw, "smoke")


def check(kit: Kit, product: str = "opensearch", brokers: int = 1) -> dict[str, Any]:
    """Runs the smoke; the outcome with the seconds of each step. Raises where not all records came through."""
    began, e = time.monotonic(), smoke(product, brokers)
    tell: Callable[[str], None] = kit.tell
    with Stack(kit, e) as stack:
        run = Run(stack, Writer(kit.work / "recording"), time.time() + 300)
        try:
            stack.start()
            tell(f"  Kafka and {product} are up after {time.monotonic() - began:.1f} s")
            run.pipe()
        finally:
            run.sampler.abandon()
        outcome = json.loads((kit.work / "recording" / "outcome.json").read_text())
        outcome |= {"start_s": stack.took}
    if outcome["visible"] != RECORDS:
        raise ProcessError(f"{outcome['visible']} of {RECORDS} records became visible")
    return outcome | {"seconds": round(time.monotonic() - began, 1)}
