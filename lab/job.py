"""The Spark job: reads the topic, parses, and writes to a sink; runs in the laboratory's Python environment.

`job.py ask.json`. It writes each StreamingQueryProgress as a line, and a plain event log. SIGTERM stops
the query between batches. A bulk that is refused with 429, or whose server does not answer, is sent again
with growing pauses until `retry_s` is over; any other refusal fails the batch, and with it the query:
what users of PySpark write. Without ids of its own a document of a repeated batch is indexed twice.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from lab.documents import SCHEMA
from lab.search import INDEX, Client, SearchError

FILES = "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
ROCKS = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
BULK = f"/{INDEX}/_bulk?filter_path=errors,items.*.status,items.*.error.type"
PAUSE, LONGEST_PAUSE = 0.2, 5.0  # s: between attempts, doubling


class BulkRefused(RuntimeError):
    """A bulk that was refused for good, or for longer than `retry_s`."""


def lines(rows: Iterable[Any], ids: bool) -> Iterator[bytes]:
    """Action and document of each row, as `_bulk` takes them; `ids` names them by partition and sequence."""
    for row in rows:
        document = row.asDict()
        action = f'{{"index":{{"_id":"{document["p"]}-{document["seq"]}"}}}}' if ids else '{"index":{}}'
        yield f"{action}\n{json.dumps(document, separators=(',', ':'))}\n".encode()


def chunks(items: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    held: list[bytes] = []
    for item in items:
        held.append(item)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held


def send(client: Client, documents: list[bytes], retry_s: float) -> None:
    """One bulk; the documents refused with 429 are sent again, alone, until `retry_s` is over."""
    until, pause = time.monotonic() + retry_s, PAUSE
    while True:
        documents, why = attempt(client, documents)
        if not documents:
            return
        if time.monotonic() + pause > until:
            raise BulkRefused(f"{len(documents)} documents refused for {retry_s:g} s, at last: {why}")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def attempt(client: Client, documents: list[bytes]) -> tuple[list[bytes], str]:
    """What has to be sent again, and why; raises where sending again would not help."""
    try:
        status, answer = client.ask("POST", BULK, b"".join(documents))
    except SearchError as error:
        return documents, str(error)
    if status in (429, 502, 503):
        return documents, f"status {status}"
    if status >= 300:
        raise BulkRefused(f"bulk: {status} {answer[:300]!r}")
    body = json.loads(answer)
    if not body["errors"]:
        return [], ""
    again, why = [], ""
    for document, item in zip(documents, body["items"], strict=True):
        result = item["index"]
        if result["status"] in (429, 503):
            again.append(document)
            why = str(result.get("error"))
        elif result["status"] >= 300:
            raise BulkRefused(f"document: {result['status']} {result.get('error')}")
    return again, why


def bulk_partition(ports: list[int], ask: dict[str, Any], ids: bool) -> Callable[[Iterator[Any]], None]:
    """What each task does with its rows: bulks one after another, or `writers` of them at once."""

    def work(rows: Iterator[Any]) -> None:
        clients = [Client(ports[(os.getpid() + i) % len(ports)], timeout=60) for i in range(ask["writers"])]
        parts = chunks(lines(rows, ids), ask["bulk"])
        if len(clients) == 1:
            for part in parts:
                send(clients[0], part, ask["retry_s"])
            return
        idle: SimpleQueue[Client] = SimpleQueue()
        for client in clients:
            idle.put(client)
        with ThreadPoolExecutor(len(clients)) as pool:
            sent = [pool.submit(_send_and_return, idle.get(), part, ask["retry_s"], idle) for part in parts]
        for one in sent:
            one.result()

    return work


def _send_and_return(client: Client, part: list[bytes], retry_s: float, idle: SimpleQueue[Client]) -> None:
    try:
        send(client, part, retry_s)
    finally:
        idle.put(client)


def session(ask: dict[str, Any]) -> Any:
    from pyspark.sql import SparkSession

    job, folder = ask["job"], ask["folder"]
    build = SparkSession.builder.appName("lab").master(f"local[{job['cores']}]")
    settings = {
        "spark.jars": ",".join(ask["jars"]),
        "spark.driver.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "true",
        "spark.ui.port": str(ask["ui_port"]),
        "spark.ui.showConsoleProgress": "false",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file://{folder}/eventlog",
        "spark.eventLog.compress": "false",
        "spark.local.dir": f"{folder}/local",
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
        "spark.sql.shuffle.partitions": str(job["shuffle"]),
        "spark.sql.streaming.checkpointFileManagerClass": FILES,
        "spark.sql.streaming.numRecentProgressUpdates": "1000",
    }
    if job["state"] == "rocksdb":
        settings["spark.sql.streaming.stateStore.providerClass"] = ROCKS
    for name, value in settings.items():
        build = build.config(name, value)
    return build.getOrCreate()


def tls(ask: dict[str, Any]) -> dict[str, str]:
    """The Kafka connector's options for brokers behind TLS; none for plain ones."""
    if not ask["ca"]:
        return {}
    store = {"kafka.ssl.truststore.type": "PEM", "kafka.ssl.truststore.location": ask["ca"]}
    return {"kafka.security.protocol": "SSL", **store}


