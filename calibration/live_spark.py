"""Spark, live: the REST interface of a driver's UI or of the history server, and its Prometheus pages.

Structured Streaming has no REST endpoint: batches are in the query's own listener, in the event log, and
as gauges (`spark.sql.streaming.metricsEnabled=true` with the PrometheusServlet sink). What REST tells is
executors (memory peaks, tasks, collections), the environment, and DStreams' statistics where there are any.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

from calibration.live import Answer, Call, LiveError, Source
from calibration.live_http import Endpoint
from calibration.live_prometheus import exposition
from calibration.live_search import skew

API = "/api/v1/applications"
SLOW_SECONDS = 300.0
CANNOT_TELL = (
    "batches of Structured Streaming: they are in StreamingQueryProgress (a listener, the event log), not in REST",
    "tasks one by one: they are in the event log",
    "CPU of Python workers: Executor CPU Time is the JVM threads' alone",
    "container memory limits: they are the cluster manager's",
)


class Spark:
    """One UI or history server."""

    def __init__(self, endpoint: Endpoint, name: str, application: str = "") -> None:
        self.endpoint, self.name, self.only = endpoint, name, application
        self.running: list[str] = []

    def applications(self) -> Iterator[Answer]:
        """The applications that run (at a history server: that are named)."""
        listed = self.endpoint.get_json(API, {"limit": 200} if not self.only else None)
        if not isinstance(listed, list) or not all(isinstance(one, dict) and "id" in one for one in listed):
            raise LiveError("garbage", f"{self.endpoint.shown}{API}: no list of applications; is it Spark's UI?")
        if self.only:
            listed = [one for one in listed if self.only in (one["id"], one.get("name"))]
        else:
            listed = [one for one in listed if not all(a.get("completed") for a in one.get("attempts", [{}]))]
        if not listed:
            asked = f"no application '{self.only}'" if self.only else "no application runs; name one with --application"
            raise LiveError("missing", f"{self.endpoint.shown}: {asked}")
        self.running = [_path(one) for one in listed]
        yield self._answer("spark_applications", listed)

    def each(self, kind: str, path: str) -> Callable[[], Iterator[Answer]]:
        """Asks that of every application that runs; the first failure is told after the others were asked."""

        def ask() -> Iterator[Answer]:
            failed: LiveError | None = None
            for application in self.running:
                try:
                    body = self.endpoint.get_json(f"{API}/{application}/{path}")
                    yield self._answer(kind, body, {"application": application})
                except LiveError as error:
                    failed = failed or error
            if failed is not None:
                raise failed

        return ask

    def page(self, path: str) -> Callable[[], Iterator[Answer]]:
        def ask() -> Iterator[Answer]:
            yield exposition(self.endpoint, self.name, path)

        return ask

    def _answer(self, kind: str, body: object, asked: dict[str, object] | None = None) -> Answer:
        return Answer(time.time(), self.name, kind, body, asked=asked, ahead_seconds=skew(self.endpoint))


def _path(application: dict[str, object]) -> str:
    """An application's id, with its attempt where the cluster manager counts those."""
    attempts = application.get("attempts")
    first = attempts[0] if isinstance(attempts, list) and attempts else {}
    attempt = first.get("attemptId") if isinstance(first, dict) else None
    return quote(str(application["id"]), safe="") + (f"/{quote(str(attempt), safe='')}" if attempt else "")


def spark_source(endpoint: Endpoint, name: str = "spark", application: str = "") -> Source:
    """A Spark UI (port 4040), or a history server (18080) with an application named, as a source."""
    spark = Spark(endpoint, name, application)
    calls = [
        Call(API, spark.applications, 60.0),
        Call("executors", spark.each("spark_executors", "allexecutors")),
        Call("environment", spark.each("spark_environment", "environment"), SLOW_SECONDS),
        Call("streaming/statistics", spark.each("spark_streaming_statistics", "streaming/statistics")),
        Call("/metrics/executors/prometheus", spark.page("/metrics/executors/prometheus")),
        Call("/metrics/prometheus", spark.page("/metrics/prometheus/")),  # without the last slash it redirects
    ]
    resolution = "at each tick; executors report to the driver every 10 s (spark.executor.heartbeatInterval)"
    return Source(name, endpoint.shown, calls, resolution, CANNOT_TELL, endpoint.close)
