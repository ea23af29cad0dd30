"""Checks of versions: pairs of brokers, clients, Spark, Scala, Java and connectors that do not work together."""

from __future__ import annotations

from collections.abc import Iterator

from models import versions as v
from models.coefficients import CoefficientSet
from models.stack import Scenario
from planner.findings import Finding


def _finding(code: str, where: str, found: v.Mismatch | None) -> Iterator[Finding]:
    if found is not None:
        one, other = found.pair
        yield Finding(
            code,
            "critical" if found.sure else "warning",
            where,
            f"{one} and {other} {'do' if found.sure else 'may'} not work together",
            found.why,
            found.remedy,
            found.source,
        )


def brokers_and_clients(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    for k, flow in enumerate(scenario.flows):
        if flow.topic.producer.client is not None:
            found = v.broker_and_client(scenario.kafka.version, flow.topic.producer.client)
            yield from _finding("version-client", f"flows[{k}].topic.producer.client", found)


def java(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    kafka, spark = scenario.kafka, scenario.spark
    if kafka.java is not None:
        yield from _finding("version-broker-java", "kafka.java", v.broker_and_java(kafka.version, kafka.java))
    if spark.java is not None:
        yield from _finding("version-spark-java", "spark.java", v.spark_and_java(spark.version, spark.java))


def scala(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    spark = scenario.spark
    if spark.scala is None:
        return
    yield from _finding("version-scala", "spark.scala", v.spark_and_scala(spark.version, spark.scala))
    if spark.kind == "emr-ec2" and spark.version == v.EMR_SPARK and spark.scala != v.EMR_SCALA:
        found = v.Mismatch(
            (f"EMR with Spark {spark.version}", f"Scala {spark.scala}"),
            f"emr-7.13.0 ships Spark 3.5.6 for Scala {v.EMR_SCALA}",
            f'scala: "{v.EMR_SCALA}"',
            "spark.md, head",
        )
        yield from _finding("version-emr-scala", "spark.scala", found)


def connectors(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    spark, cluster = scenario.spark, scenario.elasticsearch
    for k, flow in enumerate(scenario.flows):
        sink, at = flow.query.sink, f"flows[{k}].query.sink"
        if sink.kind == "jvm-connector" and sink.connector is not None:
            found = v.connector_and_spark(sink.connector, spark.version, spark.scala)
            yield from _finding("version-connector-spark", f"{at}.connector", found)
            found = v.connector_and_cluster(sink.connector, cluster.kind, cluster.version)
            yield from _finding("version-connector-cluster", f"{at}.connector", found)
        elif sink.kind == "jvm-connector" and spark.version.startswith("4.") and cluster.kind.endswith("elasticsearch"):
            found = v.connector_and_spark("elasticsearch-hadoop 9.4", spark.version, spark.scala)
            yield from _finding("version-connector-missing", f"{at}.kind", found)
        elif sink.connector is not None:
            yield Finding(
                "connector-unused",
                "info",
                f"{at}.connector",
                "no connector is used by this sink",
                f"kind = {sink.kind}, connector = {sink.connector}",
                "leave connector out, or kind: jvm-connector",
                "spark.md A6",
            )