def source(spark: Any, ask: dict[str, Any]) -> Any:
    """The topic's records, parsed; the filter keeps all, and costs as a user's does."""
    from pyspark.sql import functions as f

    options = {
        "kafka.bootstrap.servers": ask["bootstrap"],
        "subscribe": ask["topic"],
        "startingOffsets": "earliest",
        "failOnDataLoss": "true",
    }
    if ask["job"]["max_offsets"]:
        options["maxOffsetsPerTrigger"] = str(ask["job"]["max_offsets"])
    records = spark.readStream.format("kafka").options(**options, **tls(ask)).load()
    parsed = records.select(f.from_json(f.col("value").cast("string"), SCHEMA).alias("d"))
    return parsed.where("d.status < 600").select("d.*")


def aggregated(rows: Any) -> Any:
    """Counts and bytes by host and event in windows of 5 s."""
    from pyspark.sql import functions as f

    timed = rows.withColumn("ts", (f.col("`@timestamp`") / 1000.0).cast("timestamp")).withWatermark("ts", "10 seconds")
    grouped = timed.groupBy(f.window("ts", "5 seconds"), "host", "event")
    return grouped.agg(f.count("*").alias("n"), f.sum("bytes").alias("sum"))


def begin(spark: Any, ask: dict[str, Any]) -> Any:
    """The running query."""
    job, rows = ask["job"], source(spark, ask)
    if job["agg"]:
        rows = aggregated(rows)
    if job["sink"] == "kafka":
        rows = rows.selectExpr("to_json(struct(*)) AS value")
    write = rows.writeStream.option("checkpointLocation", f"{ask['folder']}/checkpoint")
    write = write.trigger(processingTime=f"{job['trigger_ms']} milliseconds")
    if job["sink"] == "noop":
        return write.outputMode("update" if job["agg"] else "append").format("noop").start()
    if job["sink"] == "kafka":
        options = {"kafka.bootstrap.servers": ask["bootstrap"], "topic": ask["out_topic"], **tls(ask)}
        return write.format("kafka").options(**options).start()
    work = bulk_partition(ask["search_ports"], job, ask["ids"] == "offset")
    return write.foreachBatch(lambda frame, _: frame.foreachPartition(work)).start()


def listener(path: Path) -> Any:
    """Writes each progress as a line as it comes."""
    from pyspark.sql.streaming import StreamingQueryListener

    class Progress(StreamingQueryListener):
        def onQueryStarted(self, event: Any) -> None:
            pass

        def onQueryProgress(self, event: Any) -> None:
            line = json.dumps(json.loads(event.progress.json), separators=(",", ":"))
            with path.open("a") as out:
                out.write(line + "\n")

        def onQueryIdle(self, event: Any) -> None:
            pass

        def onQueryTerminated(self, event: Any) -> None:
            pass

    return Progress()


def main() -> None:
    ask = json.loads(Path(sys.argv[1]).read_text())
    folder, stopping = Path(ask["folder"]), []
    for name in ("eventlog", "local"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    spark = session(ask)
    spark.sparkContext.setLogLevel("ERROR")
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    spark.streams.addListener(listener(folder / "progress.jsonl"))
    query = begin(spark, ask)
    (folder / "started").write_text(str(time.time()))
    while query.isActive and not stopping:
        time.sleep(0.5)
    failure = query.exception() if not query.isActive else None
    if query.isActive:
        query.stop()
    time.sleep(0.5)  # the last progress is on its way to the listener
    spark.stop()
    if failure is not None and not stopping:
        raise SystemExit(f"query failed: {str(failure)[:2000]}")


if __name__ == "__main__":
    main()
