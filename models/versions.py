"""Versions: which pairs of brokers, clients, Spark, Scala, Java, connectors and clusters work together.

What is known is a table; what is not in it is answered with None, and nothing is claimed. A connector is built
for one Spark line and one Scala; a broker speaks with clients down to a version; a runtime needs a Java.
"""

from __future__ import annotations

from dataclasses import dataclass

OLDEST_CLIENT_OF_4 = (2, 1)  # kafka.md B5 (KIP-896): older protocol APIs are gone in Kafka 4
KAFKA_CLIENT_IN_SPARK = {"3.5": "3.4", "4.0": "3.9", "4.1": "3.9"}  # 4.1: lab.md; the others remembered
# spark.md B6, remembered; Spark 4 on Java 17 was seen
SPARK_JAVA = {"3.5": ("8", "11", "17"), "4.0": ("17", "21"), "4.1": ("17", "21")}
SPARK_SCALA = {"3.5": ("2.12", "2.13"), "4.0": ("2.13",), "4.1": ("2.13",)}  # spark.md B6
KAFKA_JAVA = {
    "3.6": ("8", "11", "17"),
    "3.9": ("8", "11", "17"),
    "4": ("17", "21", "25"),
}  # B5: 4.x needs 17; rest (mem)
EMR_SCALA, EMR_SPARK = "2.12", "3.5"  # emr-7.13.0, spark.md head


@dataclass(frozen=True)
class Mismatch:
    """A pair that does not work: the two, why, what would, and where that is known from."""

    pair: tuple[str, str]
    why: str
    remedy: str
    source: str
    sure: bool = True


def number(version: str) -> tuple[int, int]:
    """Major and minor of a version.

    >>> number("8.17"), number("4")
    ((8, 17), (4, 0))
    """
    major, _, minor = version.partition(".")
    return int(major), int(minor or 0)


def broker_and_client(broker: str, client: str) -> Mismatch | None:
    """A Kafka broker and a Java client.

    >>> broker_and_client("4.1", "2.0").pair, broker_and_client("3.9", "0.10")
    (('brokers 4.1', 'client 2.0'), None)
    """
    if number(broker)[0] >= 4 and number(client) < OLDEST_CLIENT_OF_4:
        return Mismatch(
            (f"brokers {broker}", f"client {client}"),
            "brokers of 4.x have dropped every protocol version older than 2.1",
            "clients of 2.1 or newer before the brokers go to 4.x",
            "kafka.md B5 (KIP-896)",
        )
    if number(client)[0] >= 4 and number(broker) < OLDEST_CLIENT_OF_4:
        return Mismatch(
            (f"brokers {broker}", f"client {client}"),
            "clients of 4.x speak to brokers of 2.1 or newer",
            "newer brokers first",
            "kafka.md B5 (KIP-896)",
        )
    return None


def broker_and_java(broker: str, java: str) -> Mismatch | None:
    """A Kafka broker and its Java.

    >>> broker_and_java("4.0", "11").remedy, broker_and_java("3.9", "17")
    ('Java 17 or 21 or 25', None)
    """
    runs = KAFKA_JAVA["4" if number(broker)[0] >= 4 else broker]
    if java in runs or (number(broker)[0] < 4 and int(java) > 17):
        return None
    return Mismatch(
        (f"Kafka {broker}", f"Java {java}"),
        f"brokers of {broker} do not start on Java {java}",
        f"Java {' or '.join(runs)}",
        "kafka.md B5",
    )


def spark_and_java(spark: str, java: str) -> Mismatch | None:
    """Spark and its Java.

    >>> spark_and_java("4.1", "11").why, spark_and_java("3.5", "17")
    ('Spark 4.1 does not run on Java 11', None)
    """
    runs = SPARK_JAVA[spark]
    if java in runs:
        return None
    return Mismatch(
        (f"Spark {spark}", f"Java {java}"),
        f"Spark {spark} does not run on Java {java}",
        f"Java {' or '.join(runs)}",
        "spark.md B6 (remembered)",
        sure=int(java) < int(runs[0]),
    )


