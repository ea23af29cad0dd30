"""Laboratory: a real small Kafka, Spark and OpenSearch or Elasticsearch on one machine, loaded and recorded.

A *part* is a pinned piece of software. An *experiment* is a TOML file: what is varied and why. A *run*
is one repeat of it, recorded into one folder; a *series* is rounds of runs between speed anchors.
"""