def spark_and_scala(spark: str, scala: str) -> Mismatch | None:
    """Spark and its Scala.

    >>> spark_and_scala("4.0", "2.12").remedy, spark_and_scala("3.5", "2.12")
    ('Scala 2.13 in every artifact', None)
    """
    builds = SPARK_SCALA[spark]
    if scala in builds:
        return None
    return Mismatch(
        (f"Spark {spark}", f"Scala {scala}"),
        f"there is no Spark {spark} for Scala {scala}: the first class of another build is a NoSuchMethodError",
        f"Scala {' or '.join(builds)} in every artifact",
        "spark.md B6",
    )


def connector_and_spark(connector: str, spark: str, scala: str | None) -> Mismatch | None:
    """A search connector and Spark.

    >>> connector_and_spark("elasticsearch-hadoop 8.17", "4.1", None).pair
    ('elasticsearch-hadoop 8.17', 'Spark 4.1')
    >>> connector_and_spark("opensearch-hadoop 2.0", "4.1", "2.13")
    >>> connector_and_spark("elasticsearch-hadoop 8.17", "3.5", "2.12")
    """
    name, version = connector.split()
    if spark.startswith("4."):
        if name == "elasticsearch-hadoop" and number(version) < (9, 6):
            return Mismatch(
                (connector, f"Spark {spark}"),
                "no elasticsearch-spark artifact up to 9.4.4 is built for "
                "Spark 4; those for 4.0 and 4.1 were merged to 9.6.0-dev in July 2026",
                "9.6 or newer once it is out, a foreachBatch sink, or Spark 3.5",
                "spark.md B6",
            )
        if name == "opensearch-hadoop" and number(version) < (2, 0):
            return Mismatch(
                (connector, f"Spark {spark}"),
                "opensearch-spark-40 begins with 2.0.0",
                "opensearch-spark-40_2.13:2.0.0",
                "spark.md B6",
            )
        return None
    if scala == "2.13":
        return Mismatch(
            (connector, "Scala 2.13"),
            "the artifacts known for Spark 3 are built for Scala 2.12",
            "Scala 2.12, or an artifact that you have seen for 2.13",
            "spark.md B6",
            sure=False,
        )
    return None


def connector_and_cluster(connector: str, kind: str, version: str) -> Mismatch | None:
    """A search connector and the cluster it writes to.

    >>> connector_and_cluster("elasticsearch-hadoop 8.17", "opensearch-service", "2.19").remedy
    'opensearch-hadoop 2.0'
    >>> connector_and_cluster("elasticsearch-hadoop 7.17", "self-managed-elasticsearch", "8.17").why
    "the connector's major must not be older than the cluster's"
    """
    name, own = connector.split()
    there = "elasticsearch" if kind == "self-managed-elasticsearch" else "opensearch"
    if name == "elasticsearch-hadoop" and there == "opensearch":
        return Mismatch(
            (connector, f"OpenSearch {version}"),
            "Elasticsearch's clients refuse a server that is not Elasticsearch since 7.14 (remembered)",
            "opensearch-hadoop 2.0",
            "spark.md A6, B6",
            sure=False,
        )
    if name == "opensearch-hadoop" and there == "elasticsearch":
        return Mismatch(
            (connector, f"Elasticsearch {version}"),
            "OpenSearch's connector is tested with OpenSearch only",
            "elasticsearch-hadoop of the cluster's major",
            "spark.md B6",
            sure=False,
        )
    if there == "elasticsearch" and number(own)[0] < number(version)[0]:
        return Mismatch(
            (connector, f"Elasticsearch {version}"),
            "the connector's major must not be older than the cluster's",
            f"elasticsearch-hadoop {number(version)[0]}.x",
            "spark.md B6",
        )
    return None
